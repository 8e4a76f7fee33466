#include "histogram.h"

void histogram(unsigned *counts, size_t bins, const double *values, size_t length)
{
    double low = values[0], high = values[0];
    for (size_t i = 1; i < length; i++) {
        low = values[i] < low ? values[i] : low;
        high = values[i] > high ? values[i] : high;
    }
    for (size_t i = 0; i < bins; i++)
        counts[i] = 0;
    double scale = high > low ? (double)bins / (high - low) : 0;
    for (size_t i = 0; i < length; i++) {
        size_t bin = (size_t)((values[i] - low) * scale);
        counts[bin < bins ? bin : bins - 1]++;
    }
}
