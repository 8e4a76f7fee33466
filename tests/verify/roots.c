/* GCC and Clang ask about negative numbers in different ways, and treat NaNs differently: one calls sqrt for them, the other does not. */
#include <math.h>

__attribute__((noinline)) void roots(double *to, const double *from, long count)
{
    for (long i = 0; i < count; i++)
        to[i] = sqrt(from[i]);
}

#ifdef MAIN
#include <stdio.h>
int main(void)
{
    static double from[64], to[64];
    double sum = 0;
    for (int round = 0; round < 20000; round++) {
        for (int i = 0; i < 64; i++)
            from[i] = (i * 37 + round) % 101 * 0.25;
        roots(to, from, round % 64);
        sum += to[round % 64];
    }
    printf("%g\n", sum);
    return 0;
}
#endif
