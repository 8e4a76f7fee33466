long sum(const int *values, long count)
{
    long total = 0;
    for (long i = 0; i < count; i++)
        total += values[i];
    return total;
}

double scaled(double x)
{
    return x * 2.5;
}
