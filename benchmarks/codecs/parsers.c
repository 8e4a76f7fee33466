#include "codecs.h"

/* Whether `text` is one JSON value by its brackets, strings and words; counts what it holds. */
int codec_json(const char *text, size_t length, struct json_counts *counts)
{
    uint64_t is_object = 0; /* a bit a level */
    int depth = 0;
    size_t i = 0;
    while (i < length) {
        char c = text[i];
        switch (c) {
        case ' ':
        case '\n':
        case '\t':
        case '\r':
        case ',':
        case ':':
            i++;
            break;
        case '{':
        case '[':
            if (++depth >= 60)
                return 0;
            is_object = is_object << 1 | (c == '{');
            if (c == '{')
                counts->objects++;
            else
                counts->arrays++;
            if (depth > counts->deepest)
                counts->deepest = depth;
            i++;
            break;
        case '}':
        case ']':
            if (depth == 0 || (int)(is_object & 1) != (c == '}'))
                return 0;
            is_object >>= 1;
            depth--;
            i++;
            break;
        case '"':
            for (i++; i < length && text[i] != '"'; i++)
                if (text[i] == '\\')
                    i++;
            if (i >= length)
                return 0;
            counts->strings++;
            i++;
            break;
        default:
            if ((c >= '0' && c <= '9') || c == '-') {
                for (i++; i < length && ((text[i] >= '0' && text[i] <= '9') || text[i] == '.' || text[i] == 'e' || text[i] == '-'); i++)
                    ;
                counts->numbers++;
            } else if (c >= 'a' && c <= 'z') {
                for (i++; i < length && text[i] >= 'a' && text[i] <= 'z'; i++)
                    ;
                counts->words++;
            } else
                return 0;
        }
    }
    return depth == 0;
}

/* The sum of one column of comma-separated values, which may be quoted; returns the number of lines. */
size_t codec_csv(const char *text, size_t length, int column, int64_t *sum)
{
    size_t lines = 0, i = 0;
    int64_t total = 0;
    while (i < length) {
        int field = 0;
        while (i < length && text[i] != '\n') {
            if (text[i] == '"') {
                for (i++; i < length && text[i] != '"'; i++)
                    ;
                i += i < length;
            } else if (field == column) {
                int negative = text[i] == '-';
                int64_t value = 0;
                i += (size_t)negative;
                for (; i < length && text[i] >= '0' && text[i] <= '9'; i++)
                    value = value * 10 + (text[i] - '0');
                total += negative ? -value : value;
            }
            while (i < length && text[i] != ',' && text[i] != '\n')
                i++;
            if (i < length && text[i] == ',') {
                field++;
                i++;
            }
        }
        lines++;
        i++;
    }
    *sum = total;
    return lines;
}

size_t codec_parse_integers(const char *text, size_t length, int64_t *values, size_t most)
{
    size_t count = 0, i = 0;
    while (count < most) {
        while (i < length && (text[i] < '0' || text[i] > '9') && text[i] != '-')
            i++;
        if (i >= length)
            break;
        int negative = text[i] == '-';
        int64_t value = 0;
        i += (size_t)negative;
        for (; i < length && text[i] >= '0' && text[i] <= '9'; i++)
            value = value * 10 + (text[i] - '0');
        values[count++] = negative ? -value : value;
    }
    return count;
}

size_t codec_print_integers(char *out, const int32_t *values, size_t count)
{
    char *start = out;
    for (size_t i = 0; i < count; i++) {
        char digits[12];
        int used = 0;
        uint32_t rest = values[i] < 0 ? 0u - (uint32_t)values[i] : (uint32_t)values[i];
        do
            digits[used++] = (char)('0' + rest % 10);
        while (rest /= 10);
        if (values[i] < 0)
            *out++ = '-';
        while (used > 0)
            *out++ = digits[--used];
        *out++ = '\n';
    }
    return (size_t)(out - start);
}

size_t codec_varint_encode(uint8_t *out, const uint32_t *values, size_t count)
{
    uint8_t *start = out;
    for (size_t i = 0; i < count; i++) {
        uint32_t value = values[i];
        while (value >= 0x80) {
            *out++ = (uint8_t)(value | 0x80);
            value >>= 7;
        }
        *out++ = (uint8_t)value;
    }
    return (size_t)(out - start);
}

size_t codec_varint_decode(uint32_t *values, const uint8_t *data, size_t length)
{
    size_t count = 0;
    for (size_t i = 0; i < length; count++) {
        uint32_t value = 0;
        int shift = 0;
        while (i < length && data[i] & 0x80 && shift < 28) {
            value |= (uint32_t)(data[i++] & 0x7f) << shift;
            shift += 7;
        }
        if (i < length)
            value |= (uint32_t)data[i++] << shift;
        values[count] = value;
    }
    return count;
}
