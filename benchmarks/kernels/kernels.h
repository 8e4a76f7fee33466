/* Thirty numeric kernels: linear algebra, solvers, statistics, dynamic programming and stencils, as they are usually written. */
#ifndef KERNELS_H
#define KERNELS_H

#define N 112 /* order of matrices in kernels of cubic cost */
#define M 360 /* order of matrices in kernels of quadratic cost */
#define T 12  /* time steps of stencils */

typedef double small[N][N];
typedef double large[M][M];

void kernel_gemm(double alpha, double beta, small C, small A, small B);
void kernel_2mm(double alpha, double beta, small tmp, small A, small B, small C, small D);
void kernel_3mm(small E, small A, small B, small F, small C, small D, small G);
void kernel_symm(double alpha, double beta, small C, small A, small B);
void kernel_syrk(double alpha, double beta, small C, small A);
void kernel_syr2k(double alpha, double beta, small C, small A, small B);
void kernel_trmm(double alpha, small A, small B);
void kernel_doitgen(int depth, double A[][N], small C4, double *sum);
void kernel_atax(large A, double *x, double *y, double *tmp);
void kernel_bicg(large A, double *s, double *q, double *p, double *r);
void kernel_mvt(double *x1, double *x2, double *y1, double *y2, large A);
void kernel_gemver(double alpha, double beta, large A, double *u1, double *v1, double *u2, double *v2, double *w, double *x,
                   double *y, double *z);
void kernel_gesummv(double alpha, double beta, large A, large B, double *tmp, double *x, double *y);

void kernel_cholesky(small A);
void kernel_lu(small A);
void kernel_ludcmp(small A, double *b, double *x, double *y);
void kernel_trisolv(large L, double *x, double *b);
void kernel_durbin(double *r, double *y, double *z);
void kernel_gramschmidt(small A, small R, small Q);

void kernel_correlation(small data, small corr, double *mean, double *deviation);
void kernel_covariance(small data, small cov, double *mean);
void kernel_floyd_warshall(int path[N][N]);
void kernel_nussinov(const char *sequence, int table[N][N]);
void kernel_deriche(double alpha, large in, large out, large y1, large y2);

void kernel_jacobi_1d(int steps, double *A, double *B, int n);
void kernel_jacobi_2d(int steps, large A, large B);
void kernel_seidel_2d(int steps, small A);
void kernel_fdtd_2d(int steps, large ex, large ey, large hz, double *fict);
void kernel_heat_3d(int steps, double A[24][24][24], double B[24][24][24]);
void kernel_adi(int steps, small u, small v, small p, small q);

#endif
