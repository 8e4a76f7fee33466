#include <stdio.h>

#include "letters.h"

int main(int argc, char **argv)
{
    static char buffer[1 << 16];
    unsigned long counts[LETTERS] = {0};
    unsigned char order[LETTERS];
    FILE *file = argc > 1 ? fopen(argv[1], "r") : stdin;
    if (!file) {
        perror(argv[1]);
        return 1;
    }
    for (size_t length; (length = fread(buffer, 1, sizeof buffer, file)) > 0;)
        count_letters(counts, buffer, length);
    rank_letters(order, counts);
    for (int i = 0; i < LETTERS && counts[order[i]]; i++)
        printf("%c %lu\n", 'a' + order[i], counts[order[i]]);
    return 0;
}
