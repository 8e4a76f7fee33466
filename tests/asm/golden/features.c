/* What C can make a compiler write into a listing: every kind of symbol, section and data that a body may stand next to. */
#define NOINLINE __attribute__((noinline, noclone))

extern void external(int);
extern void abort(void);
extern int printf(const char *, ...);

/* Jump tables, computed goto, a cold part. */
int table(int a, int b)
{
    switch (a) {
    case 0: return b * 3;
    case 1: external(b); return 5;
    case 2: return b ^ 77;
    case 3: external(a); return b - 1;
    case 4: return b / 7;
    case 5: return b % 11;
    case 6: external(9); return -b;
    case 7: return b << 4;
    default: return 0;
    }
}

int threaded(const unsigned char *code)
{
    static const void *const targets[] = {&&add, &&multiply, &&end};
    int value = 1;
    goto *targets[*code++];
add:
    value += 5;
    goto *targets[*code++];
multiply:
    value *= 3;
    goto *targets[*code++];
end:
    return value;
}

__attribute__((cold, noinline)) void failed(int why) { printf("failed: %d; # not a comment\n", why); }

int with_cold_part(int *a, int n)
{
    int sum = 0;
    for (int i = 0; i < n; i++) {
        if (__builtin_expect(a[i] < 0, 0)) {
            failed(i);
            failed(a[i]);
        }
        sum += a[i];
    }
    if (sum == 77)
        abort();
    return sum;
}

/* Symbols: aliases, weak, hidden, odd names, sections of their own, an ifunc. */
int original(int a) { return a * 31 + 7; }
extern int another(int) __attribute__((alias("original")));
extern int weak_name(int) __attribute__((weak, alias("original")));
static int hidden_name(int) __attribute__((alias("original"), used));
__attribute__((weak)) int weak(int a) { return a - 3; }
__attribute__((visibility("hidden"))) int hidden(int a) { return original(a) + weak(a); }
__attribute__((visibility("protected"))) int protected(int a) { return hidden(a) + 1; }
int named_otherwise(int a) __asm__("name.with$dots");
int named_otherwise(int a) { return a + weak_name(a); }
int caf\u00e9(int a) { return a ^ 5; }
__attribute__((section(".text.special"))) int elsewhere(int a) { return a * a; }
#ifndef __clang__
__attribute__((section(".init.text,\"ax\",@progbits#"))) int kernel_style(int a) { return a + 2; }
#endif
__attribute__((aligned(64))) int aligned_function(int a) { return a | 64; }
static int variant_1(int a) { return a + 1; }
static int (*resolve(void))(int) { return variant_1; }
int chosen(int) __attribute__((ifunc("resolve")));
__attribute__((constructor)) static void at_start(void) { external(1); }
__attribute__((destructor(200))) static void at_end(void) { external(2); }
void empty(void) {}
void never(void) { __builtin_unreachable(); }

/* Data: constants of every kind, strings that look like assembly, statics, TLS, common, relocated constants. */
static int counter;
__thread int per_thread = 5;
static __thread int own_per_thread;
int uninitialised[100];
const char *const messages[] = {"a:", "\t.text\n.L5:\n", "; ret #", "\"quoted\\", "\303\251", 0};
static int (*const handlers[])(int) = {original, weak, variant_1};
struct pair { const char *name; int (*call)(int); } pairs[] = {{"one", original}, {"two", elsewhere}};

int statics(int a)
{
    static int calls, other = 9;
    static const char word[] = ".LC0:\n\t.size statics, 1\n";
    calls += a;
    other ^= calls;
    per_thread++;
    own_per_thread += word[a & 7];
    return other + counter++ + handlers[a % 3](a) + own_per_thread;
}

double constants(double x, float y) { return x * 3.25 + y * 1.5f + (x > 1e300 ? -0.0 : 2.0); }
long double wide(long double x) { return x * 3.0L + 1e4000L; }
_Complex double complex_product(_Complex double a, _Complex double b) { return a * b + 2.0i; }
typedef int v8 __attribute__((vector_size(32)));
v8 vectors(v8 a) { return a * (v8){1, 2, 3, 4, 5, 6, 7, 8} + (v8){9, 9, 9, 9, 9, 9, 9, 9}; }
void doubled(double *a, const double *b, int n)
{
    for (int i = 0; i < n; i++)
        a[i] = b[i] * 2.5 + 1.0;
}

/* Clones, nested functions, statements of inline assembly that switch sections. */
static NOINLINE int many(int a, int b, int unused) { return unused ? a + b : a * b; }
int clones(int a) { return many(a, 2, 0) + many(a, 3, 0); }
static __attribute__((noinline)) int cut(int *p, int n)
{
    if (!p)
        return 0;
    for (int i = 0; i < n; i++)
        external(p[i]);
    return n;
}
int parts(int *p) { return cut(p, 3) + cut(p + 1, 3); }
#ifndef __clang__
int trampoline(int n, void (*run)(int (*)(int)))
{
    int inner(int a) { return n += a; }
    run(inner);
    return n;
}
#endif
int inline_assembly(int a)
{
    __asm__ volatile("1:\tnop\n\t.pushsection .discard.here, \"a\"\n\t.quad 1b\n\t.popsection" : "+r"(a));
    return a;
}
int one_line(int a)
{
    __asm__ volatile("661:\tnop; 662: .pushsection .altinstructions,\"a\"; .quad 661b; .byte 662b-661b; .popsection" : "+r"(a));
    return a + 1;
}
int switches(int a)
{
    __asm__ volatile(".section .discard.far,\"a\"; .quad 1\n\t.previous\n\tnop" ::: "memory");
    __asm__ volatile(".subsection 1\n2:\tnop\n\tjmp 3f\n\t.previous\n3:" ::: "memory");
    return a + 2;
}
int behind_assembly(int a) { return original(a) * table(a, 1); }
__asm__(".text; .globl by_hand; .type by_hand, @function; by_hand: ret; .size by_hand, .-by_hand");
__asm__("\t.pushsection .rodata.hand,\"a\",@progbits; by_hand_data: .long 5, 6; .popsection");
int behind_top_level(int a) { return a + 9; }
