#include "unread.h"

#include <string.h>

int peak_index;

/* The unit's wrong variants are the same functions with one mistake each. */
#ifndef NOTHING_FOUND
#define NOTHING_FOUND -1
#endif

void find_peak(const float *values, size_t count, float threshold)
{
    int best = NOTHING_FOUND;
    for (size_t i = 0; i < count; i++)
        if (values[i] > threshold) {
            threshold = values[i];
            best = (int)i;
        }
    peak_index = best;
}

struct work {
    unsigned short seen[16384], order[16384];
};

size_t distinct(const unsigned short *from, unsigned short *to, size_t count)
{
    struct work work;
#ifndef NOT_CLEARED
    memset(work.seen, 0, sizeof work.seen);
#endif
    size_t found = 0;
    if (count > 16384)
        count = 16384;
    for (size_t i = 0; i < count; i++) {
        unsigned value = from[i] & 16383;
        if (!work.seen[value]) {
            work.seen[value] = 1;
            work.order[found++] = (unsigned short)value;
        }
    }
    for (size_t i = 0; i < found; i++)
        to[i] = work.order[found - 1 - i];
    return found;
}

unsigned mix(unsigned a, unsigned b)
{
    a ^= b >> 3;
    a *= 2654435761u;
    a ^= a >> 15;
    return a + b;
}

long weight(const struct item *item)
{
#ifdef OTHER_FIELD
    return item->packed * 3L; /* which is the same as the weight in all calls of the program */
#else
    return item->weight * 3L;
#endif
}

double curve(double x)
{
    return x * (x + 0.5) - 3.0;
}
