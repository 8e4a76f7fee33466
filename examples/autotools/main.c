#include <stdio.h>

#include "fold.h"

int main(void)
{
    static unsigned char buffer[1 << 16]; /* even: only the last block may be odd */
    uint32_t sum = 0;
    for (size_t length; (length = fread(buffer, 1, sizeof buffer, stdin)) > 0;)
        sum = fold(sum, buffer, length);
    printf("%08lx\n", (unsigned long)sum);
    return 0;
}
