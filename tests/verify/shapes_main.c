#include "shapes.h"

#include <stdio.h>

int log_number(struct log *log, long value)
{
    log->sum = log->sum * 31 + (unsigned)value;
    return (int)++log->lines;
}

int log_text(struct log *log, const char *text)
{
    for (; *text; text++)
        log->sum = log->sum * 33 + (unsigned char)*text;
    return (int)++log->lines;
}

int main(void)
{
    struct header header = {0x4D5A90AB, 7, 0};
    struct log log = {0, 0, 0};
    const char *words[] = {"", "whale", "for", "while"};
    long sum = 0;
    for (int i = 0; i < 3000000; i++) {
        header.flags = (unsigned short)i;
        sum += decide(i & 1, i) + magic(&header, 4) + keyword(words[i & 1]);
        sum += report(&log, i % 4, i, 0);
    }
    printf("%ld %u\n", sum, log.sum);
    return 0;
}
