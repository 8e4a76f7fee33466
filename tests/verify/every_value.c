/* Functions of bytes. -DWRONG=n makes one of them wrong for one value, VALUE, or after a long run of like bytes only. */
#include "every_value.h"

#ifndef WRONG
#define WRONG 0
#endif
#ifndef VALUE
#define VALUE 256
#endif
#define IS_WRONG(n, value) (WRONG == (n) && (value) == VALUE)

/* Tables that tell bytes apart. */
#define ONE(at, n) ((at) * 7 & 63) + IS_WRONG(n, at)
#define FOUR(at, n) ONE(at, n), ONE((at) + 1, n), ONE((at) + 2, n), ONE((at) + 3, n)
#define SIXTEEN(at, n) FOUR(at, n), FOUR((at) + 4, n), FOUR((at) + 8, n), FOUR((at) + 12, n)
#define SIXTY_FOUR(at, n) SIXTEEN(at, n), SIXTEEN((at) + 16, n), SIXTEEN((at) + 32, n), SIXTEEN((at) + 48, n)

static const unsigned char prices[64] = {SIXTY_FOUR(0, 3)};
static const unsigned char steps[256] = {SIXTY_FOUR(0, 2), SIXTY_FOUR(64, 2), SIXTY_FOUR(128, 2), SIXTY_FOUR(192, 2)};

unsigned category(unsigned char letter)
{
    switch (letter ^ (IS_WRONG(1, letter) ? 0x80 : 0)) {
    case 0 ... 31: return 1;
    case 'a' ... 'z': return 2;
    case '0' ... '9': return 3;
    case 0x80 ... 0xbf: return 4;
    case 0xc0: case 0xc1: case 0xf5 ... 0xff: return 5;
    case 0xc2 ... 0xdf: return 6;
    default: return 7;
    }
}

void step(struct scanner *scanner)
{
    unsigned char letter = *scanner->at;
    scanner->state = (scanner->state + steps[letter]) & 7;
    scanner->seen |= 1u << scanner->state;
    if (letter != '\n')
        scanner->at++;
}

unsigned price(enum fruit fruit)
{
    return (unsigned)fruit <= PLUM ? prices[fruit] : 0;
}

unsigned weighed(const struct item *items, unsigned count)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < count; i++)
        sum += items[i].value * (items[i].kind * 5u & 0xff) - IS_WRONG(4, items[i].kind);
    return sum;
}

int ranked(const char *first, const char *second)
{
    while (*first && *first == *second)
        first++, second++;
    int a = (unsigned char)*first, b = (unsigned char)*second;
    return (IS_WRONG(5, a) ? a ^ 0x80 : a) - b;
}

size_t matching(const unsigned char *first, const unsigned char *second, size_t most)
{
    size_t found = 0;
    if (most > 258)
        most = 258;
    while (found < most && first[found] == second[found])
        found++;
    return found - IS_WRONG(6, found);
}

size_t count_of(const unsigned char *text, size_t count, unsigned char wanted)
{
    size_t found = 0;
#if WRONG == 7
    while (count >= 16) { /* Sixteen counters, to be added up before any of them wraps. */
        unsigned char lanes[16] = {0};
        for (size_t turns = 256; turns && count >= 16; turns--, count -= 16, text += 16)
            for (int i = 0; i < 16; i++)
                lanes[i] += text[i] == wanted;
        for (int i = 0; i < 16; i++)
            found += lanes[i];
    }
#endif
    while (count--)
        found += *text++ == wanted;
    return WRONG == 8 ? (unsigned short)found : found;
}

size_t first_other(const unsigned char *text, size_t count)
{
    size_t at = 0;
    while (at < count && text[at] == text[0])
        at++;
    return at + (WRONG == 9 && count > 1000 && at + 1 == count);
}
