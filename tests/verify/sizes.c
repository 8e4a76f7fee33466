/* Sizes of 64 bits. With NARROW only their lower halves count. */
#include "sizes.h"

#ifdef NARROW
typedef uint32_t number;
#else
typedef size_t number;
#endif

void fill_ascending(uint32_t *to, uint32_t first, size_t count)
{
    for (number i = 0; i < (number)count; i++)
        to[i] = first += 3;
}

unsigned hash_of(const struct span *span, unsigned start)
{
    const unsigned char *data = span->data;
    for (number left = (number)span->size; left; left--)
        start = start * 31 + *data++;
    return start;
}
