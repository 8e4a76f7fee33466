#include <stdio.h>

static int gcd(int a, int b)
{
    return b ? gcd(b, a % b) : a;
}

int main(void)
{
    int n;
    long total = 0;
    if (scanf("%d", &n) != 1)
        return 0;
    for (int i = 1; i <= n; i++)
        for (int j = i + 1; j <= n; j++)
            total += gcd(i, j);
    printf("%ld\n", total);
    return 0;
}
