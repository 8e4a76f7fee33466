#include <stdio.h>

static double a[200][200], b[200][200], c[200][200];

int main(void)
{
    int n;
    if (scanf("%d", &n) != 1 || n > 200)
        return 0;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            a[i][j] = (i * 7 + j) % 13;
            b[i][j] = (i + j * 5) % 11;
        }
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int k = 0; k < n; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
    double trace = 0;
    for (int i = 0; i < n; i++)
        trace += c[i][i];
    printf("%.1f %.1f\n", trace, c[n / 2][n / 3]);
    return 0;
}
