#include <stddef.h>
#include <stdint.h>

uint32_t codec_fletcher16(const uint8_t *data, size_t length);
