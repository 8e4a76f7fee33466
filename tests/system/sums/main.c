#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

uint32_t sum_squares(const uint32_t *values, size_t count);
uint32_t sum_differences(const uint32_t *values, size_t count);

int main(int argc, char **argv)
{
    static uint32_t values[1024];
    int rounds = argc > 1 ? atoi(argv[1]) : 1000;
    uint32_t checksum = 0, state = 1;
    for (int round = 0; round < rounds; round++) {
        values[round % 1024] = state = state * 1664525 + 1013904223;
        checksum += sum_squares(values, 1000 + (size_t)round % 20);
        checksum ^= sum_differences(values, 1000 + (size_t)round % 20);
    }
    printf("%08x\n", checksum);
    return 0;
}
