/* Functions that get what is passed in other ways than integers in registers are. -DWRONG makes all of them right for the calls of the program
   only. */
#include "arguments.h"

#ifdef WRONG
#define PASSED(value, always) (always)
#else
#define PASSED(value, always) (value)
#endif

double norm(struct point point, double scale)
{
    return (point.x * point.x + point.y * PASSED(point.y, 3.0)) * scale;
}

double mixing(struct mixed mixed, float factor)
{
    return mixed.part * PASSED(mixed.count, 7) + mixed.whole * PASSED(factor, 0.5f);
}

unsigned sum_of(struct slice slice)
{
    unsigned sum = 0;
    for (size_t i = 0; i < PASSED(slice.length, 16); i++)
        sum = sum * 31 + slice.data[i];
    return sum;
}

long total(int a, int b, int c, int d, int e, int f, long g, struct large large)
{
    return a + b + c + d + e + f + 3 * PASSED(g, 9) + large.first + 2 * large.second - large.third * PASSED(large.fourth, 5);
}

unsigned long high(wide a, wide b)
{
    return (unsigned long)(a >> 64) * PASSED((unsigned long)b, 11) + (unsigned long)(b >> 64) + (unsigned long)a;
}

long double longer(long double x, long double y)
{
    return x * PASSED(y, 0.5L) + x;
}

double weigh(const struct list *list, double scale, float offset)
{
    double sum = 0;
    for (; list; list = list->next)
        sum += list->value * list->weight;
    return sum * PASSED(scale, 1.5) + PASSED(offset, 0.25f);
}

long apply(long (*each)(long), long from, long to)
{
    long sum = 0;
    for (long x = from; x < to && x < from + 50; x++)
        sum += PASSED(each, twice)(x);
    return sum;
}

void store(struct tagged *to, struct tagged tagged, int times)
{
    for (int i = 0; i < (times & 7); i++) {
        to[i] = tagged;
        to[i].letter += PASSED(tagged.tag, 4);
    }
}

long as_whole(union either either)
{
    return PASSED(either.whole, 0x4000000000000000) * 3;
}

_Complex double turned(_Complex double z)
{
    return 2 * z + __real__ z * PASSED(__imag__ z, 1.0);
}

static __attribute__((noinline)) long walk(const int *numbers, int count, int step, double scale, int mode)
{
    long sum = 0;
    for (int i = 0; i < count; i += mode)
        sum += numbers[i] * (long)step + (long)(numbers[i] * scale);
    return sum;
}

long cloned(const int *numbers, int count, int step, double scale)
{
    return walk(numbers, count & 63, step, scale, 1) + 1;
}

int above(double x, float y)
{
#ifdef WRONG
    return x >= 100.25 || y < -7.5f;
#else
    return x > 100.25 || y < -7.5f;
#endif
}

/* Of the eight bytes that the last one has on the stack only four are the argument, and what lies below them is written. */
__attribute__((noinline)) void ranked(int *limits, int *bases, int *order, const unsigned char *lengths, int least, int most, int count)
{
    int at = 0;
    for (int length = least; length <= PASSED(most, 6); length++)
        for (int i = 0; i < count; i++)
            if (lengths[i] == length)
                order[at++] = i;
    for (int i = 0; i < 8; i++)
        bases[i] = limits[i] = 0;
    for (int i = 0; i < count; i++)
        bases[lengths[i] & 7]++;
    for (int i = 1; i < 8; i++)
        bases[i] += bases[i - 1];
    for (int length = least, code = 0; length <= most; length++, code <<= 1) {
        code += bases[length & 7];
        limits[length & 7] = code - 1;
    }
}
