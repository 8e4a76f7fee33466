typedef struct pair {
    int first, second;
} pair;
#define TWICE(x) ((x) + (x))
