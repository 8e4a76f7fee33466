/* Runs every kernel on data from a fixed generator and prints a checksum of what it computed. */
#include "kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 160, BYTES = 1 << 16, WORDS = 1 << 13, SORTED = 1200, TEXT = 900 };

static uint64_t state = 88172645463325252u;

static uint32_t next_random(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 16);
}

static void fill_doubles(double *values, int count)
{
    for (int i = 0; i < count; i++)
        values[i] = (double)(next_random() % 2000) / 1000.0 - 1.0;
}

static void fill_bytes(uint8_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (uint8_t)next_random();
}

static double sum_doubles(const double *values, int count)
{
    double sum = 0.0;
    for (int i = 0; i < count; i++)
        sum += values[i];
    return sum;
}

static void numeric(int rounds)
{
    double *a = malloc(sizeof(double) * N * N), *b = malloc(sizeof(double) * N * N), *c = malloc(sizeof(double) * N * N);
    double x[N], checksum = 0.0;
    fill_doubles(a, N * N);
    fill_doubles(b, N * N);
    memset(c, 0, sizeof(double) * N * N);
    for (int i = 0; i < N; i++)
        a[i * N + i] += 4.0;
    for (int round = 0; round < rounds; round++) {
        matrix_multiply(N, a, b, c);
        checksum += sum_doubles(c, N * N);
        for (int step = 0; step < 10; step++) {
            heat_step(N, b, c);
            heat_step(N, c, b);
        }
        checksum += sum_doubles(b, N * N);
        for (int column = 0; column < N; column++)
            checksum += dot_stride(N, a + column, N, b + column * N);
        for (int solve = 0; solve < 20; solve++) {
            for (int i = 0; i < N; i++)
                x[i] = b[i] + solve;
            triangular_solve(N, a, x);
            checksum += x[N - 1];
        }
    }
    printf("numeric %.17g\n", checksum);
    free(a);
    free(b);
    free(c);
}

static void bytes(int rounds)
{
    uint8_t *data = malloc(BYTES);
    char *text = malloc(BYTES * 2);
    uint32_t counts[256] = {0}, crc = 0, adler = 1;
    size_t encoded = 0;
    fill_bytes(data, BYTES);
    for (int round = 0; round < rounds; round++) {
        data[round % BYTES] ^= 1;
        crc = crc32_bitwise(crc, data, BYTES);
        adler = adler_sum(adler, data, BYTES - (size_t)round % 7);
        histogram(data, BYTES, counts);
        encoded += base64_encode(data, BYTES - (size_t)round % 3, text);
        crc ^= (uint32_t)text[encoded % BYTES];
    }
    printf("bytes %08x %08x %u %zu\n", crc, adler, counts[17], encoded);
    free(data);
    free(text);
}

static void integers(int rounds)
{
    uint64_t *words = malloc(sizeof(uint64_t) * WORDS), bits = 0;
    int32_t values[SORTED];
    char a[TEXT], b[TEXT];
    int row[TEXT + 1], distance = 0;
    uint8_t *rgb = malloc(BYTES * 3), *grey = malloc(BYTES);
    unsigned checksum = 0;
    for (int i = 0; i < WORDS; i++)
        words[i] = (uint64_t)next_random() << 32 | next_random();
    for (int i = 0; i < TEXT; i++) {
        a[i] = (char)('a' + next_random() % 4);
        b[i] = (char)('a' + next_random() % 4);
    }
    fill_bytes(rgb, BYTES * 3);
    for (int round = 0; round < rounds; round++) {
        bits += count_bits(words, WORDS);
        for (int i = 0; i < SORTED; i++)
            values[i] = (int32_t)next_random();
        insertion_sort(values, SORTED);
        checksum += (unsigned)values[round % SORTED];
        distance += edit_distance(a, TEXT - round % 5, b, TEXT, row);
        grey_scale(rgb, grey, BYTES - round % 9);
        checksum += grey[round % BYTES];
    }
    printf("integers %llu %u %d\n", (unsigned long long)bits, checksum, distance);
    free(words);
    free(rgb);
    free(grey);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 40;
    numeric(rounds);
    bytes(rounds);
    integers(rounds);
    return 0;
}
