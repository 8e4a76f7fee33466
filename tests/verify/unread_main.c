#include <stdio.h>

#include "unread.h"

int main(void)
{
    static float values[100];
    static unsigned short numbers[300], found[300];
    unsigned long sum = 0;
    double total = 0;
    for (unsigned round = 0; round < 300; round++) {
        for (unsigned i = 0; i < 100; i++)
            values[i] = (float)((i * 37 + round * 11) % 91);
        for (unsigned i = 0; i < 300; i++)
            numbers[i] = (unsigned short)(i * round * 7919 % 997);
        struct item item = {(int)round, (int)round, 3};
        find_peak(values, round % 100, round % 3 ? 50 : 100);
        sum += (unsigned long)peak_index + distinct(numbers, found, round) + mix(round, 7 * round);
        sum += (unsigned long)weight(&item);
        total += curve(round / 7.0);
    }
    printf("%lu %f\n", sum, total);
}
