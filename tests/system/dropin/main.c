#include "inc/h.h"
#include <stdio.h>
unsigned hot(const unsigned char *data, unsigned long size);
int main(void)
{
    printf("%u\n", hot((const unsigned char *)"dropin", 6));
    return 3;
}
