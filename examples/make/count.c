#include "letters.h"

void count_letters(unsigned long counts[LETTERS], const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        unsigned letter = ((unsigned char)text[i] | 32u) - 'a';
        if (letter < LETTERS)
            counts[letter]++;
    }
}
