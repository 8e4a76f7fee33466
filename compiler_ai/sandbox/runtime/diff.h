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

/* Appends u64 addresses of written pages, then the changed ones with their contents; counts go to the outcome.
 * `footprint` may be NULL; what it hides is left out. */
const char *diff_pages(const struct child *child, struct page_set *const *sets, size_t set_count,
                       const struct altered *altered, const struct footprint *footprint, struct buffer *reply,
                       uint32_t *written, uint32_t *changed);

#endif
