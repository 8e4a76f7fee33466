#include "chains.h"

/* How far a chain is followed depends on a count, a quarter of it when much is known already. */
unsigned best_on(const struct chain *chain, unsigned at, unsigned known)
{
    unsigned left = chain->limit, found = at;
    if (known >= chain->enough)
        left >>= 2;
    do {
        if (chain->text[at] > chain->text[found])
            found = at;
        at = chain->next[at];
    } while (at && --left);
    return found;
}

enum { PUSH, ADD, SUBTRACT, NEGATE, DOUBLE, SKIP_IF_ZERO };

int run(const unsigned char *code, unsigned length, int *stack)
{
    unsigned depth = 0;
    for (unsigned at = 0; at < length; at++)
        switch (code[at]) {
        case PUSH:
            if (++at >= length || depth >= 8)
                return -1;
            stack[depth++] = code[at];
            break;
        case ADD:
            if (depth < 2)
                return -2;
            depth--;
            stack[depth - 1] += stack[depth];
            break;
        case SUBTRACT:
            if (depth < 2)
                return -3;
            depth--;
            stack[depth - 1] -= stack[depth];
            break;
        case NEGATE:
            if (depth < 1)
                return -4;
            stack[depth - 1] = -stack[depth - 1];
            break;
        case DOUBLE:
            if (depth < 1)
                return -5;
            stack[depth - 1] *= 2;
            break;
        case SKIP_IF_ZERO:
            if (depth < 1 || at + 1 >= length)
                return -6;
            at++;
            if (!stack[--depth])
                at += code[at];
            break;
        default:
            return -7;
        }
    return (int)depth;
}
