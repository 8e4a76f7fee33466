#include "corpus.h"

void multiply(double *to, const double *a, const double *b, int size)
{
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++) {
            double sum = 0;
            for (int k = 0; k < size; k++)
                sum += a[i * size + k] * b[k * size + j];
            to[i * size + j] = sum;
        }
}

void prefix_sums(const int *from, long *to, int count)
{
    long sum = 0;
    for (int i = 0; i < count; i++) {
        sum += from[i];
        to[i] = sum;
    }
}

float clamp_all(float *values, int count, float low, float high)
{
    float largest = low;
    for (int i = 0; i < count; i++) {
        if (values[i] < low)
            values[i] = low;
        else if (values[i] > high)
            values[i] = high;
        if (values[i] > largest)
            largest = values[i];
    }
    return largest;
}

void blend_rows(uint8_t *to, const uint8_t *from, int width, unsigned char weight)
{
    for (int x = 0; x < width; x++)
        to[x] = (uint8_t)((to[x] * (255 - weight) + from[x] * weight + 127) / 255);
}
