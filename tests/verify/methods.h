struct stream;

struct methods {
    long (*read)(struct stream *, char *, long, int tries);
    int (*close)(struct stream *);
    void (*note)(struct stream *, double, int tries);
};

struct stream {
    const struct methods *methods;
    const char *data;
    long at, size;
    int flags;
    void (*tell)(struct stream *, long, long);
};

long slurp(struct stream *stream, char *out, long room);
