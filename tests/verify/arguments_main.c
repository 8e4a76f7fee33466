#include <stdio.h>
#include <string.h>

#include "arguments.h"

long twice(long x)
{
    return 2 * x;
}

int main(void)
{
    static const unsigned char text[16] = "sixteen letters";
    static int numbers[64];
    struct list last = {NULL, 2.5, 3}, first = {&last, 1.5, 4};
    double sum = 0;
    for (int i = 0; i < 64; i++)
        numbers[i] = i * i;
    for (int i = 0; i < 300; i++) {
        struct tagged tagged, to[8];
        memset(&tagged, 0, sizeof tagged);
        tagged.tag = 4;
        tagged.letter = (char)i;
        sum += norm((struct point){i / 3.0, 3.0}, i);
        sum += mixing((struct mixed){(float)i, 7, i / 5.0}, 0.5f);
        sum += sum_of((struct slice){text, 16});
        sum += (double)total(i, 1, 2, 3, 4, 5, 9, (struct large){i, 2 * i, 3 * i, 5});
        sum += (double)high((wide)i << 70 | i, (wide)i << 64 | 11);
        sum += (double)longer(i, 0.5L);
        sum += weigh(&first, 1.5, 0.25f);
        sum += (double)apply(twice, i, i + 5);
        sum += above(i / 2.1, 9.0f - (float)i);
        store(to, tagged, i);
        sum += (double)as_whole((union either){.real = 2.0});
        sum += __real__ turned(i + 1.0i);
        sum += (double)cloned(numbers, 20, 3, 0.5);
    }
    for (int i = 0; i < 40; i++) {
        int limits[8], bases[8], order[32];
        unsigned char lengths[32];
        for (int j = 0; j < 32; j++)
            lengths[j] = (unsigned char)(1 + (j * 7 + i) % 6);
        ranked(limits, bases, order, lengths, 1, 6, 20 + i % 12);
        sum += order[3] + limits[5];
    }
    printf("%f\n", sum);
}
