enum { OTHER, SPACE, LETTER, DIGIT, OPEN, CLOSE, LEAD, ESCAPE };

struct scanner {
    int (*is_wide)(const struct scanner *, const unsigned char *);
    unsigned char kinds[256];
    long (*hash)(const unsigned char *, long, long, long); /* nobody calls it, but it shows that pointers are of several kinds */
};

int scan(const struct scanner *scanner, const unsigned char *at, const unsigned char *end, const unsigned char **next);
extern const struct scanner plain;
