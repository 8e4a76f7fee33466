#include <string.h>

#include "codecs.h"

static void insertion_sort(int32_t *values, int count)
{
    for (int i = 1; i < count; i++) {
        int32_t value = values[i];
        int j = i;
        for (; j > 0 && values[j - 1] > value; j--)
            values[j] = values[j - 1];
        values[j] = value;
    }
}

void codec_quicksort(int32_t *values, int count)
{
    while (count > 12) {
        int32_t a = values[0], b = values[count / 2], c = values[count - 1];
        int32_t pivot = a < b ? (b < c ? b : a < c ? c : a) : (a < c ? a : b < c ? c : b);
        int i = 0, j = count - 1;
        while (i <= j) {
            while (values[i] < pivot)
                i++;
            while (values[j] > pivot)
                j--;
            if (i <= j) {
                int32_t swapped = values[i];
                values[i++] = values[j];
                values[j--] = swapped;
            }
        }
        codec_quicksort(values, j + 1);
        values += i;
        count -= i;
    }
    insertion_sort(values, count);
}

static void sift_down(int32_t *values, int root, int count)
{
    int32_t value = values[root];
    for (int child = 2 * root + 1; child < count; child = 2 * root + 1) {
        if (child + 1 < count && values[child + 1] > values[child])
            child++;
        if (values[child] <= value)
            break;
        values[root] = values[child];
        root = child;
    }
    values[root] = value;
}

void codec_heapsort(int32_t *values, int count)
{
    for (int i = count / 2 - 1; i >= 0; i--)
        sift_down(values, i, count);
    for (int i = count - 1; i > 0; i--) {
        int32_t largest = values[0];
        values[0] = values[i];
        values[i] = largest;
        sift_down(values, 0, i);
    }
}

void codec_radixsort(uint32_t *values, uint32_t *scratch, size_t count)
{
    for (int shift = 0; shift < 32; shift += 8) {
        size_t place[256] = {0}, sum = 0;
        for (size_t i = 0; i < count; i++)
            place[values[i] >> shift & 0xff]++;
        for (int i = 0; i < 256; i++) {
            size_t here = place[i];
            place[i] = sum;
            sum += here;
        }
        for (size_t i = 0; i < count; i++)
            scratch[place[values[i] >> shift & 0xff]++] = values[i];
        uint32_t *swapped = values;
        values = scratch;
        scratch = swapped;
    }
}

void codec_mergesort(int32_t *values, int32_t *scratch, int count)
{
    for (int i = 0; i < count; i += 8)
        insertion_sort(values + i, count - i < 8 ? count - i : 8);
    for (int width = 8; width < count; width *= 2) {
        for (int start = 0; start < count; start += 2 * width) {
            int middle = start + width < count ? start + width : count;
            int end = start + 2 * width < count ? start + 2 * width : count;
            int i = start, j = middle;
            for (int k = start; k < end; k++)
                scratch[k] = i < middle && (j >= end || values[i] <= values[j]) ? values[i++] : values[j++];
        }
        memcpy(values, scratch, (size_t)count * sizeof *values);
    }
}

/* How many of `keys` an open-addressed table holds; 0 marks a free place. */
size_t codec_lookup(const uint64_t *table, size_t mask, const uint64_t *keys, size_t count)
{
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        size_t at = (size_t)(keys[i] * 0x9e3779b97f4a7c15u >> 32) & mask;
        while (table[at] && table[at] != keys[i])
            at = (at + 1) & mask;
        found += table[at] != 0;
    }
    return found;
}
