#include "references.h"

__attribute__((noinline)) int reference(const char *at, const char *end)
{
    for (const char *name = at; at != end; at++) {
        if (*at == ';' && at - name > 1)
            return at - name + 1;
        if (!((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z')))
            return 0;
    }
    return -1;
}

/* How many characters the text has, each reference one of them; not more than 0 where a reference is wrong. */
long unescaped(const char *text, size_t size)
{
    const char *end = text + size;
    long count = 0;
    while (text != end) {
        if (*text++ == '&') {
            int length = reference(text, end);
            if (length <= 0)
                return length - count;
            text += length;
        }
        count++;
    }
    return count;
}
