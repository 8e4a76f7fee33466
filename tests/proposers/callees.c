#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct node { int key; int weight; };
static const int gaps[] = {1, 4, 13, 40, 121};
static int calls;
static struct { int first, last; } range; /* main alone reads all of it */

typedef int (*compare)(const struct node *, const struct node *);

static int by_key(const struct node *a, const struct node *b) { return a->key - b->key; }
static int by_weight(const struct node *a, const struct node *b) { return b->weight - a->weight; }

__attribute__((noinline)) static int lesser(const struct node *block, uint32_t left, uint32_t right, int depth)
{
    for (int i = 0; i < depth; i++) {
        if (block[left].key != block[right].key)
            return block[left].key < block[right].key;
        if (block[left].weight != block[right].weight)
            return block[left].weight < block[right].weight;
        left++, right++;
    }
    return left < right;
}

__attribute__((noinline)) static void exchange(struct node *block, uint32_t left, uint32_t right)
{
    struct node kept = block[left];
    block[left] = block[right];
    block[right] = kept;
}

/* Calls local functions that other compilers give conventions of their own, and that call each other. */
__attribute__((noinline)) void sort_nodes(struct node *block, int count)
{
    for (int g = 4; g >= 0; g--)
        for (int i = gaps[g]; i < count; i++)
            for (int j = i; j >= gaps[g] && lesser(block, (uint32_t)j, (uint32_t)(j - gaps[g]), 1); j -= gaps[g])
                exchange(block, (uint32_t)j, (uint32_t)(j - gaps[g]));
}

/* Hands out the address of a local function, which callers compare. */
__attribute__((noinline)) compare chosen(const struct node *block, int count)
{
    int weights = 0;
    for (int i = 0; i < count; i++)
        weights += block[i].weight;
    return weights & 1 ? by_key : by_weight;
}

/* Local variables of the unit are one and the same for everybody, those of a function and parts of structures too. */
__attribute__((noinline)) int counted(const struct node *block, int count)
{
    static int before;
    int sum = before;
    before = range.last - range.first;
    range.first = range.last++;
    for (int i = 0; i < count; i++)
        sum += block[i].key ^ block[i].weight;
    calls++;
    return sum;
}

__attribute__((noinline)) int classify(const char *text)
{
    int score = 0;
    for (; *text; text++)
        switch (*text) {
        case 'a': score += 3; break;
        case 'b': score ^= 5; break;
        case 'c': score *= 7; break;
        case 'd': score -= 11; break;
        case 'e': score <<= 1; break;
        case 'f': score |= 64; break;
        default: score++;
        }
    return score;
}

int main(void)
{
    struct node nodes[300];
    uint32_t state = 1;
    for (int i = 0; i < 300; i++) {
        state = state * 1664525u + 1013904223u;
        nodes[i].key = (int)(state >> 24);
        nodes[i].weight = (int)(state >> 16 & 15);
    }
    sort_nodes(nodes, 299);
    uint32_t hash = 0;
    for (int i = 0; i < 300; i++)
        hash = hash * 31 + (uint32_t)nodes[i].key * 17 + (uint32_t)nodes[i].weight;
    compare found = chosen(nodes, 300);
    range.last = 5;
    int total = counted(nodes, 300) + counted(nodes, 17) + counted(nodes, 3);
    printf("%08x %d %d %d %d %d\n", hash, found == by_key, found == by_weight, total, calls, classify("abcdefgabcaad"));
    printf("%d %d\n", range.first, range.last);
    return 0;
}
