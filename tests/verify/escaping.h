struct choice {
    int kind;
    const int *steps;
};

const char *named(int number);
void chosen(struct choice *choice, int kind);
double weight(const int *kinds, int count);
