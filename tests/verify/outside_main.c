#include "outside.h"

#include <stdio.h>
#include <stdlib.h>

static unsigned notes;

void note_first(struct sink *sink, int value)
{
    fprintf(stderr, "%u %d %d\n", notes++, sink->used, value);
}

void note_second(struct sink *sink, int value)
{
    fprintf(stderr, "%u %d %d!\n", notes++, sink->used, value);
}

void fail(const char *why, int value)
{
    fprintf(stderr, "%s: %d\n", why, value);
    exit(3);
}

int main(void)
{
    unsigned char data[40] = {1, 2, 3};
    struct sink sink = {0, 0, 100, 0, data, 0};
    struct sink closed = {0, 0, 0, 0, 0, 0};
    long sum = 0;
    for (int i = 0; i < 3000000; i++) {
        data[i % 40]++;
        sum += collect(&sink, data, i % 40) + reserve(&sink, i % 100) + drain(&closed, 0) + two_notes(&sink, i % 100);
        sum += checked(&sink, i % 40);
    }
    printf("%ld\n", sum);
    return 0;
}
