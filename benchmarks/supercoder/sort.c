#include <stdio.h>

static int values[20000];

int main(void)
{
    int n;
    if (scanf("%d", &n) != 1 || n > 20000)
        return 0;
    for (int i = 0; i < n; i++)
        if (scanf("%d", &values[i]) != 1)
            return 0;
    for (int i = 1; i < n; i++) {
        int value = values[i], j = i - 1;
        while (j >= 0 && values[j] > value) {
            values[j + 1] = values[j];
            j--;
        }
        values[j + 1] = value;
    }
    printf("%d %d %d\n", values[0], values[n / 2], values[n - 1]);
    return 0;
}
