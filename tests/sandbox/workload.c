/* Calls `step` often, with state in statics, thread-local data, the heap and a shared library. */
#include <stdlib.h>
#include <string.h>

static int total;
static __thread int calls;
static const short weights[16] = {1, -2, 3, -4, 5, -6, 7, -8, 9, -10, 11, -12, 13, -14, 15, -16};

__attribute__((noinline)) int step(char *buffer, const char *text, int n)
{
    calls++;
    memmove(buffer + 1, buffer, 63);
    buffer[0] = (char)(strlen(text) + (unsigned)calls);
    for (int i = 0; i < n; i++)
        total += buffer[i & 63] * weights[i & 15];
    return total + calls;
}

int main(void)
{
    char *buffer = calloc(64, 1);
    volatile int sum = 0;
    for (int i = 0; i < 300000; i++)
        sum += step(buffer, i & 1 ? "odd" : "even, longer", i & 127);
    free(buffer);
    return sum == 0x12345678;
}
