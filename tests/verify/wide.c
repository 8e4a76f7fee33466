/* Counts to n; GCC compares with the end of the elements instead, which wraps. */
long total(const long *elements, unsigned long n)
{
    long sum = 0;
    for (unsigned long i = 0; i < n; i++)
        sum += elements[i];
    return sum;
}

typedef float vector __attribute__((vector_size(16)));

/* Without optimisation, `unused` is stored with an instruction that wants its alignment. */
int first(const int *elements, float value)
{
    vector unused = {value, value, value, value};
    (void)unused;
    return elements[0];
}
