#include "corpus.h"

uint32_t crc32_nibbles(uint32_t crc, const uint8_t *data, size_t length)
{
    static const uint32_t table[16] = {
        0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
        0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};
    crc = ~crc;
    while (length--) {
        crc ^= *data++;
        crc = table[crc & 15] ^ (crc >> 4);
        crc = table[crc & 15] ^ (crc >> 4);
    }
    return ~crc;
}

uint32_t string_hash(const char *text)
{
    uint32_t hash = 2166136261u;
    for (; *text; text++) {
        hash ^= (uint8_t)*text;
        hash *= 16777619u;
    }
    return hash;
}

uint64_t mix_words(const uint64_t *words, size_t count, uint64_t seed)
{
    uint64_t state = seed ^ 0x9E3779B97F4A7C15u * count;
    for (size_t i = 0; i < count; i++) {
        uint64_t word = words[i] * 0xC2B2AE3D27D4EB4Fu;
        word = word << 31 | word >> 33;
        state = (state ^ word * 0x9E3779B185EBCA87u) * 5 + 0x52DCE729;
    }
    state ^= state >> 33;
    return state * 0xFF51AFD7ED558CCDu;
}
