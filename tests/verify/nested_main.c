#include <stdio.h>

unsigned mix_all(const char *text);

int main(void)
{
    static const char *texts[] = {"a(b)c", "((x)y)", "", "no", "f(g((h)))", "(((((", ")(()("};
    unsigned total = 0;
    for (int i = 0; i < 70; i++)
        total += mix_all(texts[i % 7]);
    printf("%u\n", total);
    return 0;
}
