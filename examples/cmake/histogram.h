#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stddef.h>

/* Count the values by `bins` intervals of equal width from the smallest value to the largest. */
void histogram(unsigned *counts, size_t bins, const double *values, size_t length);

#endif
