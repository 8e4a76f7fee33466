#include <stddef.h>
#include <stdint.h>

struct span {
    const unsigned char *data;
    size_t size;
};

void fill_ascending(uint32_t *to, uint32_t first, size_t count);
unsigned hash_of(const struct span *span, unsigned start);
