#include "stretches.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    struct window window = {malloc(4096), 0, 0, 4096};
    for (int i = 0; i < 4096; i++)
        window.text[i] = (unsigned char)(i * i >> 3);
    int sum = 0;
    for (int i = 0; i < 3000000; i++) {
        window.at = 1000 + i % 1009;
        window.before = window.at - 600 - i % 400;
        sum += agreeing(&window);
        unsigned four;
        memcpy(&four, window.text + window.at, 4);
        sum += repeated(window.text + window.at, window.text + 3000 + i % 7, four);
    }
    printf("%d\n", sum);
}
