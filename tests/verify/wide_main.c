#include <stdio.h>

long total(const long *elements, unsigned long n);
int first(const int *elements, float value);

int main(void)
{
    long numbers[64] = {1, 2, 3};
    int small[64] = {4, 5, 6};
    long sum = 0;
    for (int i = 0; i < 3000000; i++)
        sum += total(numbers, (unsigned long)(3 + (i & 7))) + first(small, 1.0f);
    printf("%ld\n", sum);
}
