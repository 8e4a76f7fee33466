/* One caller makes a thousand short calls for each long one of the other. */
#include <stdio.h>
#define N __attribute__((noinline, noclone))
static long data[1 << 17];
N long total(const long *p, int n) { long s = 0; for (int i = 0; i < n; i++) s = s * 3 + p[i]; return s; }
N long common(int i) { return total(data + (i & 7), 3) + 1; }
N long rare(int i) { return total(data, (1 << 17) - i % 3) + 2; }
int main(void)
{
    long s = 0;
    for (int i = 0; i < 30000000; i++) { s += common(i); if (i % 30000 == 0) s += rare(i); }
    printf("%ld\n", s);
    return 3;
}
