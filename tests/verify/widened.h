struct coder {
    unsigned sum;
    unsigned char buffer[3000];
    unsigned code;
    unsigned char seen[256];
};

void note(struct coder *coder);
