#include "codecs.h"

static uint32_t rotate(uint32_t value, int by)
{
    return value << by | value >> (32 - by);
}

static uint32_t load(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

#define QUARTER(a, b, c, d)                        \
    do {                                           \
        x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 16); \
        x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 12); \
        x[a] += x[b], x[d] = rotate(x[d] ^ x[a], 8);  \
        x[c] += x[d], x[b] = rotate(x[b] ^ x[c], 7);  \
    } while (0)

/* RFC 8439; the counter is word 12. */
void codec_chacha20(uint32_t state[16], uint8_t *data, size_t blocks)
{
    for (; blocks > 0; blocks--, data += 64) {
        uint32_t x[16];
        for (int i = 0; i < 16; i++)
            x[i] = state[i];
        for (int round = 0; round < 10; round++) {
            QUARTER(0, 4, 8, 12);
            QUARTER(1, 5, 9, 13);
            QUARTER(2, 6, 10, 14);
            QUARTER(3, 7, 11, 15);
            QUARTER(0, 5, 10, 15);
            QUARTER(1, 6, 11, 12);
            QUARTER(2, 7, 8, 13);
            QUARTER(3, 4, 9, 14);
        }
        for (int i = 0; i < 16; i++) {
            uint32_t word = x[i] + state[i];
            for (int byte = 0; byte < 4; byte++)
                data[4 * i + byte] ^= (uint8_t)(word >> 8 * byte);
        }
        state[12]++;
    }
}

/* RFC 8439 in five limbs of 26 bits; whole blocks of 16 bytes. */
void codec_poly1305(uint32_t accumulator[5], const uint32_t key[5], const uint8_t *data, size_t blocks)
{
    uint32_t h0 = accumulator[0], h1 = accumulator[1], h2 = accumulator[2], h3 = accumulator[3], h4 = accumulator[4];
    uint32_t r0 = key[0], r1 = key[1], r2 = key[2], r3 = key[3], r4 = key[4];
    uint32_t s1 = r1 * 5, s2 = r2 * 5, s3 = r3 * 5, s4 = r4 * 5;
    for (; blocks > 0; blocks--, data += 16) {
        h0 += load(data) & 0x3ffffff;
        h1 += load(data + 3) >> 2 & 0x3ffffff;
        h2 += load(data + 6) >> 4 & 0x3ffffff;
        h3 += load(data + 9) >> 6 & 0x3ffffff;
        h4 += load(data + 12) >> 8 | 1 << 24;
        uint64_t d0 = (uint64_t)h0 * r0 + (uint64_t)h1 * s4 + (uint64_t)h2 * s3 + (uint64_t)h3 * s2 + (uint64_t)h4 * s1;
        uint64_t d1 = (uint64_t)h0 * r1 + (uint64_t)h1 * r0 + (uint64_t)h2 * s4 + (uint64_t)h3 * s3 + (uint64_t)h4 * s2;
        uint64_t d2 = (uint64_t)h0 * r2 + (uint64_t)h1 * r1 + (uint64_t)h2 * r0 + (uint64_t)h3 * s4 + (uint64_t)h4 * s3;
        uint64_t d3 = (uint64_t)h0 * r3 + (uint64_t)h1 * r2 + (uint64_t)h2 * r1 + (uint64_t)h3 * r0 + (uint64_t)h4 * s4;
        uint64_t d4 = (uint64_t)h0 * r4 + (uint64_t)h1 * r3 + (uint64_t)h2 * r2 + (uint64_t)h3 * r1 + (uint64_t)h4 * r0;
        d1 += d0 >> 26, h0 = d0 & 0x3ffffff;
        d2 += d1 >> 26, h1 = d1 & 0x3ffffff;
        d3 += d2 >> 26, h2 = d2 & 0x3ffffff;
        d4 += d3 >> 26, h3 = d3 & 0x3ffffff;
        h0 += (uint32_t)(d4 >> 26) * 5, h4 = d4 & 0x3ffffff;
        h1 += h0 >> 26, h0 &= 0x3ffffff;
    }
    accumulator[0] = h0, accumulator[1] = h1, accumulator[2] = h2, accumulator[3] = h3, accumulator[4] = h4;
}

/* FIPS 197, with one table of 32-bit words that is rotated for the other three. */
uint32_t aes_table[256];
uint8_t aes_box[256];

static uint8_t twice(uint8_t value)
{
    return (uint8_t)(value << 1 ^ (value & 0x80 ? 0x1b : 0));
}

void make_aes_tables(void)
{
    uint8_t p = 1, q = 1;
    do {
        p = (uint8_t)(p ^ twice(p));
        q ^= (uint8_t)(q << 1);
        q ^= (uint8_t)(q << 2);
        q ^= (uint8_t)(q << 4);
        if (q & 0x80)
            q ^= 0x09;
        uint8_t x = (uint8_t)(q ^ (q << 1 | q >> 7) ^ (q << 2 | q >> 6) ^ (q << 3 | q >> 5) ^ (q << 4 | q >> 4));
        aes_box[p] = x ^ 0x63;
    } while (p != 1);
    aes_box[0] = 0x63;
    for (int i = 0; i < 256; i++) {
        uint8_t s = aes_box[i];
        aes_table[i] = twice(s) | (uint32_t)s << 8 | (uint32_t)s << 16 | (uint32_t)(uint8_t)(twice(s) ^ s) << 24;
    }
}

void expand_aes_key(const uint8_t key[16], uint32_t round_keys[44])
{
    uint8_t constant = 1;
    for (int i = 0; i < 4; i++)
        round_keys[i] = load(key + 4 * i);
    for (int i = 4; i < 44; i++) {
        uint32_t word = round_keys[i - 1];
        if (i % 4 == 0) {
            word = rotate(word, 24);
            word = aes_box[word & 0xff] | (uint32_t)aes_box[word >> 8 & 0xff] << 8 | (uint32_t)aes_box[word >> 16 & 0xff] << 16 |
                   (uint32_t)aes_box[word >> 24] << 24;
            word ^= constant;
            constant = twice(constant);
        }
        round_keys[i] = round_keys[i - 4] ^ word;
    }
}

void codec_aes128(const uint32_t round_keys[44], uint8_t *data, size_t blocks)
{
    for (; blocks > 0; blocks--, data += 16) {
        uint32_t s[4], t[4];
        for (int i = 0; i < 4; i++)
            s[i] = load(data + 4 * i) ^ round_keys[i];
        for (int round = 1; round < 10; round++) {
            for (int i = 0; i < 4; i++)
                t[i] = aes_table[s[i] & 0xff] ^ rotate(aes_table[s[(i + 1) & 3] >> 8 & 0xff], 8) ^
                       rotate(aes_table[s[(i + 2) & 3] >> 16 & 0xff], 16) ^ rotate(aes_table[s[(i + 3) & 3] >> 24], 24) ^
                       round_keys[4 * round + i];
            for (int i = 0; i < 4; i++)
                s[i] = t[i];
        }
        for (int i = 0; i < 4; i++) {
            uint32_t word = aes_box[s[i] & 0xff] | (uint32_t)aes_box[s[(i + 1) & 3] >> 8 & 0xff] << 8 |
                            (uint32_t)aes_box[s[(i + 2) & 3] >> 16 & 0xff] << 16 | (uint32_t)aes_box[s[(i + 3) & 3] >> 24] << 24;
            word ^= round_keys[40 + i];
            for (int byte = 0; byte < 4; byte++)
                data[4 * i + byte] = (uint8_t)(word >> 8 * byte);
        }
    }
}

void codec_xtea(const uint32_t key[4], uint32_t *data, size_t blocks)
{
    for (size_t i = 0; i < blocks; i++) {
        uint32_t a = data[2 * i], b = data[2 * i + 1], sum = 0;
        for (int round = 0; round < 32; round++) {
            a += ((b << 4 ^ b >> 5) + b) ^ (sum + key[sum & 3]);
            sum += 0x9e3779b9;
            b += ((a << 4 ^ a >> 5) + a) ^ (sum + key[sum >> 11 & 3]);
        }
        data[2 * i] = a, data[2 * i + 1] = b;
    }
}
