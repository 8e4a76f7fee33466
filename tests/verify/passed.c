/* One function for each way in which a callee is passed something. With WRONG, the one of that number passes something else. */
#include "passed.h"

#include <stdio.h>
#include <string.h>

#ifndef WRONG
#define WRONG 0
#endif
#define ELSE(number) (WRONG == (number))

int by_number(int number, double value)
{
    take_number(number, value + ELSE(1), (float)number + (float)(2 * ELSE(2)));
    return number + 1;
}

int by_pair(int number, long value)
{
    struct pair pair = {value, number + ELSE(3)};
    take_pair(number, pair);
    return number + 1;
}

int by_point(int number, float value)
{
    struct point point = {value, value * 2 + (float)ELSE(4)};
    take_point(point, number);
    return number + 1;
}

int by_segment(int number, double value)
{
    struct segment segment = {value, value + number + ELSE(5)};
    take_segment(number, segment);
    return number + 1;
}

int by_mixed(int number, double value)
{
    struct mixed mixed = {value + ELSE(6), number + ELSE(7)};
    take_mixed(mixed, number);
    return number + 1;
}

int by_large(int number, long value)
{
    struct large large = {{value, number, 3, value + ELSE(8)}, number + ELSE(9)};
    take_large(number, large);
    return number + 1;
}

int by_many(int number, long value)
{
    take_many(1, 2, 3, 4, 5, 6, number + ELSE(10), 8, 9, 10, 11, 12, 13, 14, value + ELSE(11), number + ELSE(12));
    return number + 1;
}

int by_wide(int number, long value)
{
    take_wide(number, (__int128)value * number + ((__int128)ELSE(13) << 64));
    return number + 1;
}

int by_extended(int number, double value)
{
    take_extended(number, (long double)value + ELSE(14));
    return number + 1;
}

int by_complex(int number, double value)
{
    double complex both = value + (number + ELSE(15)) * I;
    take_complex(number, both);
    return number + 1;
}

int by_vector(int number, float value)
{
    four vector = {value, 1, (float)number, value + (float)ELSE(16)};
    take_vector(number, vector);
    return number + 1;
}

int by_ellipsis(int number, double value)
{
    take_some(2, number, value + ELSE(17), 3L, 4L, 5L, 6L, (long)number + ELSE(18));
    return number + 1;
}

int by_format(int number, double value)
{
    take_format("%d %f %Lf\n", number, value + ELSE(19), (long double)value + ELSE(20));
    return number + 1;
}

int by_options(int number, double value)
{
    struct options options = {'a', number + ELSE(21), "name", value + ELSE(22), "text"};
    options.text[3] = (char)('a' + (number & 7) + ELSE(23));
    take_options(&options);
    return number + 1;
}

int by_text(int number, int value)
{
    char text[32] = "the number is ";
    text[14] = (char)('a' + (value & 15) + ELSE(24));
    text[15] = 0;
    take_text(text, number);
    return number + 1;
}

int by_reference(int number, double value)
{
    double kept = value + ELSE(25);
    take_reference(number, &kept);
    return number + (kept > 3);
}

int by_listener(struct listener *listener, double value)
{
    listener->told(listener, value + ELSE(26), 5);
    return listener->count + 1;
}

int by_declaration(int number, double value)
{
    take_anything(number, value + ELSE(27), 3, 4, 5, 6, number, number + ELSE(28));
    return number + 1;
}

int by_part(int number, double value)
{
    struct options options; /* what is not set has no contents */
    options.level = number + (value > 3) + ELSE(29);
    options.kind = 'b';
    take_part(&options);
    return number + 1;
}

int by_count(int number, long value)
{
    long numbers[5] = {1, number, 3, value + ELSE(30), 5};
    take_count(numbers, 4);
    return number + 1;
}

int by_context(int number, long value)
{
    struct pair pair = {value + ELSE(31), number};
    take_context(&pair);
    return number + 1;
}

int by_union(int number, double value)
{
    union either either;
    either.whole = value + ELSE(32);
    take_union(either);
    return number + 1;
}

int by_plain_text(int number, double value)
{
    double product = value * number;
    if (product > 50)
        take_format(ELSE(33) ? "too little\n" : "too much\n");
    return number + (product < 1e9 ? (int)product : 0);
}
