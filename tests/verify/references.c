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

/* How many characters the text has, each reference one of them; less than 0 where a reference is wrong, and where the text ends
   within one. */
long unescaped(const char *text, size_t size)
{
    const char *end = text + size;
    long count = 0;
    while (text != end) {
        if (*text++ == '&') {
            int length = reference(text, end);
            if (length <= 0) {
                if (length)
                    return -100 * count - 2;
                return -count - 1;
            }
            text += length;
        }
        count++;
    }
    return count;
}
