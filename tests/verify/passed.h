#include <complex.h>
#include <stdarg.h>

struct pair {
    long first;
    int second;
};
struct point {
    float x, y;
};
struct segment {
    double from, to;
};
struct mixed {
    double weight;
    long count;
};
struct large {
    long many[4];
    double last;
};
struct options {
    char kind;
    int level;
    const char *name;
    double limit;
    char text[24];
};
union either {
    double whole;
    int halves[2];
};
typedef float four __attribute__((vector_size(16)));

struct listener {
    void (*told)(struct listener *, double, int);
    int count;
};

int by_number(int number, double value);
int by_pair(int number, long value);
int by_point(int number, float value);
int by_segment(int number, double value);
int by_mixed(int number, double value);
int by_large(int number, long value);
int by_many(int number, long value);
int by_wide(int number, long value);
int by_extended(int number, double value);
int by_complex(int number, double value);
int by_vector(int number, float value);
int by_ellipsis(int number, double value);
int by_format(int number, double value);
int by_options(int number, double value);
int by_text(int number, int value);
int by_reference(int number, double value);
int by_listener(struct listener *listener, double value);
int by_declaration(int number, double value);
int by_part(int number, double value);
int by_count(int number, long value);
int by_context(int number, long value);
int by_union(int number, double value);
int by_plain_text(int number, double value);

void take_number(int number, double value, float single);
void take_pair(int number, struct pair pair);
void take_point(struct point point, int number);
void take_segment(int number, struct segment segment);
void take_mixed(struct mixed mixed, int number);
void take_large(int number, struct large large);
void take_many(long, long, long, long, long, long, long, long, long, long, long, long, long, long, long, int);
void take_wide(int number, __int128 wide);
void take_extended(int number, long double extended);
void take_complex(int number, double complex both);
void take_vector(int number, four vector);
void take_some(int count, ...);
void take_format(const char *format, ...);
void take_options(const struct options *options);
void take_text(const char *text, int number);
void take_reference(int number, double *value);
void take_anything();
void take_part(const struct options *options);
void take_count(const long *numbers, unsigned long count);
void take_context(void *context);
void take_union(union either either);
