/* `across` keeps values in call-clobbered registers across calls of `leaf`, which GCC lets it do with -fipa-ra. */
static __attribute__((noinline, noclone)) long leaf(long a, long b)
{
    return a * b + 3;
}

static __attribute__((noinline, noclone)) double scale(double x)
{
    return x * 1.5;
}

static __attribute__((noinline, noclone)) long middle(long a)
{
    return leaf(a, a) + 7;
}

long across(long a, long b, long c, long d)
{
    return leaf(a, b) * c + d;
}

double vectors(double x, double y)
{
    return scale(x) + y;
}

long above(long a, long b, long c, long d, long e)
{
    return middle(a) + e;
}

long nothing_kept(long a)
{
    return middle(a);
}
