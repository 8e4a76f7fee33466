/* Functions with what is hard to reach or to compare: a jump table, rare values, structures, calls into another unit. */
#include "shapes.h"

int decide(int code, int value)
{
    switch (code) {
    case 0: return value + 3;
    case 1: return value * 5;
    case 2: return value ^ 0x55;
    case 3: return value - 9;
    case 4: return value << 2;
    case 5: return ~value;
    case 6: return value / 3;
    default: return -1;
    }
}

int magic(const struct header *header, unsigned length)
{
    if (length < sizeof *header)
        return -1;
    if (header->tag != 0x4D5A90AB)
        return -2;
    if (header->version != 7)
        return -3;
    return header->flags & 0x8000 ? 2 : 1;
}

int keyword(const char *text)
{
    if (text[0] == 'w' && text[1] == 'h' && text[2] == 'i' && text[3] == 'l' && text[4] == 'e' && !text[5])
        return 1;
    if (text[0] == 'f' && text[1] == 'o' && text[2] == 'r' && !text[3])
        return 2;
    return 0;
}

int report(struct log *log, int level, long value, _Bool always)
{
    int lines = 0;
    if (always || level > 2)
        lines += log_number(log, value);
    if (level > 4)
        lines += log_text(log, "serious");
    log->last = value;
    return lines + (always ? 10 : 0);
}
