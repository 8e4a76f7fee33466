#include "inc/h.h"
#ifndef SCALE
#define SCALE 3
#endif
unsigned hot(const unsigned char *data, unsigned long size)
{
    unsigned sum = 1;
    for (unsigned long i = 0; i < size; i++)
        sum = sum * SCALE + data[i];
    return sum;
}
const char *built = "build " __FILE__;
unsigned cold(unsigned value) { return value / 7u + LIMIT; }
