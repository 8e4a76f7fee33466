int f(int unused) { int never; return never; }
char *g(void) { return 1; }
