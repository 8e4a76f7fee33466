/* Functions with every kind of argument and caller, for two bodies behind one name. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef double v2 __attribute__((vector_size(16)));
struct big { long a[5]; };

__attribute__((noinline)) double many(int a, long b, char c, short d, unsigned e, long f, double g, double h, double i, double j,
                                      double k, double l, double m, double n, double o, long p, long q)
{
    return a + 2.0 * b + 3 * c + 4 * d + 5.0 * e + 6 * f + g + h * 2 + i * 3 + j * 4 + k * 5 + l * 6 + m * 7 + n * 8 + o * 9 + p - q;
}

__attribute__((noinline)) double sum(int count, ...)
{
    va_list list;
    double total = 0;
    va_start(list, count);
    for (int i = 0; i < count; i++)
        total += i & 1 ? va_arg(list, int) : va_arg(list, double);
    va_end(list);
    return total;
}

__attribute__((noinline)) v2 vectors(v2 a, v2 b, v2 c) { return a * b - c; }

__attribute__((noinline)) struct big by_value(struct big b, int n)
{
    for (int i = 0; i < 5; i++)
        b.a[i] = b.a[i] * n + i;
    return b;
}

static __attribute__((noinline)) unsigned local(const unsigned *p, int n)
{
    unsigned h = 7;
    for (int i = 0; i < n; i++)
        h += p[i] * (unsigned)i ^ p[n - 1 - i];
    return h;
}

__attribute__((noinline)) int table(int op, int a, int b)
{
    switch (op) {
    case 0: return a + b;
    case 1: return a - b;
    case 2: return a * b;
    case 3: return a ^ b;
    case 4: return a | b;
    case 5: return a << (b & 7);
    case 6: return local((unsigned[]){a, b, op}, 3);
    case 7: return printf("op %d\n", a);
    default: return -1;
    }
}

__attribute__((noinline)) long recursive(int n) { return n < 2 ? n : recursive(n - 1) + 3 * recursive(n - 2) + (n & 1); }

__attribute__((noinline)) int checked(const int *p, int n)
{
    int s = 0;
    for (int i = 0; i < n; i++) {
        if (__builtin_expect(p[i] < 0, 0)) {
            fprintf(stderr, "negative at %d\n", i);
            abort();
        }
        s += p[i] ^ i;
    }
    return s;
}

int (*volatile pointer)(int, int, int) = table;

int main(void)
{
    unsigned words[100];
    int numbers[100];
    for (int i = 0; i < 100; i++)
        words[i] = (numbers[i] = i * i) * 2654435761u;
    struct big b = by_value((struct big){{1, 2, 3, 4, 5}}, 3);
    v2 v = vectors((v2){1, 2}, (v2){3, 4}, (v2){5, 6});
    for (int round = 0; round < 3; round++) {
        printf("%.17g\n", many(1, 2, 3, 4, 5, 6, 1.5, 2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 8.5, 9.5, 10, 11));
        printf("%.17g\n", sum(6, 1.25, 2, 3.5, 4, 5.75, 6));
        printf("%g %g %ld %ld\n", v[0], v[1], b.a[0], b.a[4]);
        for (int n = 1; n < 100; n += 13)
            printf("%u %d\n", local(words, n), checked(numbers, n));
        for (int op = -1; op < 9; op++)
            printf("%d %d\n", table(op, 21 + round, 4), pointer(op, 5, round));
        printf("%ld\n", recursive(12));
    }
    return 0;
}
