#include <stdio.h>

int main(void)
{
    unsigned n, total = 0;
    if (scanf("%u", &n) != 1)
        return 0;
    for (unsigned i = 1; i <= n; i++) {
        unsigned x = i * 2654435761u;
        while (x) {
            total += x & 1;
            x >>= 1;
        }
    }
    printf("%u\n", total);
    return 0;
}
