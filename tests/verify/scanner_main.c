#include "scanner.h"
#include <stdio.h>
#include <string.h>

/* These are the second to last bytes of a character in UTF-8. */
static int is_wide(const struct scanner *scanner, const unsigned char *at)
{
    (void)scanner;
    return (at[2] & 0xC0) == 0x80 && (at[1] & 0xC0) == 0x80 && (at[0] & 0xC0) == 0x80;
}

/* No byte is an ESCAPE here. */
const struct scanner plain = {is_wide, {
    [' '] = SPACE, ['\n'] = SPACE, ['a' ... 'z'] = LETTER, ['A' ... 'Z'] = LETTER, ['0' ... '9'] = DIGIT,
    ['<'] = OPEN, ['>'] = CLOSE, [0xE0 ... 0xEF] = LEAD,
}};

int main(void)
{
    static unsigned char text[] = "some words  and 12 others a1 b2";
    const unsigned char *at = text, *end = text + strlen((char *)text);
    int sum = 0, token;
    while ((token = scan(&plain, at, end, &at)) != -1)
        sum += token;
    return printf("%d\n", sum) < 0;
}
