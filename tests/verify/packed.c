#include <stdint.h>

/* Two sums modulo 65521 in one number. A caller may pass halves beyond that; with REDUCED_ONCE these come out wrong for a few
   of all starts: the upper half near its end, and the lower one just below 65521. */
uint32_t two_sums(uint32_t start, const uint8_t *data, unsigned long length)
{
    uint32_t low = start & 0xffff, high = start >> 16;
    for (unsigned long i = 0; i < length; i++) {
        low += data[i];
        high += low % 65521;
#ifdef REDUCED_ONCE
        low -= low >= 65521 ? 65521 : 0;
        high -= high >= 65521 ? 65521 : 0;
#else
        low %= 65521;
        high %= 65521;
#endif
    }
    return high << 16 | low;
}
