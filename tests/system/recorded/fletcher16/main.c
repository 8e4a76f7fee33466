#include "codecs.h"

#include <stdio.h>

int main(void)
{
    static uint8_t data[8192];
    uint32_t sum = 0;
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 37 + i / 11 + (i & 16));
    for (unsigned i = 0; i < 60000; i++)
        sum += codec_fletcher16(data + i % 977, 6000 + i % 1000);
    printf("%u\n", sum);
}
