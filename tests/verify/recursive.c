#include "recursive.h"

#ifndef WEIGHT_PAD
#define WEIGHT_PAD 40
#endif

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

/* Nothing is kept, and nothing called, where there is no node: GCC -O2 takes no frame there. */
__attribute__((noinline)) long weight(const struct node *node, long a, long b, long c, long d)
{
    if (!node)
        return 1;
    volatile char pad[WEIGHT_PAD];
    pad[0] = 1;
    long left = weight(node->left, b, c, d, a), right = weight(node->right, c, d, a, b);
    return 3 * left + right + a * b + c * d + pad[0];
}

/* What the leaves of a tree come to. A compilation with TODO has so many places for nodes to return to, however deep the tree is. */
__attribute__((noinline)) long leaves(const struct node *node, long each)
{
#ifdef TODO
    const struct node *todo[TODO];
    int count = 0;
    long sum = 0;
    __asm__ volatile("" : : "r"(todo) : "memory");
    for (;;) {
        while (node) {
            sum += (long)!node->left * each ^ (long)!node->right;
            if (node->right)
                todo[count++] = node->right;
            node = node->left;
        }
        if (!count)
            return sum;
        node = todo[--count];
    }
#else
    if (!node)
        return 0;
    return ((long)!node->left * each ^ (long)!node->right) + leaves(node->left, each) + leaves(node->right, each);
#endif
}

/* What a tree comes to, by whatever function comes next: this one again, if its caller says so. */
__attribute__((noinline)) long through(const struct node *node, void *next)
{
    long (*visit)(const struct node *, void *) = next;
    if (!node)
        return 1;
#ifdef PAD
    volatile char pad[10 * PAD];
    pad[0] = 1;
#endif
    long left = visit(node->left, next);
    return 3 * left + visit(node->right, next);
}

/* What the nodes to the right come to. A compilation with GROWING takes more of the stack for each of them. */
__attribute__((noinline)) long spine(const struct node *node, long each)
{
    long sum = 0;
    for (; node; node = node->right) {
#ifdef GROWING
        char *place = __builtin_alloca(16);
        __asm__ volatile("movq $0, (%0)" : : "r"(place) : "memory");
#endif
        sum = 3 * sum + each;
    }
    return sum;
}
