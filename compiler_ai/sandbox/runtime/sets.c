#include "sets.h"

static struct page_set sets[MAX_SETS];

struct page_set *set_find(uint32_t id)
{
    return id < MAX_SETS && sets[id].used ? &sets[id] : NULL;
}

static void set_clear(struct page_set *set)
{
    for (size_t i = 0; i < set->file_count; i++)
        SYSTEM(__NR_close, set->files[i]);
    if (set->memory_fd > 0)
        SYSTEM(__NR_close, set->memory_fd);
    pages_free(set->regions, set->table_bytes);
    memset(set, 0, sizeof *set);
}

static const char *content_load(struct page_set *set, const char *bytes, uint64_t size)
{
    if (!size)
        return NULL;
    int fd = (int)SYSTEM(__NR_memfd_create, "aicc-image", MFD_CLOEXEC);
    if (fd < 0)
        return "memfd_create failed";
    set->memory_fd = fd;
    if (SYSTEM(__NR_ftruncate, fd, size) < 0 || SYSTEM(__NR_lseek, fd, 0, 0) < 0 || write_all(fd, bytes, size) < 0)
        return "cannot fill the image's memory file";
    return NULL;
}

static const char *region_check(const struct region_request *wanted, const struct load_request *load, const char *paths)
{
    uint64_t low = runner_low(), high = runner_low() + RESERVED_BYTES;
    uint64_t end = wanted->address + wanted->size_bytes;
    if ((wanted->address | wanted->size_bytes | wanted->source) % PAGE_BYTES || !wanted->size_bytes)
        return "a region is not made of whole pages";
    if (end < wanted->address || end > 0x7ffffffff000UL || wanted->address < 0x1000)
        return "a region is outside of the user address space";
    if (wanted->address < high && end > low)
        return "a region collides with the runner";
    if (wanted->kind == REGION_BYTES)
        return wanted->source + wanted->size_bytes < wanted->source
                       || wanted->source + wanted->size_bytes > load->content_bytes
                   ? "a region lies outside of the contents"
                   : NULL;
    if (wanted->kind != REGION_FILE || wanted->path >= load->path_bytes || paths[load->path_bytes - 1])
        return "a region's path is malformed";
    return NULL;
}

static const char *regions_load(struct page_set *set, const struct region_request *wanted,
                                const struct load_request *load, const char *paths)
{
    uint64_t file_paths[256];
    for (size_t i = 0; i < load->region_count; i++) {
        const char *problem = region_check(&wanted[i], load, paths);
        if (problem)
            return problem;
        struct region *region = &set->regions[i];
        *region = (struct region){wanted[i].address, wanted[i].size_bytes, wanted[i].source, (int)wanted[i].prot, -1};
        if (wanted[i].kind == REGION_BYTES) {
            region->fd = set->memory_fd;
            continue;
        }
        size_t known = 0;
        while (known < set->file_count && file_paths[known] != wanted[i].path)
            known++;
        if (known == set->file_count) {
            if (known == 256)
                return "an image maps more than 256 files";
            int fd = (int)SYSTEM(__NR_openat, AT_FDCWD, paths + wanted[i].path, O_RDONLY | O_CLOEXEC);
            if (fd < 0)
                return "cannot open a mapped file";
            file_paths[known] = wanted[i].path;
            set->files[set->file_count++] = fd;
        }
        region->fd = set->files[known];
    }
    return NULL;
}

const char *set_load(struct cursor *request)
{
    const struct load_request *load = take(request, sizeof *load);
    if (!load || load->set >= MAX_SETS || load->region_count > MAX_REGIONS)
        return "malformed load request";
    const struct region_request *wanted = take(request, load->region_count * sizeof *wanted);
    const char *paths = take(request, load->path_bytes);
    const char *content = take(request, load->content_bytes);
    if (request->failed)
        return "truncated load request";

    struct page_set *set = &sets[load->set];
    set_clear(set);
    set->table_bytes = load->region_count * sizeof *set->regions + 256 * sizeof *set->files;
    set->regions = pages_allocate(set->table_bytes);
    if (!set->regions)
        return "out of memory";
    set->files = (int *)(set->regions + load->region_count);
    const char *problem = content_load(set, content, load->content_bytes);
    if (!problem)
        problem = regions_load(set, wanted, load, paths);
    if (problem) {
        set_clear(set);
        return problem;
    }
    set->region_count = load->region_count;
    set->used = 1;
    return NULL;
}

const char *set_unload(struct cursor *request)
{
    const struct load_request *load = take(request, sizeof *load);
    if (!load || !set_find(load->set))
        return "no such page set";
    set_clear(&sets[load->set]);
    return NULL;
}
