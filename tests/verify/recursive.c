#include "recursive.h"

/* The height of a tree. A compilation with PAD takes so much more of the stack for each of its levels. */
__attribute__((noinline)) int height(const struct node *node)
{
#ifdef PAD
    volatile char pad[PAD];
    pad[0] = 1;
#endif
    if (!node)
        return 0;
    int left = height(node->left), right = height(node->right);
    return (left > right ? left : right) + 1;
}
