#include "references.h"
#include <stdio.h>
#include <string.h>

int main(void)
{
    static const char *const texts[] = {"salt, and pepper too", "fish with chips", "this or that one, all the same", "plain words only"};
    long all = 0;
    for (int i = 0; i < 64; i++)
        all += unescaped(texts[i % 4], strlen(texts[i % 4]) - i / 16);
    printf("%ld\n", all);
    return 0;
}
