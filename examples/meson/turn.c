#include <stdio.h>
#include <stdlib.h>

#include "transpose.h"

enum { MOST = 4096 };

/* Print a matrix transposed, and fail unless transposing it again gives the matrix back. */
int main(int argc, char **argv)
{
    static int matrix[MOST], turned[MOST], back[MOST];
    size_t rows = argc > 1 ? strtoul(argv[1], NULL, 10) : 0, columns = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    if (rows < 1 || rows > MOST || columns < 1 || columns > MOST / rows || (size_t)argc != 3 + rows * columns) {
        fprintf(stderr, "usage: %s ROWS COLUMNS VALUE...\n", argv[0]);
        return 1;
    }
    for (size_t i = 0; i < rows * columns; i++)
        matrix[i] = atoi(argv[i + 3]);
    transpose(turned, matrix, rows, columns);
    transpose(back, turned, columns, rows);
    for (size_t i = 0; i < rows * columns; i++) {
        printf("%d%c", turned[i], (i + 1) % rows ? ' ' : '\n');
        if (back[i] != matrix[i])
            return 2;
    }
    return 0;
}
