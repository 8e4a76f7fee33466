#include "aliases.h"

int main(void)
{
    static unsigned char bytes[400];
    static int numbers[64];
    struct totals totals = {0, 0};
    for (int i = 0; i < 24; i++) {
        struct buffer buffer = {bytes, 5 + i};
        most = 10 + i;
        ascending(bytes + 20);
        filled(&buffer, bytes + 200, i);
        own(&buffer, i);
        numbers[i] = i * 3;
        added(&totals, numbers, i);
        added_up(numbers, i);
        struct totals halves = {i * 5, 0};
        struct pair pair = {i, &halves};
        paired(&pair, &totals, i);
        struct derived derived = {i, {i * 7, 0}};
        inherited(&derived, &totals, i);
        struct vector to, one = {i, 2, 3}, other = {4, i, 6};
        crossed(&to, &one, &other);
        struct matrix matrix = {{1, i, 3, 4}, to.x};
        double factor = i * 0.5;
        scaled(&matrix, &factor);
        overall += matrix.factor > 100;
        counted(bytes, i * 2);
    }
    return totals.sum + overall + count_so_far() == 0;
}
