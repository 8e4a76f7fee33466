#include "every_value.h"

#include <stdio.h>

int main(void)
{
    static unsigned char text[100];
    static struct item items[20];
    unsigned sum = 0;
    for (unsigned round = 0; round < 400; round++) {
        for (unsigned i = 0; i + 1 < sizeof text; i++)
            text[i] = (unsigned char)"the quick brown fox\njumps over"[(i * round + round % 7) % 30];
        for (unsigned i = 0; i < 20; i++)
            items[i] = (struct item){(unsigned char)(i + round % 20), 1, 2, i * round};
        struct scanner scanner = {text + round % 90, round & 7, 0};
        step(&scanner);
        sum += scanner.state + category(text[round % 97]) + price(round % 7 ? PEAR + round % 3 : APPLE);
        sum += weighed(items, round % 20) + (unsigned)ranked((char *)text + round % 31, (char *)text + round % 13);
        sum += (unsigned)matching(text, text + round % 33, round % 60);
        sum += (unsigned)count_of(text, round % 97, 'o') + (unsigned)first_other(text + round % 33, round % 60);
    }
    printf("%u\n", sum);
}
