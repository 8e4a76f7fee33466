#ifndef FOLD_H
#define FOLD_H

#include <stddef.h>
#include <stdint.h>

/* Fletcher's checksum of 16-bit words, little-endian, an odd last byte padded with zero; start with 0. */
uint32_t fold(uint32_t sum, const unsigned char *bytes, size_t length);

#endif
