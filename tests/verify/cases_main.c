#include "cases.h"

int main(void)
{
    struct machine machine = {{1, 2, 3, 4, 5, 6, 7, 8}, 0, 0};
    unsigned sum = 0;
    unsigned char bytes[300] = {7, 8, 9};
    int matrices[2][64] = {{1, 2, 3, 4}};
    for (int i = 0; i < 40; i++) {
        transposed(matrices[1], matrices[0], i % 8);
        copied_forward(bytes + i, bytes, (unsigned long)i * 5);
        sum += operate(&machine, i * 5 % 14, i);
        sum += reduced((unsigned)i * 1000, 77777, 1009);
        sum += reading("+*/%<>^nx~"[i % 10], (unsigned)i);
    }
    return sum + bytes[99] == 0;
}
