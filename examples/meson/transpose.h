#ifndef TRANSPOSE_H
#define TRANSPOSE_H

#include <stddef.h>

/* Write the transpose of `from`, `rows` times `columns` in rows, to `to`. The two do not overlap. */
void transpose(int *restrict to, const int *restrict from, size_t rows, size_t columns);

#endif
