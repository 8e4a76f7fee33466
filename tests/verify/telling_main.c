#include "telling.h"
#include <stdio.h>
#include <string.h>

enum { SIZE = 400 };

int main(void)
{
    static unsigned char block[SIZE + 64];
    static unsigned short ranks[SIZE + 64];
    static struct entry entries[64];
    static const char text[] = "in the beginning\twas a rather long line of text, and it had no end\nthat anybody knew of";
    unsigned seed = 1, sum = 0;
    int count = 0;
    for (int i = 0; i < SIZE + 64; i++) {
        block[i] = i < SIZE ? "abab"[(i / 3) % 4] : block[i - SIZE];
        ranks[i] = i < SIZE ? (unsigned short)(i * 7 % 5) : ranks[i - SIZE];
    }
    for (int i = 0; i < 300; i++) {
        seed = seed * 1103515245u + 12345u;
        sum = sum * 31 + (unsigned)is_greater(seed >> 16 & 255, seed >> 8 & 255, block, ranks, SIZE);
        if (count < 60)
            count = insert(entries, count, (int)(seed >> 20 & 63) - 20, i);
        sum = sum * 31 + (unsigned)wrapped(text, (int)sizeof text - 1 - i % 40, 8 + i % 50);
    }
    printf("%u %d\n", sum, count);
    return 0;
}
