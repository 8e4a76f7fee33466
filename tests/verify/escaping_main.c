#include "escaping.h"
#include <stdio.h>

int main(void)
{
    unsigned sum = 0;
    for (int i = -20; i < 40; i++) {
        struct choice choice;
        int kinds[] = {i, i + 1, i + 5, i * 3};
        chosen(&choice, i);
        sum = sum * 31 + (unsigned)(named(i % 3)[0] + choice.steps[i & 3]) + (unsigned)weight(kinds, i & 3);
    }
    printf("%u\n", sum);
    return 0;
}
