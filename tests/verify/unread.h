#include <stddef.h>

struct item {
    int weight, packed, count;
};

void find_peak(const float *values, size_t count, float threshold);
size_t distinct(const unsigned short *from, unsigned short *to, size_t count);
unsigned mix(unsigned a, unsigned b);
long weight(const struct item *item);
double curve(double x);

extern int peak_index;
