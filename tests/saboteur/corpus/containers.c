#include "corpus.h"

void lru_touch(struct list *list, struct node *node)
{
    if (node->uses != 0xFFFF)
        node->uses++;
    if (list->first == node || node->pinned)
        return;
    if (node->before)
        node->before->after = node->after;
    if (node->after)
        node->after->before = node->before;
    else if (list->last == node)
        list->last = node->before;
    node->before = 0;
    node->after = list->first;
    if (list->first)
        list->first->before = node;
    else
        list->last = node;
    list->first = node;
}

void insertion_sort(int *values, int count)
{
    for (int i = 1; i < count; i++) {
        int value = values[i], at = i;
        for (; at > 0 && values[at - 1] > value; at--)
            values[at] = values[at - 1];
        values[at] = value;
    }
}

int binary_search(const int *values, int count, int wanted)
{
    int low = 0, high = count - 1;
    while (low <= high) {
        int middle = low + (high - low) / 2;
        if (values[middle] == wanted)
            return middle;
        if (values[middle] < wanted)
            low = middle + 1;
        else
            high = middle - 1;
    }
    return -low - 1;
}

void heap_sift(uint32_t *heap, size_t count, size_t at)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= count)
            return;
        if (child + 1 < count && heap[child + 1] > heap[child])
            child++;
        if (heap[at] >= heap[child])
            return;
        uint32_t value = heap[at];
        heap[at] = heap[child];
        heap[child] = value;
        at = child;
    }
}
