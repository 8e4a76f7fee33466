#include "kernels.h"

uint64_t count_bits(const uint64_t *words, size_t count)
{
    uint64_t total = 0;
    for (size_t i = 0; i < count; i++)
        for (uint64_t word = words[i]; word; word &= word - 1)
            total++;
    return total;
}

void insertion_sort(int32_t *values, int count)
{
    for (int i = 1; i < count; i++) {
        int32_t value = values[i];
        int j = i - 1;
        for (; j >= 0 && values[j] > value; j--)
            values[j + 1] = values[j];
        values[j + 1] = value;
    }
}

static int smallest(int a, int b, int c)
{
    int least = a < b ? a : b;
    return least < c ? least : c;
}

int edit_distance(const char *a, int a_length, const char *b, int b_length, int *row)
{
    for (int j = 0; j <= b_length; j++)
        row[j] = j;
    for (int i = 1; i <= a_length; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= b_length; j++) {
            int above = row[j];
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[b_length];
}

void grey_scale(const uint8_t *rgb, uint8_t *grey, int pixels)
{
    for (int i = 0; i < pixels; i++)
        grey[i] = (uint8_t)((77 * rgb[3 * i] + 150 * rgb[3 * i + 1] + 29 * rgb[3 * i + 2]) >> 8);
}
