/* Bodies whose behaviour in the sandbox is compared with the same functions called natively. */
#include <stddef.h>
#include <stdint.h>

struct node {
    int32_t value;
    double weight;
    struct node *next;
};

static int counter = 5;
static int64_t history[4];
static const uint32_t squares[8] = {0, 1, 4, 9, 16, 25, 36, 49};

int64_t integers(int64_t a, int64_t b)
{
    return a * 3 - (b ^ (a >> 7)) + (b ? a % b : 0);
}

double doubles(double a, double b)
{
    return a * b + a / (b * b + 1.0) - 0.1;
}

double list_sum(struct node *list)
{
    double sum = 0;
    for (; list; list = list->next) {
        sum += list->weight * list->value;
        list->value++;
    }
    return sum;
}

uint32_t table(uint32_t index)
{
    switch (index % 9) {
    case 0: return squares[index / 9 % 8];
    case 1: return index * 77;
    case 2: return index ^ 0x55;
    case 3: return ~index;
    case 4: return index << 3;
    case 5: return index / 3;
    case 6: return index - 1000;
    default: return 1;
    }
}

static __attribute__((noinline)) int bump(int by)
{
    counter += by;
    history[counter & 3] = counter;
    return counter;
}

int statics(int by)
{
    return bump(by) * 2;
}

__attribute__((noinline)) uint64_t recursion(uint64_t n)
{
    return n < 2 ? n : recursion(n - 1) + recursion(n - 2);
}

int tail_call(int n)
{
    return bump(n + 1);
}

void saxpy(float *restrict y, const float *restrict x, float a, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += a * x[i];
}

int64_t recall(int index)
{
    return history[index & 3];
}
