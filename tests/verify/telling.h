struct entry {
    int key, value;
};

int is_greater(unsigned first, unsigned second, const unsigned char *block, const unsigned short *ranks, unsigned size);
int insert(struct entry *entries, int count, int key, int value);
int wrapped(const char *text, int size, int width);
