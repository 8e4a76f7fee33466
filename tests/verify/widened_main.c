#include "widened.h"
#include <stdio.h>

static struct coder coder;
static unsigned char room[8192];
static struct queue queue = {room + 1000, 'a', 0};

int main(void)
{
    for (int i = 0; i < 3000000; i++) {
        coder.code = "etaoin"[i % 6];
        note(&coder);
    }
    for (int i = 0; i < 3000000; i++) {
        queue.at = i % 1000;
        append(&queue);
    }
    printf("%u %d\n", coder.sum, room[1001]);
}
