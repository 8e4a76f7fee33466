#include "corpus.h"

size_t varint_encode(uint64_t value, uint8_t *out)
{
    size_t length = 0;
    while (value >= 0x80) {
        out[length++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[length++] = (uint8_t)value;
    return length;
}

int varint_decode(const uint8_t *data, size_t length, uint64_t *value)
{
    uint64_t result = 0;
    for (unsigned i = 0; i < length && i < 10; i++) {
        result |= (uint64_t)(data[i] & 0x7F) << 7 * i;
        if (!(data[i] & 0x80)) {
            if (i == 9 && data[i] > 1)
                return -2;
            *value = result;
            return (int)i + 1;
        }
    }
    return length < 10 ? 0 : -1;
}

/* As inflate copies a match: source and target overlap when the distance is shorter than the match. */
void copy_match(uint8_t *out, size_t distance, size_t length)
{
    const uint8_t *from = out - distance;
    while (length >= 3) {
        *out++ = *from++;
        *out++ = *from++;
        *out++ = *from++;
        length -= 3;
    }
    if (length) {
        *out++ = *from++;
        if (length > 1)
            *out = *from;
    }
}

size_t run_lengths(const uint8_t *data, size_t length, uint8_t *out, size_t capacity)
{
    size_t used = 0;
    for (size_t i = 0; i < length;) {
        size_t run = 1;
        while (i + run < length && run < 255 && data[i + run] == data[i])
            run++;
        if (used + 2 > capacity)
            return 0;
        out[used++] = (uint8_t)run;
        out[used++] = data[i];
        i += run;
    }
    return used;
}
