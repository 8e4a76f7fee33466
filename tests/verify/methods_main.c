#include "methods.h"
#include <stdio.h>

static long some(struct stream *stream, char *out, long room, int tries)
{
    (void)tries;
    long size = stream->size - stream->at;
    size = size > 3 ? 3 : size;
    size = size > room ? room : size;
    for (long i = 0; i < size; i++)
        out[i] = stream->data[stream->at + i];
    stream->at += size;
    return size;
}

static int rewound(struct stream *stream)
{
    stream->at = 0;
    return 0;
}

static void noted(struct stream *stream, double part, int tries)
{
    (void)part, (void)tries;
    stream->flags ^= 8;
}

static void told(struct stream *stream, long got, long room)
{
    (void)room;
    stream->flags ^= got & 16;
}

int main(void)
{
    static const struct methods methods = {some, rewound, noted};
    char out[64];
    long all = 0;
    for (int k = 0; k < 300; k++) {
        struct stream stream = {&methods, "hello world, how are you", k % 3, 5 + k % 19, k % 8, k & 8 ? told : 0};
        all += slurp(&stream, out, 1 + k % 30);
    }
    printf("%ld\n", all);
    return 0;
}
