#include <stdio.h>
#include <string.h>

static char a[3001], b[3001];
static int length[3001][3001];

int main(void)
{
    if (scanf("%3000s%3000s", a, b) != 2)
        return 0;
    int n = strlen(a), m = strlen(b);
    for (int i = 1; i <= n; i++)
        for (int j = 1; j <= m; j++) {
            if (a[i - 1] == b[j - 1])
                length[i][j] = length[i - 1][j - 1] + 1;
            else if (length[i - 1][j] > length[i][j - 1])
                length[i][j] = length[i - 1][j];
            else
                length[i][j] = length[i][j - 1];
        }
    printf("%d\n", length[n][m]);
    return 0;
}
