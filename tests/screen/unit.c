/* The unit that the attacks in attacks/ try to get into; `target` is the function they replace. */
extern int external(int);

int counter;
int settings[4] = {1, 2, 3, 4};
static const int weights[8] = {3, 1, 4, 1, 5, 9, 2, 6};

__attribute__((noinline)) static int helper(int x) { return x * weights[x & 7]; }

int other(int x) { return helper(x) + external(x); }

int target(const int *values, int count) {
    int sum = 0;
    for (int i = 0; i < count; i++)
        sum += values[i];
    return sum + counter;
}

int dispatch(int x) {
    switch (x) {
    case 0: return external(1);
    case 1: return counter;
    case 2: return helper(7);
    case 3: return external(x) + counter;
    case 4: return settings[1];
    default: return -1;
    }
}
