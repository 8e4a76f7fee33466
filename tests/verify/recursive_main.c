#include "recursive.h"

#include <stdio.h>
#include <stdlib.h>

static struct node *grown(int count)
{
    if (!count)
        return NULL;
    struct node *node = malloc(sizeof *node);
    node->left = grown((count - 1) / 3);
    node->right = grown(count - 1 - (count - 1) / 3);
    return node;
}

int main(void)
{
    struct node *trees[20];
    int sum = 0;
    for (int i = 0; i < 20; i++)
        trees[i] = grown(1 + 9 * i);
    for (int i = 0; i < 100000; i++)
        sum += height(trees[i % 20]) + (int)weight(trees[i % 20], i, 3, sum, 1 - i) + (int)leaves(trees[i % 20], i) + (int)through(trees[i % 20], through) + (int)spine(trees[i % 20], i);
    printf("%d\n", sum);
}
