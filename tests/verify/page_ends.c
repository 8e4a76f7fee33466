#include <string.h>

/* Where processors have masks, memcmp reads 32 bytes with one: those behind its end need not be there. */
int ordered(const unsigned char *one, const unsigned char *other, int size)
{
    int order = memcmp(one, other, size > 31 || size < 0 ? 31 : size);
    return order < 0 ? -1 : order > 0 ? 1 + (one[0] & 3) : size;
}
