# 1 "pre.c"
int pre(int value) { return value * 5; }
