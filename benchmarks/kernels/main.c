/* kernels REPEATS: runs every kernel that often on fresh data and prints a checksum of each, exactly. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels.h"

struct data {
    small a, b, c, d, e, f, g;
    large A, B, C, D;
    int path[N][N], table[N][N];
    double x[2000], y[2000], z[2000], w[2000], u1[2000], v1[2000], u2[2000], v2[2000];
    double cube[24][24][24], other[24][24][24];
    char sequence[N];
};

static struct data fresh, now; /* what every call begins with, and what it works on */

static void fill(double *values, int count, int salt)
{
    for (int i = 0; i < count; i++)
        values[i] = (double)((i * 7 + i / 31 + salt * 13) % 101) / 101.0;
}

static void fill_all(struct data *s)
{
    small *matrices[] = {&s->a, &s->b, &s->c, &s->d, &s->e, &s->f, &s->g};
    large *planes[] = {&s->A, &s->B, &s->C, &s->D};
    double *vectors[] = {s->x, s->y, s->z, s->w, s->u1, s->v1, s->u2, s->v2};
    for (int i = 0; i < 7; i++)
        fill(&(*matrices[i])[0][0], N * N, i);
    for (int i = 0; i < 4; i++)
        fill(&(*planes[i])[0][0], M * M, i + 7);
    for (int i = 0; i < 8; i++)
        fill(vectors[i], 2000, i + 11);
    fill(&s->cube[0][0][0], 24 * 24 * 24, 19);
    fill(&s->other[0][0][0], 24 * 24 * 24, 20);
    for (int i = 0; i < N; i++)
        s->sequence[i] = (char)((i * i + i / 5) % 4);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            s->path[i][j] = (i * j * 3 + i) % 97 + 1;
            s->table[i][j] = 0;
        }
}

/* Positive definite matrices, which solvers need. */
static void fill_definite(struct data *s)
{
    for (int i = 0; i < N; i++)
        s->a[i][i] += N;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < i; j++)
            s->a[i][j] = s->a[j][i];
    for (int i = 0; i < M; i++)
        s->A[i][i] += M;
    for (int i = 0; i < M; i++)
        s->x[i] = s->x[i] / M;
}

static double sum(const double *values, int count)
{
    double total = 0.0;
    for (int i = 0; i < count; i++)
        total = total * 0.999 + values[i];
    return total;
}

static void report(const char *name, const struct data *s)
{
    long paths = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            paths = paths * 3 + s->path[i][j] + s->table[i][j] * 2;
    double total = sum(&s->a[0][0], N * N) + sum(&s->b[0][0], N * N) + sum(&s->c[0][0], N * N) + sum(&s->d[0][0], N * N) +
                   sum(&s->e[0][0], N * N) + sum(&s->f[0][0], N * N) + sum(&s->g[0][0], N * N) + sum(&s->A[0][0], M * M) +
                   sum(&s->B[0][0], M * M) + sum(&s->C[0][0], M * M) + sum(&s->D[0][0], M * M) + sum(s->x, 2000) + sum(s->y, 2000) +
                   sum(s->z, 2000) + sum(s->w, 2000) + sum(&s->cube[0][0][0], 24 * 24 * 24);
    printf("%-16s %a %lx\n", name, total, (unsigned long)paths);
}

#define RUN(name, ...)                      \
    do {                                    \
        for (int r = 0; r < repeats; r++) { \
            memcpy(s, &fresh, sizeof now);  \
            for (int i = 0; i < inner; i++) \
                kernel_##name(__VA_ARGS__); \
        }                                   \
        report(#name, s);                   \
    } while (0)

int main(int count, char **arguments)
{
    int repeats = count > 1 ? atoi(arguments[1]) : 1, inner = 1;
    struct data *s = &now;
    if (repeats < 1) {
        fprintf(stderr, "usage: kernels REPEATS\n");
        return 2;
    }
    fill_all(&fresh);
    fill_definite(&fresh);
    RUN(gemm, 1.5, 1.2, s->c, s->a, s->b);
    RUN(2mm, 1.5, 1.2, s->e, s->a, s->b, s->c, s->d);
    RUN(3mm, s->e, s->a, s->b, s->f, s->c, s->d, s->g);
    RUN(symm, 1.5, 1.2, s->c, s->a, s->b);
    RUN(syrk, 1.5, 1.2, s->c, s->a);
    RUN(syr2k, 1.5, 1.2, s->c, s->a, s->b);
    RUN(trmm, 1.5, s->a, s->b);
    RUN(doitgen, N, s->b, s->c, s->x);
    RUN(cholesky, s->a);
    RUN(lu, s->a);
    RUN(ludcmp, s->a, s->x, s->y, s->z);
    RUN(gramschmidt, s->a, s->b, s->c);
    RUN(correlation, s->b, s->c, s->x, s->y);
    RUN(covariance, s->b, s->c, s->x);
    RUN(floyd_warshall, s->path);
    RUN(nussinov, s->sequence, s->table);
    RUN(jacobi_2d, T / 4, s->A, s->B);
    RUN(seidel_2d, T, s->a);
    RUN(fdtd_2d, T / 4, s->A, s->B, s->C, s->x);
    RUN(heat_3d, T, s->cube, s->other);
    RUN(adi, T, s->a, s->b, s->c, s->d);
    RUN(deriche, 0.25, s->A, s->B, s->C, s->D);
    inner = 10;
    RUN(atax, s->A, s->x, s->y, s->z);
    RUN(bicg, s->A, s->x, s->y, s->z, s->w);
    RUN(mvt, s->x, s->y, s->z, s->w, s->A);
    RUN(gemver, 1e-3, 1e-3, s->A, s->u1, s->v1, s->u2, s->v2, s->w, s->x, s->y, s->z);
    RUN(gesummv, 1.5, 1.2, s->A, s->B, s->x, s->y, s->z);
    RUN(trisolv, s->A, s->x, s->y);
    RUN(durbin, s->x, s->y, s->z);
    RUN(jacobi_1d, 40, s->u1, s->v1, 2000);
    return 0;
}
