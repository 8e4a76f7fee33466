#include <stdint.h>
#include <stdio.h>

uint32_t two_sums(uint32_t start, const uint8_t *data, unsigned long length);

int main(void)
{
    uint8_t data[200];
    uint32_t sums = 1;
    for (unsigned i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 37 + 11);
    for (unsigned i = 0; i < 100000; i++)
        sums = two_sums(sums, data, i % 4 ? i % 150 : 1);
    printf("%x\n", sums);
}
