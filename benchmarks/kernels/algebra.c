#include "kernels.h"

void kernel_gemm(double alpha, double beta, small C, small A, small B)
{
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++)
            C[i][j] *= beta;
        for (int k = 0; k < N; k++)
            for (int j = 0; j < N; j++)
                C[i][j] += alpha * A[i][k] * B[k][j];
    }
}

void kernel_2mm(double alpha, double beta, small tmp, small A, small B, small C, small D)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            tmp[i][j] = 0.0;
            for (int k = 0; k < N; k++)
                tmp[i][j] += alpha * A[i][k] * B[k][j];
        }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            D[i][j] *= beta;
            for (int k = 0; k < N; k++)
                D[i][j] += tmp[i][k] * C[k][j];
        }
}

void kernel_3mm(small E, small A, small B, small F, small C, small D, small G)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            E[i][j] = 0.0;
            for (int k = 0; k < N; k++)
                E[i][j] += A[i][k] * B[k][j];
        }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            F[i][j] = 0.0;
            for (int k = 0; k < N; k++)
                F[i][j] += C[i][k] * D[k][j];
        }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            G[i][j] = 0.0;
            for (int k = 0; k < N; k++)
                G[i][j] += E[i][k] * F[k][j];
        }
}

void kernel_symm(double alpha, double beta, small C, small A, small B)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double below = 0.0;
            for (int k = 0; k < i; k++) {
                C[k][j] += alpha * B[i][j] * A[i][k];
                below += B[k][j] * A[i][k];
            }
            C[i][j] = beta * C[i][j] + alpha * B[i][j] * A[i][i] + alpha * below;
        }
}

void kernel_syrk(double alpha, double beta, small C, small A)
{
    for (int i = 0; i < N; i++) {
        for (int j = 0; j <= i; j++)
            C[i][j] *= beta;
        for (int k = 0; k < N; k++)
            for (int j = 0; j <= i; j++)
                C[i][j] += alpha * A[i][k] * A[j][k];
    }
}

void kernel_syr2k(double alpha, double beta, small C, small A, small B)
{
    for (int i = 0; i < N; i++) {
        for (int j = 0; j <= i; j++)
            C[i][j] *= beta;
        for (int k = 0; k < N; k++)
            for (int j = 0; j <= i; j++)
                C[i][j] += A[j][k] * alpha * B[i][k] + B[j][k] * alpha * A[i][k];
    }
}

void kernel_trmm(double alpha, small A, small B)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            for (int k = i + 1; k < N; k++)
                B[i][j] += A[k][i] * B[k][j];
            B[i][j] *= alpha;
        }
}

/* `A` holds `depth` vectors of N elements, each of which is multiplied by C4. */
void kernel_doitgen(int depth, double A[][N], small C4, double *sum)
{
    for (int r = 0; r < depth; r++) {
        for (int p = 0; p < N; p++) {
            sum[p] = 0.0;
            for (int s = 0; s < N; s++)
                sum[p] += A[r][s] * C4[s][p];
        }
        for (int p = 0; p < N; p++)
            A[r][p] = sum[p];
    }
}

void kernel_atax(large A, double *x, double *y, double *tmp)
{
    for (int i = 0; i < M; i++)
        y[i] = 0.0;
    for (int i = 0; i < M; i++) {
        tmp[i] = 0.0;
        for (int j = 0; j < M; j++)
            tmp[i] += A[i][j] * x[j];
        for (int j = 0; j < M; j++)
            y[j] += A[i][j] * tmp[i];
    }
}

void kernel_bicg(large A, double *s, double *q, double *p, double *r)
{
    for (int i = 0; i < M; i++)
        s[i] = 0.0;
    for (int i = 0; i < M; i++) {
        q[i] = 0.0;
        for (int j = 0; j < M; j++) {
            s[j] += r[i] * A[i][j];
            q[i] += A[i][j] * p[j];
        }
    }
}

void kernel_mvt(double *x1, double *x2, double *y1, double *y2, large A)
{
    for (int i = 0; i < M; i++)
        for (int j = 0; j < M; j++)
            x1[i] += A[i][j] * y1[j];
    for (int i = 0; i < M; i++)
        for (int j = 0; j < M; j++)
            x2[i] += A[j][i] * y2[j];
}

void kernel_gemver(double alpha, double beta, large A, double *u1, double *v1, double *u2, double *v2, double *w, double *x,
                   double *y, double *z)
{
    for (int i = 0; i < M; i++)
        for (int j = 0; j < M; j++)
            A[i][j] += u1[i] * v1[j] + u2[i] * v2[j];
    for (int i = 0; i < M; i++)
        for (int j = 0; j < M; j++)
            x[i] += beta * A[j][i] * y[j];
    for (int i = 0; i < M; i++)
        x[i] += z[i];
    for (int i = 0; i < M; i++)
        for (int j = 0; j < M; j++)
            w[i] += alpha * A[i][j] * x[j];
}

void kernel_gesummv(double alpha, double beta, large A, large B, double *tmp, double *x, double *y)
{
    for (int i = 0; i < M; i++) {
        tmp[i] = 0.0;
        y[i] = 0.0;
        for (int j = 0; j < M; j++) {
            tmp[i] += A[i][j] * x[j];
            y[i] += B[i][j] * x[j];
        }
        y[i] = alpha * tmp[i] + beta * y[i];
    }
}
