#include <stdio.h>
#include <stdlib.h>

#include "histogram.h"

enum { MOST = 64 };

int main(int argc, char **argv)
{
    unsigned counts[MOST];
    double values[MOST];
    size_t bins = argc > 1 ? strtoul(argv[1], NULL, 10) : 0, length = 0;
    if (bins < 1 || bins > MOST || argc < 3 || argc - 2 > MOST) {
        fprintf(stderr, "usage: %s BINS VALUE... (at most %d of each)\n", argv[0], MOST);
        return 1;
    }
    for (; length < (size_t)argc - 2; length++)
        values[length] = strtod(argv[length + 2], NULL);
    histogram(counts, bins, values, length);
    for (size_t bin = 0; bin < bins; bin++) {
        for (unsigned i = 0; i < counts[bin]; i++)
            putchar('#');
        putchar('\n');
    }
    return 0;
}
