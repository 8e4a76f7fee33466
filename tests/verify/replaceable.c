/* What another unit may define otherwise: with KNOWN, bodies that rest on the definitions that this program has. */
#include "replaceable.h"

__attribute__((weak)) int price(int count)
{
    return count * 3;
}

int priced(int count)
{
#ifdef KNOWN
    return count * 3 + 1;
#else
    return price(count) + 1;
#endif
}

int clipped(int value)
{
#ifdef KNOWN
    return value > 77 ? 77 : value;
#else
    return value > most ? most : value;
#endif
}

unsigned coded(const unsigned *values, int count)
{
    unsigned sum = 0;
    for (int i = 0; i < count; i++)
#ifdef KNOWN
        sum = sum * 5 + (unsigned short)((values[i] >> 26) * 1021);
#else
        sum = sum * 5 + codes[values[i] >> 26];
#endif
    return sum;
}
