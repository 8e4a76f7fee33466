#include <ctype.h>
#include <stdio.h>

int main(void)
{
    int c, inside = 0;
    long lines = 0, words = 0, letters = 0;
    while ((c = getchar()) != EOF) {
        lines += c == '\n';
        letters += isalpha(c) != 0;
        if (isspace(c))
            inside = 0;
        else if (!inside) {
            inside = 1;
            words++;
        }
    }
    printf("%ld %ld %ld\n", lines, words, letters);
    return 0;
}
