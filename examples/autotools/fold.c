#include "fold.h"

uint32_t fold(uint32_t sum, const unsigned char *bytes, size_t length)
{
    uint64_t low = sum & 0xffff, high = sum >> 16;
    for (size_t i = 0; i < length; i += 2) {
        low += bytes[i] | (i + 1 < length ? (uint32_t)bytes[i + 1] << 8 : 0);
        low = low >= 0xffff ? low - 0xffff : low;
        high += low;
        high = high >= 0xffff ? high - 0xffff : high;
    }
    return (uint32_t)(high << 16 | low);
}
