#include <string.h>

#include "codecs.h"

static uint32_t crc_table[256];

static void make_crc_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t value = i;
        for (int bit = 0; bit < 8; bit++)
            value = value & 1 ? value >> 1 ^ 0xedb88320u : value >> 1;
        crc_table[i] = value;
    }
}

uint32_t codec_crc32(uint32_t crc, const uint8_t *data, size_t length)
{
    if (!crc_table[1])
        make_crc_table();
    crc = ~crc;
    for (size_t i = 0; i < length; i++)
        crc = crc_table[(crc ^ data[i]) & 0xff] ^ crc >> 8;
    return ~crc;
}

uint32_t codec_adler32(uint32_t adler, const uint8_t *data, size_t length)
{
    uint32_t a = adler & 0xffff, b = adler >> 16;
    while (length > 0) {
        size_t part = length < 5552 ? length : 5552;
        length -= part;
        while (part-- > 0) {
            a += *data++;
            b += a;
        }
        a %= 65521;
        b %= 65521;
    }
    return b << 16 | a;
}

uint32_t codec_fnv1a(const uint8_t *data, size_t length)
{
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ data[i]) * 16777619u;
    return hash;
}

static uint32_t rotate32(uint32_t value, int by)
{
    return value << by | value >> (32 - by);
}

uint32_t codec_murmur3(const uint8_t *data, size_t length, uint32_t seed)
{
    uint32_t hash = seed;
    size_t blocks = length / 4;
    for (size_t i = 0; i < blocks; i++) {
        uint32_t k;
        memcpy(&k, data + 4 * i, 4);
        hash ^= rotate32(k * 0xcc9e2d51u, 15) * 0x1b873593u;
        hash = rotate32(hash, 13) * 5 + 0xe6546b64u;
    }
    uint32_t k = 0;
    for (size_t i = length & 3; i > 0; i--)
        k = k << 8 | data[4 * blocks + i - 1];
    hash ^= rotate32(k * 0xcc9e2d51u, 15) * 0x1b873593u;
    hash ^= (uint32_t)length;
    hash = (hash ^ hash >> 16) * 0x85ebca6bu;
    hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
    return hash ^ hash >> 16;
}

static uint64_t rotate64(uint64_t value, int by)
{
    return value << by | value >> (64 - by);
}

#define SIP_ROUND                                              \
    do {                                                       \
        v0 += v1, v1 = rotate64(v1, 13), v1 ^= v0;             \
        v0 = rotate64(v0, 32);                                 \
        v2 += v3, v3 = rotate64(v3, 16), v3 ^= v2;             \
        v0 += v3, v3 = rotate64(v3, 21), v3 ^= v0;             \
        v2 += v1, v1 = rotate64(v1, 17), v1 ^= v2;             \
        v2 = rotate64(v2, 32);                                 \
    } while (0)

uint64_t codec_siphash(const uint8_t *data, size_t length, const uint64_t key[2])
{
    uint64_t v0 = key[0] ^ 0x736f6d6570736575u, v1 = key[1] ^ 0x646f72616e646f6du;
    uint64_t v2 = key[0] ^ 0x6c7967656e657261u, v3 = key[1] ^ 0x7465646279746573u;
    uint64_t last = (uint64_t)length << 56;
    size_t i = 0;
    for (; i + 8 <= length; i += 8) {
        uint64_t word;
        memcpy(&word, data + i, 8);
        v3 ^= word;
        SIP_ROUND;
        SIP_ROUND;
        v0 ^= word;
    }
    for (int shift = 0; i < length; i++, shift += 8)
        last |= (uint64_t)data[i] << shift;
    v3 ^= last;
    SIP_ROUND;
    SIP_ROUND;
    v0 ^= last;
    v2 ^= 0xff;
    for (int round = 0; round < 4; round++)
        SIP_ROUND;
    return v0 ^ v1 ^ v2 ^ v3;
}
