struct window {
    unsigned char *text;
    unsigned at, before, filled;
};

int agreeing(const struct window *window);
unsigned repeated(const unsigned char *at, const unsigned char *end, unsigned four);
