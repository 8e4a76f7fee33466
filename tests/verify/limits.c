/* Floating-point comparisons of all kinds: against what is passed, against constants, some of which no number turns. */
#ifndef NAME
#define NAME limits
#endif

__attribute__((noinline)) double NAME(double *numbers, long count, double top)
{
    double sum = 0.0;
    for (long i = 0; i < count; i++) {
        double x = numbers[i], square = x * x + 0.5;
        if (square <= 0.25 || x < -150.0) /* no number has such a square */
            sum -= 2.0;
        else if (x > top)
            sum += 3.0 * top;
        else if (x >= 0.0)
            sum += x;
        else if (!(x < -100.0))
            sum -= 0.5;
        if (sum < -1000.0)
            sum = 0.0;
        numbers[i] = sum;
    }
    return sum;
}

#ifdef MAIN
#include <stdio.h>
int main(void)
{
    double total = 0;
    for (int round = 0; round < 20000; round++) {
        double numbers[24];
        for (int i = 0; i < 24; i++)
            numbers[i] = (i * 37 + round) % 101 - 40;
        total += NAME(numbers, round % 25, round % 60);
    }
    printf("%g\n", total);
    return 0;
}
#endif

#ifdef ORACLE
#include <math.h>
#include <stdint.h>
#include <string.h>
double limits(double *, long, double);

/* The same number, or NaNs, of which C says no more. */
static int same(double a, double b)
{
    return (a != a && b != b) || !memcmp(&a, &b, sizeof a);
}

/* Exit status 1 when the two differ on any of many calls, special values included. */
int main(void)
{
    static const double special[] = {0.0, -0.0, 1.0, -1.0, 60.0, -100.0, -101.0, -99.5, INFINITY, -INFINITY, NAN, 1e300, -1e300, 5e-324};
    uint64_t state = 1;
    for (int round = 0; round < 400000; round++) {
        double mine[8], theirs[8];
        for (int i = 0; i < 9; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            double value = state >> 62 ? special[(state >> 40) % 14] : (double)((int64_t)state >> 40) / 65536.0;
            theirs[i % 8] = value;
        }
        memcpy(mine, theirs, sizeof mine);
        long count = round % 9;
        double top = theirs[7], a = limits(mine, count, top), b = NAME(theirs, count, top);
        for (int i = 0; i < 8; i++)
            if (!same(mine[i], theirs[i]))
                return 1;
        if (!same(a, b))
            return 1;
    }
    return 0;
}
#endif
