#include "codecs.h"

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t codec_base64_encode(char *out, const uint8_t *data, size_t length)
{
    char *start = out;
    for (; length >= 3; length -= 3, data += 3) {
        uint32_t word = (uint32_t)data[0] << 16 | (uint32_t)data[1] << 8 | data[2];
        *out++ = base64_digits[word >> 18];
        *out++ = base64_digits[word >> 12 & 63];
        *out++ = base64_digits[word >> 6 & 63];
        *out++ = base64_digits[word & 63];
    }
    if (length > 0) {
        uint32_t word = (uint32_t)data[0] << 16 | (length > 1 ? (uint32_t)data[1] << 8 : 0);
        *out++ = base64_digits[word >> 18];
        *out++ = base64_digits[word >> 12 & 63];
        *out++ = length > 1 ? base64_digits[word >> 6 & 63] : '=';
        *out++ = '=';
    }
    return (size_t)(out - start);
}

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Ends at the first character that is no digit. */
size_t codec_base64_decode(uint8_t *out, const char *text, size_t length)
{
    uint8_t *start = out;
    uint32_t word = 0;
    int bits = 0;
    for (size_t i = 0; i < length; i++) {
        int value = base64_value(text[i]);
        if (value < 0)
            break;
        word = word << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *out++ = (uint8_t)(word >> bits);
        }
    }
    return (size_t)(out - start);
}

size_t codec_hex_encode(char *out, const uint8_t *data, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        out[2 * i] = "0123456789abcdef"[data[i] >> 4];
        out[2 * i + 1] = "0123456789abcdef"[data[i] & 15];
    }
    return 2 * length;
}

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
int codec_utf8_validate(const uint8_t *text, size_t length)
{
    size_t i = 0;
    while (i < length) {
        uint8_t c = text[i++];
        if (c < 0x80)
            continue;
        int more;
        uint32_t value, least;
        if ((c & 0xe0) == 0xc0)
            more = 1, value = c & 0x1f, least = 0x80;
        else if ((c & 0xf0) == 0xe0)
            more = 2, value = c & 0x0f, least = 0x800;
        else if ((c & 0xf8) == 0xf0)
            more = 3, value = c & 0x07, least = 0x10000;
        else
            return 0;
        for (; more > 0; more--) {
            if (i == length || (text[i] & 0xc0) != 0x80)
                return 0;
            value = value << 6 | (text[i++] & 0x3f);
        }
        if (value < least || value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
            return 0;
    }
    return 1;
}

/* How often `pattern` occurs in `text`. */
size_t codec_horspool(const uint8_t *text, size_t length, const uint8_t *pattern, size_t pattern_length)
{
    size_t skip[256], found = 0;
    if (pattern_length == 0 || pattern_length > length)
        return 0;
    for (int i = 0; i < 256; i++)
        skip[i] = pattern_length;
    for (size_t i = 0; i + 1 < pattern_length; i++)
        skip[pattern[i]] = pattern_length - 1 - i;
    for (size_t at = 0; at + pattern_length <= length; at += skip[text[at + pattern_length - 1]]) {
        size_t left = pattern_length;
        while (left > 0 && text[at + left - 1] == pattern[left - 1])
            left--;
        found += left == 0;
    }
    return found;
}

int codec_levenshtein(const char *a, int a_length, const char *b, int b_length, int *row)
{
    for (int j = 0; j <= b_length; j++)
        row[j] = j;
    for (int i = 1; i <= a_length; i++) {
        int diagonal = row[0];
        row[0] = i;
        for (int j = 1; j <= b_length; j++) {
            int best = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            if (row[j] + 1 < best)
                best = row[j] + 1;
            if (row[j - 1] + 1 < best)
                best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_length];
}

/* Literal characters, '.', '*', '^' and '$'; how many places of `text` match. */
static int match_here(const char *pattern, const char *text)
{
    while (pattern[0]) {
        if (pattern[1] == '*') {
            const char *end = text;
            while (*end && (*end == pattern[0] || pattern[0] == '.'))
                end++;
            for (; end >= text; end--)
                if (match_here(pattern + 2, end))
                    return 1;
            return 0;
        }
        if (pattern[0] == '$' && !pattern[1])
            return *text == 0;
        if (!*text || (pattern[0] != '.' && pattern[0] != *text))
            return 0;
        pattern++, text++;
    }
    return 1;
}

int codec_regex(const char *pattern, const char *text)
{
    if (pattern[0] == '^')
        return match_here(pattern + 1, text);
    int places = 0;
    do
        places += match_here(pattern, text);
    while (*text++);
    return places;
}
