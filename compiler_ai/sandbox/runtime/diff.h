/* What a child changed, found by its parent from the page tables. */
#ifndef AICC_DIFF_H
#define AICC_DIFF_H

#include "child.h"
#include "footprint.h"

/* The contents of pages that the parent itself altered before the start: these count as their initial state. */
struct altered_page {
    uint64_t address;
    unsigned char content[PAGE_BYTES];
};

struct altered {
    struct altered_page *pages;
    size_t count, capacity;
};

struct altered_page *altered_find(const struct altered *altered, uint64_t address);
/* Snapshots the page at `address` from the child unless that was done; 0 on success. */
int altered_add(struct altered *altered, const struct child *child, uint64_t address);
void altered_free(struct altered *altered);

/* Called for each page that was written; anything but NULL ends the visit. */
typedef const char *(*page_visitor)(void *context, const struct child *child, const struct region *region,
                                    uint64_t address);
const char *written_pages_visit(const struct child *child, struct page_set *const *sets, size_t set_count,
                                page_visitor visit, void *context);
/* Reads a written page into `now`; `before` is what the run started with, possibly in `scratch`. */
const char *page_contents(const struct child *child, const struct region *region, uint64_t address,
                          const struct altered *altered, char *now, char *scratch, const char **before);

/* Appends u64 addresses of written pages, then the changed ones with their contents; counts go to the outcome.
 * `footprint` may be NULL; what it hides is left out. */
const char *diff_pages(const struct child *child, struct page_set *const *sets, size_t set_count,
                       const struct altered *altered, const struct footprint *footprint, struct buffer *reply,
                       uint32_t *written, uint32_t *changed);

#endif
