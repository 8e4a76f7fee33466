/* Page sets: memory contents that were sent once and are mapped copy-on-write into many children. */
#ifndef AICC_SETS_H
#define AICC_SETS_H

#include "protocol.h"

#define MAX_SETS 1024
#define MAX_REGIONS 16384 /* in one child; the kernel's default vm.max_map_count is 65530 */

struct region {
    uint64_t address, size_bytes, offset;
    int prot, fd;
};

struct page_set {
    struct region *regions;
    size_t region_count, table_bytes;
    int memory_fd;
    int *files; /* one descriptor a distinct path */
    size_t file_count;
    int used;
};

/* The address range of the runner itself, [low, high): the linker's, so that a child can drop it in one munmap. */
static inline uint64_t runner_low(void)
{
    extern char __executable_start[];
    return (uint64_t)__executable_start & ~(PAGE_BYTES - 1);
}

static inline uint64_t runner_high(void)
{
    extern char _end[];
    return ((uint64_t)_end + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

/* Images keep out of the runner's own range and of what follows it, where timing children have their shared memory. */
#define RESERVED_BYTES 0x10000000UL

/* NULL on success, else what went wrong. */
const char *set_load(struct cursor *request);
const char *set_unload(struct cursor *request);
struct page_set *set_find(uint32_t id);

#endif
