#include <stdio.h>

static long best[100001];

int main(void)
{
    int n, capacity;
    if (scanf("%d%d", &n, &capacity) != 2 || capacity > 100000)
        return 0;
    for (int i = 0; i < n; i++) {
        int weight, value;
        if (scanf("%d%d", &weight, &value) != 2)
            return 0;
        for (int w = capacity; w >= weight; w--)
            if (best[w - weight] + value > best[w])
                best[w] = best[w - weight] + value;
    }
    printf("%ld\n", best[capacity]);
    return 0;
}
