#include "variables.h"

#include <stdio.h>

long weights[2048] = {[5] = 3, [2000] = 4000};
static long reported;

__attribute__((noinline)) void report(long kind)
{
    reported += kind;
}

int main(void)
{
    long sum = 0;
    for (long i = 0; i < 100000; i++)
        sum += weigh(8 + i % 5, i);
    return printf("%ld %ld\n", sum, reported) < 0;
}
