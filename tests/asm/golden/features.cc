// What C++ adds to a listing: COMDAT groups, constructors under two names, exception tables, guarded statics, thunks.
struct Base {
    virtual ~Base() {}
    virtual int call(int a) { return a + 1; }
    int field = 3;
};
struct Other {
    virtual int other(int a) { return a * 2; }
    long more = 9;
};
struct Derived : Base, virtual Other {
    int call(int a) override { return a + field; }
    int other(int a) override { return a - 1 + static_cast<int>(more); }
};
template <class T> T largest(const T *a, int n)
{
    T best = a[0];
    for (int i = 1; i < n; i++)
        best = best < a[i] ? a[i] : best;
    return best;
}
inline int guarded(int a)
{
    static int once = a * 3;
    return once++;
}
int use(Base &base, int a) { return base.call(a) + guarded(a); }
double largest_of(const double *a, const int *b, int n) { return largest(a, n) + largest(b, n); }
int catches(int a)
{
    try {
        Derived derived;
        if (a > 5)
            throw a;
        return use(derived, a) + derived.other(a);
    } catch (int thrown) {
        return thrown;
    }
}
namespace {
int local(int a) { return a ^ 3; }
} // namespace
int (*pointer)(int) = local;
Derived global;
