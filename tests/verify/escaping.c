#include "escaping.h"

#ifdef OTHER_TEXT
#define THIRD "many"
#else
#define THIRD "some"
#endif
#ifdef OTHER_NUMBER
#define LARGE 1001
#else
#define LARGE 1000
#endif

static const int steps[2][4] = {{1, 2, 3, 4}, {10, 100, LARGE, 10000}};

/* A text for a number, which the caller reads. */
const char *named(int number)
{
    if (number < 0)
        return "less";
    return number == 0 ? "none" : THIRD;
}

/* Numbers for a kind, left in the caller's structure. */
void chosen(struct choice *choice, int kind)
{
    choice->kind = kind & 1;
    choice->steps = steps[kind & 1];
}

/* What is left in a register that returns nothing is no pointer to the table. */
double weight(const int *kinds, int count)
{
    double sum = 0;
    for (int i = 0; i < count; i++)
        sum += steps[0][kinds[i] & 3];
    return sum;
}
