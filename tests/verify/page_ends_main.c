#include <stdio.h>

int ordered(const unsigned char *one, const unsigned char *other, int size);

int main(void)
{
    static unsigned char text[4096];
    int sum = 0;
    for (int i = 0; i < 4096; i++)
        text[i] = (unsigned char)(i % 61);
    for (int i = 0; i < 20000000; i++)
        sum += ordered(text + i % 4000, text + i % 2003, i % 29);
    printf("%d\n", sum);
}
