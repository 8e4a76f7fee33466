#include <stdio.h>
#include <string.h>

static char composite[2000001];

int main(void)
{
    int n, count = 0;
    if (scanf("%d", &n) != 1)
        return 0;
    memset(composite, 0, n + 1);
    for (int i = 2; i <= n; i++) {
        if (composite[i])
            continue;
        count++;
        for (long j = (long)i * i; j <= n; j += i)
            composite[j] = 1;
    }
    printf("%d\n", count);
    return 0;
}
