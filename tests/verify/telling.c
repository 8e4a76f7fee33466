#include "telling.h"

/* The order of two rotations of a block, as a block sort compares them: where they part decides, wherever that is. */
int is_greater(unsigned first, unsigned second, const unsigned char *block, const unsigned short *ranks, unsigned size)
{
    int left = (int)size;
    for (int i = 0; i < 4; i++) {
        if (block[first] != block[second])
            return block[first] > block[second];
        first++;
        second++;
    }
    do {
        for (int i = 0; i < 2; i++) {
            if (block[first] != block[second])
                return block[first] > block[second];
            if (ranks[first] != ranks[second])
                return ranks[first] > ranks[second];
            first++;
            second++;
        }
        if (first >= size)
            first -= size;
        if (second >= size)
            second -= size;
        left -= 2;
    } while (left >= 0);
    return 0;
}

/* The insertion of a key: where it belongs depends on each of the keys passed. */
int insert(struct entry *entries, int count, int key, int value)
{
    int at = count;
    while (at > 0 && entries[at - 1].key > key) {
        entries[at] = entries[at - 1];
        at--;
    }
    if (at > 0 && entries[at - 1].key == key) {
        entries[at - 1].value = value;
        for (; at < count; at++)
            entries[at] = entries[at + 1];
        return count;
    }
    entries[at].key = key;
    entries[at].value = value;
    return count + 1;
}

/* How a line of text wraps: words go to the next line where they do not fit, tabs and long words among them. */
int wrapped(const char *text, int size, int width)
{
    int lines = 1, column = 0, word = 0;
    for (int i = 0; i <= size; i++) {
        char c = i < size ? text[i] : ' ';
        if (c == ' ' || c == '\t' || c == '\n') {
            if (column + word > width && column > 0) {
                lines++;
                column = 0;
            }
            column += word;
            word = 0;
            if (c == '\n') {
                lines++;
                column = 0;
            } else if (c == '\t') {
                column = (column + 8) & ~7;
            } else if (column > 0) {
                column++;
            }
        } else {
            word++;
        }
    }
    return lines * 256 + column;
}
