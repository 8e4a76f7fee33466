#include "kernels.h"

void matrix_multiply(int n, const double *a, const double *b, double *c)
{
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double sum = 0.0;
            for (int k = 0; k < n; k++)
                sum += a[i * n + k] * b[k * n + j];
            c[i * n + j] = sum;
        }
}

void heat_step(int n, const double *from, double *to)
{
    for (int y = 1; y < n - 1; y++)
        for (int x = 1; x < n - 1; x++)
            to[y * n + x] = 0.2 * (from[y * n + x] + from[y * n + x - 1] + from[y * n + x + 1] + from[(y - 1) * n + x] +
                                   from[(y + 1) * n + x]);
}

double dot_stride(int n, const double *x, int stride, const double *y)
{
    double sum = 0.0;
    for (int i = 0; i < n; i++)
        sum += x[i * stride] * y[i];
    return sum;
}

void triangular_solve(int n, const double *lower, double *x)
{
    for (int i = 0; i < n; i++) {
        double value = x[i];
        for (int j = 0; j < i; j++)
            value -= lower[i * n + j] * x[j];
        x[i] = value / lower[i * n + i];
    }
}
