/* Functions that the verifier's tests compile with several compilers and break in many ways. */
#include <stddef.h>
#include <stdint.h>

int table[16] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 3};

uint32_t checksum(const uint8_t *data, size_t length)
{
    uint32_t sum = 1;
    for (size_t i = 0; i < length; i++)
        sum = sum * 31 + data[i];
    return sum;
}

void add_arrays(int *to, const int *a, const int *b, int count)
{
    for (int i = 0; i < count; i++)
        to[i] = a[i] + b[i];
}

int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

double scale(double *values, int count, double factor)
{
    double last = 0.0;
    for (int i = 0; i < count; i++)
        last = values[i] *= factor;
    return last;
}

int lookup(int index)
{
    return table[index & 15]++;
}

/* The second condition holds for one value of 2^32, and leads where the first one leads. */
int guarded(const uint32_t *words, int count)
{
    if (count < 1 || (words[0] * 0x9E3779B1u ^ words[0] >> 3) == 0x5EEDFACE)
        return -1;
    return (int)(words[0] >> 5);
}

#ifdef MAIN
#include <stdio.h>
int main(void)
{
    uint8_t bytes[300];
    int a[40], b[40], to[40];
    double values[40], total = 0;
    unsigned sum = 0;
    for (int i = 0; i < 300; i++)
        bytes[i] = (uint8_t)(i * 7);
    for (int i = 0; i < 40; i++)
        a[i] = i, b[i] = 1000 - i * i, values[i] = i * 0.5;
    for (int round = 0; round < 60000; round++) {
        sum += checksum(bytes, (size_t)(round % 300));
        add_arrays(to, a, b, round % 40);
        sum += (unsigned)clamp(to[round % 40], -100, 500);
        total += scale(values, round % 40, round & 1 ? 2.0 : 0.5);
        sum += (unsigned)lookup(round) + (unsigned)guarded((const uint32_t *)bytes + round % 70, round % 3);
    }
    printf("%u %g\n", sum, total);
    return 0;
}
#endif
