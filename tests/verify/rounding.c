/* Numbers that are rounded, next to a limit, or too large; and a result in two x87 registers. -DWRONG=n makes one of them wrong. */
#include <stdint.h>

#ifndef WRONG
#define WRONG 0
#endif

__attribute__((noinline)) void to_doubles(double *to, const uint64_t *from, int count)
{
    for (int i = 0; i < count; i++)
#if WRONG == 1 /* without the last bit, which decides between two doubles */
        to[i] = (int64_t)from[i] >= 0 ? (double)(int64_t)from[i] : 2 * (double)(int64_t)(from[i] >> 1);
#else
        to[i] = (double)from[i];
#endif
}

__attribute__((noinline)) void to_floats(float *to, const uint64_t *from, int count)
{
    for (int i = 0; i < count; i++)
#if WRONG == 2 /* rounds twice */
        to[i] = (float)(double)from[i];
#else
        to[i] = (float)from[i];
#endif
}

__attribute__((noinline)) _Complex long double turned(_Complex long double z)
{
    __real__ z -= 1;
    __imag__ z = __imag__ z * 3 + (WRONG == 3);
    return z;
}

__attribute__((noinline)) int below(const float *numbers, int count)
{
    int found = 0;
    for (int i = 0; i < count; i++)
#if WRONG == 4 /* no other float lies between the two */
        found += numbers[i] < 0.7f;
#else
        found += (double)numbers[i] < 0.7;
#endif
    return found;
}

__attribute__((noinline)) uint32_t two_sums(uint32_t start, const uint8_t *data, unsigned long length)
{
    uint32_t low = start & 0xffff, high = start >> 16;
    while (length) {
        unsigned long most = WRONG == 5 ? 5800 : 5552, count = length < most ? length : most; /* 5,800 times 255 are too many for 32 bits */
        length -= count;
        for (; count; count--) {
            low += *data++;
            high += low;
        }
        low %= 65521;
        high %= 65521;
    }
    return high << 16 | low;
}

__attribute__((noinline)) uint32_t blended(const uint8_t *one, const uint8_t *other, int count)
{
    uint32_t sum = 0;
    for (int i = 0; i < count; i++) {
        uint32_t product = (uint32_t)one[i] * other[i];
        sum = sum * 7 + (WRONG == 6 ? (product * 32897 + 16384) >> 23 : product / 255); /* wrong for six products */
    }
    return sum;
}

#ifdef MAIN
int main(void)
{
    static uint64_t from[40];
    static double doubles[40];
    static float floats[40];
    double sum = 0;
    for (int round = 0; round < 24; round++) {
        for (int i = 0; i < 40; i++)
            from[i] = (uint64_t)(i + 3) * 0x9E3779B97F4A7C15u >> (round + i) % 40;
        to_doubles(doubles, from, round);
        to_floats(floats, from, round);
        _Complex long double z = round + 0.5L;
        __imag__ z = round * 0.25L;
        z = turned(z);
        sum += blended((const uint8_t *)from, (const uint8_t *)from + 50, round);
        sum += below(floats, round) + two_sums(1, (const uint8_t *)from, (unsigned long)round * 13);
        sum += doubles[round] + floats[round] + (double)__imag__ z;
    }
    return sum == 0;
}
#endif
