struct window {
    unsigned char *text;
    unsigned at, before, filled;
};

int agreeing(const struct window *window);
