struct coder {
    unsigned sum;
    unsigned char buffer[3000];
    unsigned code;
    unsigned char seen[256];
};

void note(struct coder *coder);

struct queue {
    unsigned char *block;
    unsigned char byte;
    int at;
};

void append(struct queue *queue);
