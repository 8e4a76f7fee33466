#include <stddef.h>

struct scanner {
    const unsigned char *at;
    unsigned state, seen;
};

struct item {
    unsigned char kind, weight;
    unsigned short flags;
    unsigned value;
};

enum fruit { APPLE, PEAR = 40, PLUM = 59 };

/* Single values. */
unsigned category(unsigned char letter);
void step(struct scanner *scanner);
unsigned price(enum fruit fruit);
unsigned weighed(const struct item *items, unsigned count);
int ranked(const char *first, const char *second);

/* Long runs. */
size_t matching(const unsigned char *first, const unsigned char *second, size_t most);
size_t count_of(const unsigned char *text, size_t count, unsigned char wanted);
size_t first_other(const unsigned char *text, size_t count);
