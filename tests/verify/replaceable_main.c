#include "replaceable.h"

#define ONE(n) (unsigned short)((n) * 1021)
#define FOUR(n) ONE(n), ONE((n) + 1), ONE((n) + 2), ONE((n) + 3)
#define SIXTEEN(n) FOUR(n), FOUR((n) + 4), FOUR((n) + 8), FOUR((n) + 12)

const int most = 77;
const unsigned short codes[64] = {SIXTEEN(0), SIXTEEN(16), SIXTEEN(32), SIXTEEN(48)};

int main(void)
{
    unsigned values[32], sum = 0;
    for (unsigned i = 0; i < 32; i++)
        values[i] = i * 0x9E3779B9u;
    for (int i = 0; i < 24; i++)
        sum += (unsigned)(priced(i) + clipped(i * 9)) + coded(values, i);
    return sum == 0;
}
