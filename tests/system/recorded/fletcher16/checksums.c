#include "codecs.h"

uint32_t codec_fletcher16(const uint8_t *data, size_t length)
{
    uint32_t low = 0, high = 0;
    for (size_t i = 0; i < length; i++) {
        low = (low + data[i]) % 255;
        high = (high + low) % 255;
    }
    return high << 8 | low;
}
