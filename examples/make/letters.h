#ifndef LETTERS_H
#define LETTERS_H

#include <stddef.h>

enum { LETTERS = 26 };

/* Add the letters of a text to the counts, upper and lower case as one. */
void count_letters(unsigned long counts[LETTERS], const char *text, size_t length);

/* Order the letters by falling count; letters of the same count stay in their order. */
void rank_letters(unsigned char order[LETTERS], const unsigned long counts[LETTERS]);

#endif
