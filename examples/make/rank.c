#include "letters.h"

void rank_letters(unsigned char order[LETTERS], const unsigned long counts[LETTERS])
{
    for (int i = 0; i < LETTERS; i++) {
        int at = i;
        for (; at > 0 && counts[order[at - 1]] < counts[i]; at--)
            order[at] = order[at - 1];
        order[at] = (unsigned char)i;
    }
}
