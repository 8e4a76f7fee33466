#include <string.h>

#include "codecs.h"

/* Runs of 4 and more: the byte four times, then how many follow. */
size_t codec_rle(uint8_t *out, const uint8_t *data, size_t length)
{
    uint8_t *start = out;
    for (size_t i = 0; i < length;) {
        size_t run = 1;
        while (run < 259 && i + run < length && data[i + run] == data[i])
            run++;
        size_t written = run < 4 ? run : 4;
        for (size_t j = 0; j < written; j++)
            *out++ = data[i];
        if (run >= 4)
            *out++ = (uint8_t)(run - 4);
        i += run;
    }
    return (size_t)(out - start);
}

/* Tokens: literal count, literals, match length (0 at the end) and 16-bit distance; counts from 255 on go on in the next byte. */
static uint8_t *put_count(uint8_t *out, size_t count)
{
    for (; count >= 255; count -= 255)
        *out++ = 255;
    *out++ = (uint8_t)count;
    return out;
}

size_t codec_lz_compress(uint8_t *out, const uint8_t *data, size_t length, uint16_t heads[4096])
{
    uint8_t *start = out;
    size_t i = 0, pending = 0;
    memset(heads, 0, 4096 * sizeof heads[0]);
    while (i + 8 < length && i < 60000) {
        uint32_t word;
        memcpy(&word, data + i, 4);
        uint32_t slot = word * 2654435761u >> 20;
        size_t before = heads[slot];
        heads[slot] = (uint16_t)i;
        if (before < i && !memcmp(data + before, data + i, 4)) {
            size_t match = 4;
            while (i + match < length && data[before + match] == data[i + match])
                match++;
            out = put_count(out, i - pending);
            for (; pending < i; pending++)
                *out++ = data[pending];
            out = put_count(out, match);
            *out++ = (uint8_t)(i - before);
            *out++ = (uint8_t)((i - before) >> 8);
            i += match;
            pending = i;
        } else
            i++;
    }
    out = put_count(out, length - pending);
    memcpy(out, data + pending, length - pending);
    out += length - pending;
    *out++ = 0;
    return (size_t)(out - start);
}

size_t codec_lz_decompress(uint8_t *out, const uint8_t *data, size_t length)
{
    const uint8_t *end = data + length;
    uint8_t *start = out;
    while (data < end) {
        size_t count = 0;
        do
            count += *data;
        while (*data++ == 255);
        for (; count > 0; count--)
            *out++ = *data++;
        count = 0;
        do
            count += *data;
        while (*data++ == 255);
        if (count == 0)
            break;
        const uint8_t *from = out - (data[0] | data[1] << 8);
        data += 2;
        for (; count > 0; count--)
            *out++ = *from++;
    }
    return (size_t)(out - start);
}

/* Canonical codes of at most 15 bits, the most significant bit first. */
void make_huffman(struct huffman *code, const uint8_t lengths[256])
{
    uint16_t offset[17] = {0};
    memset(code, 0, sizeof *code);
    for (int i = 0; i < 256; i++)
        code->count[lengths[i]]++;
    code->count[0] = 0;
    for (int i = 1; i < 16; i++)
        offset[i + 1] = (uint16_t)(offset[i] + code->count[i]);
    for (int i = 0; i < 256; i++)
        if (lengths[i])
            code->symbol[offset[lengths[i]]++] = (uint16_t)i;
}

size_t huffman_encode(uint8_t *out, const uint8_t *data, size_t length, const uint8_t lengths[256])
{
    uint16_t codes[256], next = 0;
    size_t bit = 0;
    for (int bits = 1; bits < 16; bits++, next = (uint16_t)(next << 1))
        for (int i = 0; i < 256; i++)
            if (lengths[i] == bits)
                codes[i] = next++;
    for (size_t i = 0; i < length; i++)
        for (int at = lengths[data[i]] - 1; at >= 0; at--, bit++) {
            if (bit % 8 == 0)
                out[bit / 8] = 0;
            out[bit / 8] |= (uint8_t)((codes[data[i]] >> at & 1) << (7 - bit % 8));
        }
    return (bit + 7) / 8;
}

/* Bit by bit, as in Mark Adler's description of canonical codes; returns the number of bits used. */
size_t codec_huffman_decode(uint8_t *out, size_t count, const uint8_t *data, const struct huffman *code)
{
    size_t bit = 0;
    for (size_t i = 0; i < count; i++) {
        int value = 0, first = 0, index = 0;
        out[i] = 0;
        for (int length = 1; length < 16; length++) {
            value |= data[bit / 8] >> (7 - bit % 8) & 1;
            bit++;
            if (value - first < code->count[length]) {
                out[i] = (uint8_t)code->symbol[index + value - first];
                break;
            }
            index += code->count[length];
            first = (first + code->count[length]) << 1;
            value <<= 1;
        }
    }
    return bit;
}

void codec_move_to_front(uint8_t *data, size_t length)
{
    uint8_t order[256];
    for (int i = 0; i < 256; i++)
        order[i] = (uint8_t)i;
    for (size_t i = 0; i < length; i++) {
        uint8_t wanted = data[i], carried = order[0];
        int at = 0;
        while (carried != wanted) {
            uint8_t next = order[++at];
            order[at] = carried;
            carried = next;
        }
        order[0] = wanted;
        data[i] = (uint8_t)at;
    }
}

/* The text whose sorted rotations end in `last`, rotation `primary` being the text itself. */
void codec_unbwt(uint8_t *out, const uint8_t *last, size_t length, size_t primary, uint32_t *next)
{
    uint32_t place[256] = {0}, sum = 0;
    for (size_t i = 0; i < length; i++)
        place[last[i]]++;
    for (int i = 0; i < 256; i++) {
        uint32_t count = place[i];
        place[i] = sum;
        sum += count;
    }
    for (size_t i = 0; i < length; i++)
        next[place[last[i]]++] = (uint32_t)i;
    uint32_t at = next[primary];
    for (size_t i = 0; i < length; i++) {
        out[i] = last[at];
        at = next[at];
    }
}
