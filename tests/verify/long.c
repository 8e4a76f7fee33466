/* Calls too long to be single-stepped, whatever the arguments: sizes are constants. */
#include <string.h>

enum { SIZE = 96 };

double plane[SIZE][SIZE];
int histogram[256];
unsigned char letters[40000];

void smooth(double to[SIZE][SIZE], double from[SIZE][SIZE])
{
    for (int i = 1; i < SIZE - 1; i++)
        for (int j = 1; j < SIZE - 1; j++)
            to[i][j] = 0.25 * (from[i - 1][j] + from[i + 1][j] + from[i][j - 1] + from[i][j + 1]);
}

/* A jump table, a library call with a specified effect, and a call inside of the unit. */
static __attribute__((noinline)) int weight(int letter)
{
    return letter & 1 ? letter * 3 : letter >> 1;
}

int count(const unsigned char *text)
{
    int sum = 0;
    memset(histogram, 0, sizeof histogram);
    for (int i = 0; i < 40000; i++) {
        switch (text[i] & 7) {
        case 0: sum += 5; break;
        case 1: sum ^= i; break;
        case 2: sum -= text[i]; break;
        case 3: sum *= 3; break;
        case 4: sum += i; break;
        case 5: sum = ~sum; break;
        case 6: sum += weight(text[i]); break;
        default: sum |= 1;
        }
        histogram[text[i]]++;
    }
    return sum;
}

#ifdef MAIN
#include <stdio.h>
static double other[SIZE][SIZE];
int main(void)
{
    int sum = 0;
    for (int round = 0; round < 300; round++) {
        for (int i = 0; i < 40000; i++)
            letters[i] = (unsigned char)(i * i / 7 + round);
        for (int i = 0; i < SIZE; i++)
            for (int j = 0; j < SIZE; j++)
                plane[i][j] = i * j % 17 + round;
        for (int again = 0; again < 40; again++)
            smooth(other, plane);
        sum += count(letters);
    }
    printf("%d %g\n", sum, other[5][7]);
    return 0;
}
#endif
