#include "stretches.h"

#include <string.h>

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

#ifndef MORE
#define MORE 0
#endif
#ifndef EARLY
#define EARLY 0
#endif

/* How far four bytes are repeated, eight at a time as long as there are so many: few repetitions last to the end. */
unsigned repeated(const unsigned char *at, const unsigned char *end, unsigned four)
{
    const unsigned char *start = at;
    unsigned long eight = four * 0x100000001ul, word;
    for (; at + 8 + EARLY <= end; at += 8) {
        memcpy(&word, at, 8);
        if (word != eight)
            return (unsigned)(at - start) + (unsigned)__builtin_ctzl(word ^ eight) / 8;
    }
    for (; at < end + MORE && *at == (unsigned char)eight; at++)
        eight >>= 8;
    return (unsigned)(at - start);
}
