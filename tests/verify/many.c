/* A function with far more conditions than fit into one block of marks. */
#define ONE(n) if (numbers[(n) & 15] > (n) % 23) marks += (n) * numbers[(n) % 7]; else marks ^= n;
#define TEN(n) ONE(n) ONE(n + 1) ONE(n + 2) ONE(n + 3) ONE(n + 4) ONE(n + 5) ONE(n + 6) ONE(n + 7) ONE(n + 8) ONE(n + 9)
#define HUNDRED(n) TEN(n) TEN(n + 10) TEN(n + 20) TEN(n + 30) TEN(n + 40) TEN(n + 50) TEN(n + 60) TEN(n + 70) TEN(n + 80) TEN(n + 90)

__attribute__((noinline)) int many(const int *numbers)
{
    volatile int marks = 0;
    HUNDRED(0) TEN(100) TEN(110) TEN(120) TEN(130)
    return marks;
}

#ifdef MAIN
#include <stdio.h>
int main(void)
{
    int sum = 0;
    for (int round = 0; round < 3000; round++) {
        int numbers[16];
        for (int i = 0; i < 16; i++)
            numbers[i] = (i * 7 + round) % 29;
        sum += many(numbers);
    }
    printf("%d\n", sum);
    return 0;
}
#endif
