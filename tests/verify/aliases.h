struct buffer {
    unsigned char *data;
    int size;
};

struct totals {
    int sum, count;
};

struct pair {
    long key;
    struct totals *peer;
};

struct derived {
    long key;
    struct totals base;
};

struct vector {
    double x, y, z;
};

struct matrix {
    double numbers[4], factor;
};

extern int most;
extern int overall;
void ascending(unsigned char *to);
void filled(const struct buffer *buffer, unsigned char *to, int first);
void own(struct buffer *buffer, int first);
void added(struct totals *totals, const int *numbers, int count);
void added_up(const int *numbers, int count);
void counted(const unsigned char *text, int size);
int count_so_far(void);
void crossed(struct vector *to, const struct vector *one, const struct vector *other);
void scaled(struct matrix *matrix, const double *factor);
void paired(const struct pair *pair, struct totals *totals, int count);
void inherited(const struct derived *derived, struct totals *totals, int count);
