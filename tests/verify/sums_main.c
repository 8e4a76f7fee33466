#include <stdio.h>

int in_range(const unsigned char *text);

int main(void)
{
    unsigned char texts[2][4] = {"\xE2\x82\xAC", "abc"};
    int sum = 0;
    for (int i = 0; i < 3000000; i++)
        sum += in_range(texts[i & 1]);
    printf("%d\n", sum);
}
