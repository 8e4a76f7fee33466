#include "arcs.h"
#include <stdio.h>
#include <string.h>

#ifndef TEXT
#define TEXT "some letters, and 1234"
#endif
#ifndef CALLS
#define CALLS 5
#endif

int main(void)
{
    char text[] = TEXT;
    unsigned long sum = 0;
    for (int i = 0; i < CALLS; i++)
        sum += weighed((const unsigned char *)text, (int)strlen(text));
    return sum + total == 0;
}
