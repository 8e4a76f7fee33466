#include "diff.h"

#define ENTRY_PRESENT (1UL << 63)
#define ENTRY_SWAPPED (1UL << 62)
#define ENTRY_FILE (1UL << 61)
#define ENTRIES_AT_ONCE 512

struct altered_page *altered_find(const struct altered *altered, uint64_t address)
{
    for (size_t i = 0; i < altered->count; i++)
        if (altered->pages[i].address == address)
            return &altered->pages[i];
    return NULL;
}

int altered_add(struct altered *altered, const struct child *child, uint64_t address)
{
    if (altered_find(altered, address))
        return 0;
    if (altered->count == altered->capacity) {
        size_t capacity = altered->capacity ? 2 * altered->capacity : 16;
        struct altered_page *pages = pages_allocate(capacity * sizeof *pages);
        if (!pages)
            return -1;
        if (altered->count)
            memcpy(pages, altered->pages, altered->count * sizeof *pages);
        pages_free(altered->pages, altered->capacity * sizeof *pages);
        altered->pages = pages;
        altered->capacity = capacity;
    }
    struct altered_page *page = &altered->pages[altered->count];
    page->address = address;
    if (child_read(child, address, page->content, PAGE_BYTES) < 0)
        return -1;
    altered->count++;
    return 0;
}

void altered_free(struct altered *altered)
{
    pages_free(altered->pages, altered->capacity * sizeof *altered->pages);
    *altered = (struct altered){NULL, 0, 0};
}

static int pagemap_open(int pid)
{
    char path[40], digits[12];
    int count = 0, at = 6;
    for (; pid; pid /= 10)
        digits[count++] = (char)('0' + pid % 10);
    memcpy(path, "/proc/", 6);
    while (count)
        path[at++] = digits[--count];
    memcpy(path + at, "/pagemap", 9);
    return (int)SYSTEM(__NR_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
}

static const char *initial_content(const struct region *region, uint64_t address, const struct altered *altered,
                                   char *scratch)
{
    const struct altered_page *page = altered_find(altered, address);
    uint64_t offset = address - region->address;
    if (page)
        return (const char *)page->content;
    memset(scratch, 0, PAGE_BYTES); /* a file's last page is padded with zeros */
    SYSTEM(__NR_pread64, region->fd, scratch, PAGE_BYTES, region->offset + offset);
    return scratch;
}

/* Copy-on-write gave the child an anonymous page exactly where it (or the parent for it) wrote. */
static const char *region_visit(const struct child *child, int pagemap, const struct region *region,
                                page_visitor visit, void *context)
{
    static uint64_t entries[ENTRIES_AT_ONCE];
    for (uint64_t done = 0; done < region->size_bytes;) {
        uint64_t pages = (region->size_bytes - done) / PAGE_BYTES;
        if (pages > ENTRIES_AT_ONCE)
            pages = ENTRIES_AT_ONCE;
        uint64_t first = region->address + done;
        if (SYSTEM(__NR_pread64, pagemap, entries, pages * 8, first / PAGE_BYTES * 8) != (long)(pages * 8))
            return "cannot read the child's page map";
        for (uint64_t i = 0; i < pages; i++) {
            if (!(entries[i] & (ENTRY_PRESENT | ENTRY_SWAPPED)) || entries[i] & ENTRY_FILE)
                continue;
            const char *problem = visit(context, child, region, first + i * PAGE_BYTES);
            if (problem)
                return problem;
        }
        done += pages * PAGE_BYTES;
    }
    return NULL;
}

const char *written_pages_visit(const struct child *child, struct page_set *const *sets, size_t set_count,
                                page_visitor visit, void *context)
{
    const char *problem = NULL;
    int pagemap = pagemap_open(child->pid);
    if (pagemap < 0)
        return "cannot open the child's page map";
    for (size_t i = 0; i < set_count && !problem; i++)
        for (size_t j = 0; j < sets[i]->region_count && !problem; j++)
            if (sets[i]->regions[j].prot & PROT_WRITE) /* nothing else can have changed: there is no mprotect */
                problem = region_visit(child, pagemap, &sets[i]->regions[j], visit, context);
    SYSTEM(__NR_close, pagemap);
    return problem;
}

const char *page_contents(const struct child *child, const struct region *region, uint64_t address,
                          const struct altered *altered, char *now, char *scratch, const char **before)
{
    if (child_read(child, address, now, PAGE_BYTES) < 0)
        return "cannot read a page of the child";
    *before = initial_content(region, address, altered, scratch);
    return NULL;
}

struct changes {
    const struct altered *altered;
    const struct footprint *footprint;
    struct buffer *written;
    struct buffer pages;
    uint32_t written_count, count;
};

static const char *page_note(void *context, const struct child *child, const struct region *region, uint64_t address)
{
    static char now[PAGE_BYTES], scratch[PAGE_BYTES];
    struct changes *changes = context;
    const char *before;
    if (changes->footprint && footprint_hides(changes->footprint, region->address))
        return NULL;
    uint64_t *slot = buffer_extend(changes->written, 8);
    if (!slot)
        return "out of memory";
    *slot = address;
    changes->written_count++;
    const char *problem = page_contents(child, region, address, changes->altered, now, scratch, &before);
    if (problem || memcmp(now, before, PAGE_BYTES) == 0)
        return problem;
    char *entry = buffer_extend(&changes->pages, 8 + PAGE_BYTES);
    if (!entry)
        return "out of memory";
    memcpy(entry, &address, 8);
    memcpy(entry + 8, now, PAGE_BYTES);
    changes->count++;
    return NULL;
}

const char *diff_pages(const struct child *child, struct page_set *const *sets, size_t set_count,
                       const struct altered *altered, const struct footprint *footprint, struct buffer *reply,
                       uint32_t *written, uint32_t *changed)
{
    struct changes changes = {altered, footprint, reply, {NULL, 0, 0, 0}, 0, 0};
    const char *problem = written_pages_visit(child, sets, set_count, page_note, &changes);
    if (!problem && changes.count) {
        char *to = buffer_extend(reply, changes.pages.size);
        if (to)
            memcpy(to, changes.pages.data, changes.pages.size);
        else
            problem = "out of memory";
    }
    *written = changes.written_count;
    *changed = changes.count;
    pages_free(changes.pages.data, changes.pages.capacity);
    return problem;
}
