#include "stretches.h"

/* How far two places of a text agree, two bytes at a time as zlib's matcher does, and no farther than 258: few agree so far. */
int agreeing(const struct window *window)
{
    const unsigned char *text = window->text + window->at, *other = window->text + window->before;
    const unsigned char *start = text, *end = text + 258;
    if (window->filled < window->at + 300 || window->at - window->before - 600 > 400)
        return 0;
    while (text[0] == other[0] && text[1] == other[1]) {
        text += 2;
        other += 2;
        if (text >= end)
            break;
    }
    return (int)(text - start);
}
