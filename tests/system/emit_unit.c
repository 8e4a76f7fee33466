/* Compiled with -DREWRITTEN these are the "rewrites": each adds 1000, so that the program shows which body ran. */
#ifdef REWRITTEN
#define MARK 1000
#else
#define MARK 0
#endif

static int counter;
static const int table[4] = {1, 2, 3, 4};

static __attribute__((noinline)) int helper(int x) { return counter += x; }
__attribute__((noinline)) int hot(int x) { return table[x & 3] * x + MARK; }
__attribute__((noinline)) int stateful(int x) { return helper(x) + MARK; }
__attribute__((noinline)) double scaled(double x) { return x * 1.5 + MARK; }
static __attribute__((noinline)) int local(int x) { return x * 7 + x / 3 + MARK; }
__attribute__((weak, noinline)) int overridable(int x) { return x + 5 + MARK; }
__attribute__((noinline)) int named(int x) { return x * 11 + MARK; }
int also_named(int) __attribute__((alias("named")));

int inside(int x) { return hot(x) + 1; }
int (*address(void))(int) { return hot; }
int through(int x) { return local(x) + 1; }
int state(void) { return counter; }
