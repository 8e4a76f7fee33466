struct header {
    unsigned tag;
    unsigned short version, flags;
};

struct log {
    long last;
    unsigned lines, sum;
};

int decide(int code, int value);
int magic(const struct header *header, unsigned length);
int keyword(const char *text);
int report(struct log *log, int level, long value, _Bool always);
int log_number(struct log *log, long value);
int log_text(struct log *log, const char *text);
