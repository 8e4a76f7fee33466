#include <stdint.h>

struct machine {
    int32_t cells[16];
    int top;
    unsigned flags;
};

unsigned operate(struct machine *machine, int operation, int argument);
void copied_forward(unsigned char *to, const unsigned char *from, unsigned long count);
unsigned reading(unsigned char letter, unsigned number);
void transposed(int *to, const int *from, int size);
unsigned reduced(unsigned one, unsigned other, unsigned modulus);
