#include "callees.h"

#include <stdarg.h>
#include <stdio.h>

int work(int value) { return value * 3; }

void report(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
}

int unprototyped(value) int value; { return value / 5; }

static int told(struct observer *observer, int value) { return (int)observer->sum ^ value; }

int main(void)
{
    struct observer observer = {told, 0};
    long sum = 0;
    for (int i = 0; i < 2000; i++)
        sum += tally(i) + notify(&observer, i * 77) + limited(i % 900) + old_style(i * 9);
    printf("%ld\n", sum);
    return 0;
}
