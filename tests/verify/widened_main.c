#include "widened.h"
#include <stdio.h>

static struct coder coder;

int main(void)
{
    for (int i = 0; i < 3000000; i++) {
        coder.code = "etaoin"[i % 6];
        note(&coder);
    }
    printf("%u\n", coder.sum);
}
