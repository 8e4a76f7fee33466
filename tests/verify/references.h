#include <stddef.h>

/* How long the name behind an ampersand is, with its semicolon; 0 for what is no name, -1 where the text ends within one. */
int reference(const char *at, const char *end);
long unescaped(const char *text, size_t size);
