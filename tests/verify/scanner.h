enum { OTHER, SPACE, LETTER, DIGIT, OPEN, CLOSE, LEAD, ESCAPE };

struct scanner {
    int (*is_wide)(const struct scanner *, const unsigned char *);
    unsigned char kinds[256];
};

int scan(const struct scanner *scanner, const unsigned char *at, const unsigned char *end, const unsigned char **next);
extern const struct scanner plain;
