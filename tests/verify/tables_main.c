#include <stdio.h>

int keyword_number(const char *text);
unsigned char reversed(unsigned char byte);

int main(void)
{
    static const char *words[] = {"int", "x", "while", "do", "autos", "return", "", "zero"};
    unsigned sum = 0;
    for (int i = 0; i < 64; i++)
        sum = sum * 7 + (unsigned)keyword_number(words[i % 8]) + reversed((unsigned char)(i * 37));
    printf("%u\n", sum);
    return 0;
}
