#include "corpus.h"

size_t copy_bounded(char *to, const char *from, size_t size)
{
    size_t length = 0;
    for (; from[length]; length++)
        if (length + 1 < size)
            to[length] = from[length];
    if (size)
        to[length < size ? length : size - 1] = 0;
    return length;
}

int utf8_valid(const uint8_t *text, size_t length)
{
    size_t i = 0;
    while (i < length) {
        uint8_t first = text[i++];
        unsigned following, least;
        uint32_t point;
        if (first < 0x80)
            continue;
        if ((first & 0xE0) == 0xC0)
            following = 1, point = first & 0x1F, least = 0x80;
        else if ((first & 0xF0) == 0xE0)
            following = 2, point = first & 0x0F, least = 0x800;
        else if ((first & 0xF8) == 0xF0)
            following = 3, point = first & 0x07, least = 0x10000;
        else
            return 0;
        if (length - i < following)
            return 0;
        for (; following; following--, i++) {
            if ((text[i] & 0xC0) != 0x80)
                return 0;
            point = point << 6 | (text[i] & 0x3F);
        }
        if (point < least || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000))
            return 0;
    }
    return 1;
}

int parse_number(const char *text, long *value)
{
    unsigned long result = 0;
    int negative = 0, digits = 0;
    while (*text == ' ' || *text == '\t')
        text++;
    if (*text == '-' || *text == '+')
        negative = *text++ == '-';
    for (; *text >= '0' && *text <= '9' && digits < 19; text++, digits++)
        result = result * 10 + (unsigned long)(*text - '0');
    if (!digits || digits > 18)
        return -1;
    *value = negative ? -(long)result : (long)result;
    return digits;
}

static int sextet(char letter)
{
    if (letter >= 'A' && letter <= 'Z')
        return letter - 'A';
    if (letter >= 'a' && letter <= 'z')
        return letter - 'a' + 26;
    if (letter >= '0' && letter <= '9')
        return letter - '0' + 52;
    return letter == '+' ? 62 : letter == '/' ? 63 : -1;
}

long base64_decode(const char *text, size_t length, uint8_t *out)
{
    uint8_t *start = out;
    uint32_t group = 0;
    int bits = 0;
    for (size_t i = 0; i < length && text[i] != '='; i++) {
        int value = sextet(text[i]);
        if (value < 0)
            return -1;
        group = group << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *out++ = (uint8_t)(group >> bits);
        }
    }
    return out - start;
}
