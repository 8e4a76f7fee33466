/* A dozen everyday kernels: the demo's program. Every function is ordinary C with external linkage. */
#ifndef KERNELS_H
#define KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* numeric.c */
void matrix_multiply(int n, const double *a, const double *b, double *c);
void heat_step(int n, const double *from, double *to);
double dot_stride(int n, const double *x, int stride, const double *y);
void triangular_solve(int n, const double *lower, double *x);

/* bytes.c */
uint32_t crc32_bitwise(uint32_t crc, const uint8_t *data, size_t length);
uint32_t adler_sum(uint32_t adler, const uint8_t *data, size_t length);
void histogram(const uint8_t *data, size_t length, uint32_t counts[256]);
size_t base64_encode(const uint8_t *data, size_t length, char *out);

/* integers.c */
uint64_t count_bits(const uint64_t *words, size_t count);
void insertion_sort(int32_t *values, int count);
int edit_distance(const char *a, int a_length, const char *b, int b_length, int *row);
void grey_scale(const uint8_t *rgb, uint8_t *grey, int pixels);

#endif
