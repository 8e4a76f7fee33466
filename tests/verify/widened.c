/* A byte that a wider field holds, far from the other fields, where `seen` ends with the structure; and an index of 32 bits that
   the bytes written may change, so that it is loaded and widened each time. */
#include "widened.h"

void note(struct coder *coder)
{
    unsigned char byte = (unsigned char)coder->code;
    coder->sum = (coder->sum << 5) ^ byte;
    coder->seen[coder->code] = 1;
}

void append(struct queue *queue)
{
    queue->block[queue->at] = queue->byte;
    queue->at++;
    queue->block[queue->at] = queue->byte;
    queue->at++;
    queue->block[queue->at] = queue->byte;
    queue->at++;
    queue->block[queue->at] = (unsigned char)(queue->byte - 4);
    queue->at++;
}
