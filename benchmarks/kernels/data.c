#include <math.h>

#include "kernels.h"

void kernel_correlation(small data, small corr, double *mean, double *deviation)
{
    for (int j = 0; j < N; j++) {
        mean[j] = 0.0;
        for (int i = 0; i < N; i++)
            mean[j] += data[i][j];
        mean[j] /= N;
    }
    for (int j = 0; j < N; j++) {
        deviation[j] = 0.0;
        for (int i = 0; i < N; i++)
            deviation[j] += (data[i][j] - mean[j]) * (data[i][j] - mean[j]);
        deviation[j] = sqrt(deviation[j] / N);
        deviation[j] = deviation[j] <= 0.1 ? 1.0 : deviation[j];
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            data[i][j] = (data[i][j] - mean[j]) / (sqrt((double)N) * deviation[j]);
    for (int i = 0; i < N - 1; i++) {
        corr[i][i] = 1.0;
        for (int j = i + 1; j < N; j++) {
            corr[i][j] = 0.0;
            for (int k = 0; k < N; k++)
                corr[i][j] += data[k][i] * data[k][j];
            corr[j][i] = corr[i][j];
        }
    }
    corr[N - 1][N - 1] = 1.0;
}

void kernel_covariance(small data, small cov, double *mean)
{
    for (int j = 0; j < N; j++) {
        mean[j] = 0.0;
        for (int i = 0; i < N; i++)
            mean[j] += data[i][j];
        mean[j] /= N;
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            data[i][j] -= mean[j];
    for (int i = 0; i < N; i++)
        for (int j = i; j < N; j++) {
            cov[i][j] = 0.0;
            for (int k = 0; k < N; k++)
                cov[i][j] += data[k][i] * data[k][j];
            cov[i][j] /= N - 1.0;
            cov[j][i] = cov[i][j];
        }
}

void kernel_floyd_warshall(int path[N][N])
{
    for (int k = 0; k < N; k++)
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++)
                path[i][j] = path[i][j] < path[i][k] + path[k][j] ? path[i][j] : path[i][k] + path[k][j];
}

static int pairs(char a, char b) { return a + b == 3 ? 1 : 0; }
static int larger(int a, int b) { return a > b ? a : b; }

/* The most base pairs of a folded sequence, by intervals. */
void kernel_nussinov(const char *sequence, int table[N][N])
{
    for (int i = N - 1; i >= 0; i--)
        for (int j = i + 1; j < N; j++) {
            table[i][j] = larger(table[i][j], table[i][j - 1]);
            if (i + 1 < N)
                table[i][j] = larger(table[i][j], table[i + 1][j]);
            if (i + 1 < N)
                table[i][j] = larger(table[i][j], table[i + 1][j - 1] + (i < j - 1 ? pairs(sequence[i], sequence[j]) : 0));
            for (int k = i + 1; k < j; k++)
                table[i][j] = larger(table[i][j], table[i][k] + table[k + 1][j]);
        }
}

/* A recursive edge filter: forwards and backwards over rows, then over columns. */
void kernel_deriche(double alpha, large in, large out, large y1, large y2)
{
    double e = exp(-alpha), k = (1 - e) * (1 - e) / (1 + 2 * alpha * e - exp(-2 * alpha));
    double a1 = k, a2 = k * e * (alpha - 1), a3 = k * e * (alpha + 1), a4 = -k * e * e, b1 = pow(2.0, -alpha), b2 = -e * e;
    for (int i = 0; i < M; i++) {
        double ym1 = 0, ym2 = 0, xm1 = 0;
        for (int j = 0; j < M; j++) {
            y1[i][j] = a1 * in[i][j] + a2 * xm1 + b1 * ym1 + b2 * ym2;
            xm1 = in[i][j];
            ym2 = ym1;
            ym1 = y1[i][j];
        }
        double yp1 = 0, yp2 = 0, xp1 = 0, xp2 = 0;
        for (int j = M - 1; j >= 0; j--) {
            y2[i][j] = a3 * xp1 + a4 * xp2 + b1 * yp1 + b2 * yp2;
            xp2 = xp1;
            xp1 = in[i][j];
            yp2 = yp1;
            yp1 = y2[i][j];
        }
    }
    for (int i = 0; i < M; i++)
        for (int j = 0; j < M; j++)
            out[i][j] = y1[i][j] + y2[i][j];
    for (int j = 0; j < M; j++) {
        double tm1 = 0, ym1 = 0, ym2 = 0;
        for (int i = 0; i < M; i++) {
            y1[i][j] = a1 * out[i][j] + a2 * tm1 + b1 * ym1 + b2 * ym2;
            tm1 = out[i][j];
            ym2 = ym1;
            ym1 = y1[i][j];
        }
        double tp1 = 0, tp2 = 0, yp1 = 0, yp2 = 0;
        for (int i = M - 1; i >= 0; i--) {
            y2[i][j] = a3 * tp1 + a4 * tp2 + b1 * yp1 + b2 * yp2;
            tp2 = tp1;
            tp1 = out[i][j];
            yp2 = yp1;
            yp1 = y2[i][j];
        }
    }
    for (int i = 0; i < M; i++)
        for (int j = 0; j < M; j++)
            out[i][j] = y1[i][j] + y2[i][j];
}
