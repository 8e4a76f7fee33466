#include "passed.h"

#include <stdio.h>

/* No call of the program changes anything in them: what they are passed shows nowhere else. */
static long surprises;
#define LOOK(value) ((value) == 123456789 ? surprises++ : 0)

void take_number(int number, double value, float single) { LOOK(number), LOOK(value), LOOK(single); }
void take_pair(int number, struct pair pair) { LOOK(number), LOOK(pair.first), LOOK(pair.second); }
void take_point(struct point point, int number) { LOOK(point.x), LOOK(point.y), LOOK(number); }
void take_segment(int number, struct segment segment) { LOOK(number), LOOK(segment.from), LOOK(segment.to); }
void take_mixed(struct mixed mixed, int number) { LOOK(mixed.weight), LOOK(mixed.count), LOOK(number); }
void take_large(int number, struct large large)
{
    LOOK(number), LOOK(large.last);
    for (int i = 0; i < 4; i++)
        LOOK(large.many[i]);
}
void take_many(long a, long b, long c, long d, long e, long f, long g, long h, long i, long j, long k, long l, long m,
               long n, long o, int p)
{
    LOOK(a + b + c + d + e + f), LOOK(g), LOOK(h + i + j + k + l + m + n), LOOK(o), LOOK(p);
}
void take_wide(int number, __int128 wide) { LOOK(number), LOOK(wide); }
void take_extended(int number, long double extended) { LOOK(number), LOOK(extended); }
void take_complex(int number, double complex both) { LOOK(number), LOOK(creal(both)), LOOK(cimag(both)); }
void take_vector(int number, four vector) { LOOK(number), LOOK(vector[0]), LOOK(vector[1]), LOOK(vector[2]), LOOK(vector[3]); }
void take_some(int count, ...)
{
    va_list arguments;
    va_start(arguments, count);
    LOOK(va_arg(arguments, int)), LOOK(va_arg(arguments, double));
    for (int i = 0; i < 5; i++)
        LOOK(va_arg(arguments, long));
    va_end(arguments);
}
void take_format(const char *format, ...)
{
    char text[200];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    LOOK(text[0]);
    va_end(arguments);
}
void take_options(const struct options *options)
{
    LOOK(options->kind), LOOK(options->level), LOOK(options->name[0]), LOOK(options->limit), LOOK(options->text[3]);
}
void take_text(const char *text, int number) { LOOK(text[14]), LOOK(number); }
void take_reference(int number, double *value) { LOOK(number), LOOK(*value); }
void take_anything(int number, double value, int c, int d, int e, int f, int g, int h)
{
    LOOK(number), LOOK(value), LOOK(c + d + e + f), LOOK(g), LOOK(h);
}
void take_part(const struct options *options) { LOOK(options->kind), LOOK(options->level); }
void take_count(const long *numbers, unsigned long count)
{
    for (unsigned long i = 0; i < count; i++)
        LOOK(numbers[i]);
}
void take_context(void *context) { LOOK(((struct pair *)context)->first); }
void take_union(union either either) { LOOK(either.whole); }
static void told(struct listener *listener, double value, int number)
{
    LOOK(listener->count), LOOK(value), LOOK(number);
}

int main(void)
{
    struct listener listener = {told, 4};
    long sum = 0;
    for (int i = 0; i < 500; i++) {
        double value = i * 1.25;
        sum += by_number(i, value) + by_pair(i, 3L * i) + by_point(i, (float)value) + by_segment(i, value);
        sum += by_mixed(i, value) + by_large(i, 5L * i) + by_many(i, 7L * i) + by_wide(i, 77L * i);
        sum += by_extended(i, value) + by_complex(i, value) + by_vector(i, (float)value) + by_ellipsis(i, value);
        sum += by_format(i, value) + by_options(i, value) + by_text(i, i) + by_reference(i, value);
        sum += by_part(i, value) + by_count(i, i) + by_context(i, i) + by_union(i, value) + by_plain_text(i, value);
        sum += by_listener(&listener, value) + by_declaration(i, value);
    }
    printf("%ld %ld\n", sum, surprises);
    return 0;
}
