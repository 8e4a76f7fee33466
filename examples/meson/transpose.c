#include "transpose.h"

enum { BLOCK = 16 };

void transpose(int *restrict to, const int *restrict from, size_t rows, size_t columns)
{
    for (size_t top = 0; top < rows; top += BLOCK)
        for (size_t left = 0; left < columns; left += BLOCK)
            for (size_t i = top; i < rows && i < top + BLOCK; i++)
                for (size_t k = left; k < columns && k < left + BLOCK; k++)
                    to[k * rows + i] = from[i * columns + k];
}
