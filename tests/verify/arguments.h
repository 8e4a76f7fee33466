#include <stddef.h>

struct point { double x, y; };
struct mixed { float part; int count; double whole; };
struct slice { const unsigned char *data; size_t length; };
struct large { long first, second, third; short fourth; };
struct list { const struct list *next; double value; int weight; };
struct tagged { int tag; char letter; };
union either { double real; long whole; };
typedef unsigned __int128 wide;

double norm(struct point point, double scale);
double mixing(struct mixed mixed, float factor);
unsigned sum_of(struct slice slice);
long total(int a, int b, int c, int d, int e, int f, long g, struct large large);
unsigned long high(wide a, wide b);
long double longer(long double x, long double y);
double weigh(const struct list *list, double scale, float offset);
long apply(long (*each)(long), long from, long to);
void store(struct tagged *to, struct tagged tagged, int times);
long as_whole(union either either);
_Complex double turned(_Complex double z);
long cloned(const int *numbers, int count, int step, double scale);
long twice(long x);
int above(double x, float y);
void ranked(int *limits, int *bases, int *order, const unsigned char *lengths, int least, int most, int count);
