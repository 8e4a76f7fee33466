#include <stddef.h>
#include <stdint.h>

uint32_t sum_squares(const uint32_t *values, size_t count)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += values[i] * values[i];
    return sum;
}

uint32_t sum_differences(const uint32_t *values, size_t count)
{
    uint32_t sum = 0;
    for (size_t i = 1; i < count; i++)
        sum += (values[i] ^ values[i - 1]) * 3;
    return sum;
}
