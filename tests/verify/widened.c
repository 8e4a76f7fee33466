/* A byte that a wider field holds, far from the other fields; `seen` ends where the structure ends. */
#include "widened.h"

void note(struct coder *coder)
{
    unsigned char byte = (unsigned char)coder->code;
    coder->sum = (coder->sum << 5) ^ byte;
    coder->seen[coder->code] = 1;
}
