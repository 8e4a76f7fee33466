#include "scanner.h"

/* The kind of the next token, and where it ends; -1 where the text ends within one. */
int scan(const struct scanner *scanner, const unsigned char *at, const unsigned char *end, const unsigned char **next)
{
    if (at == end)
        return -1;
    switch (scanner->kinds[*at++]) {
    case SPACE:
        while (at != end && scanner->kinds[*at] == SPACE)
            at++;
        *next = at;
        return 1;
    case LETTER:
        while (at != end && (scanner->kinds[*at] == LETTER || scanner->kinds[*at] == DIGIT))
            at++;
        *next = at;
        return 2;
    case OPEN:
        if (at == end)
            return -1;
        if (scanner->kinds[*at] == ESCAPE) {
            *next = at + 1;
            return 3;
        }
        *next = at;
        return 4;
    case LEAD:
        if (end - at < 3)
            return -1;
        if (scanner->is_wide(scanner, at)) {
            *next = at + 3;
            if (end - at == 3)
                return -1;
            if (scanner->kinds[at[3]] == ESCAPE)
                return 8;
            if (scanner->kinds[at[3]] != LEAD)
                return 5;
            if (end - at < 7)
                return -1;
            return scanner->is_wide(scanner, at + 4) ? 9 : 5;
        }
        *next = at;
        return 6;
    case ESCAPE:
        *next = at;
        return 7;
    default:
        *next = at;
        return 0;
    }
}
