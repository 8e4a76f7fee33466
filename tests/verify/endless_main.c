#include <stdio.h>

unsigned long waits(unsigned long turns, unsigned long other);

unsigned long waited(unsigned long turns)
{
    volatile unsigned long at = 0;
    while (at < turns)
        at++;
    return at;
}

int main(void)
{
    unsigned long sum = 0;
    for (unsigned long i = 0; i < 40; i++)
        sum += waits(i, 20);
    printf("%lu\n", sum);
    return 0;
}
