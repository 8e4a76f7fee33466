#include "kernels.h"
#include <string.h>

enum colour { RED = 1, GREEN };
typedef unsigned secret_word;
struct unused { int nothing; };
static const char secret_text[] = "hidden words";

static int secret_helper(int value)
{
    return value * 3 + GREEN;
}

/* the hidden comment */
int secret_sum(const pair *pairs, secret_word count)
{
    int secret_total = 0;
    for (secret_word i = 0; i < count; i++)
        secret_total += TWICE(pairs[i].first) + secret_helper(pairs[i].second) + secret_text[i % 12]; // hidden too
    return secret_total;
}

#define MADE(name) int name(int x) { return x + 1; }
MADE(made_by_macro)
