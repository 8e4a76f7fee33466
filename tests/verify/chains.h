struct chain {
    unsigned limit, enough;
    unsigned short next[64];
    unsigned char text[64];
};

unsigned best_on(const struct chain *chain, unsigned at, unsigned known);
int run(const unsigned char *code, unsigned length, int *stack);
