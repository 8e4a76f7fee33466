struct sink {
    int verbosity;
    int (*filter)(struct sink *, int);
    int room;
    int used;
    unsigned char *memory;
    long total;
};

int collect(struct sink *sink, const unsigned char *data, int count);
int reserve(struct sink *sink, int wanted);
int drain(struct sink *sink, int descriptor);
int two_notes(struct sink *sink, int value);
int checked(const struct sink *sink, int at);
_Noreturn void fail(const char *why, int value);
void note_first(struct sink *sink, int value);
void note_second(struct sink *sink, int value);
