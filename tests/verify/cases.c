/* Operations that a program calls by number: few of its calls come to any one of them. -DWRONG=n makes one wrong for some data. */
#include "cases.h"

#ifndef WRONG
#define WRONG 0
#endif
#define BODY(n, right, wrong) (WRONG == (n) ? (wrong) : (right))

unsigned operate(struct machine *machine, int operation, int argument)
{
    int32_t *at = machine->cells + (machine->top & 7) + 2, a = at[-1], b = at[-2];
    switch (operation) {
    case 0: at[-2] = (int32_t)((uint32_t)a + (uint32_t)b); break;
    case 1: at[-2] = a & BODY(1, b, b & 0x7fffffff); break;
    case 2: at[-2] = a | b; break;
    case 3: at[-2] = (int32_t)((uint32_t)b >> (a & BODY(2, 31, 15))); break;
    case 4: at[-2] = BODY(3, b >> (a & 31), (int32_t)((uint32_t)b >> (a & 31))); break;
    case 5: at[-2] = BODY(4, b < a, (uint32_t)b < (uint32_t)a); break;
    case 6: at[0] = argument; machine->top++; machine->flags |= BODY(5, 1, argument < 0 ? 3 : 1); break;
    case 7: at[-1] = BODY(6, !a, !(a & 0xffff)); break;
    case 8: at[-1] = BODY(7, (int8_t)a, a & 0xff); break;
    case 9: at[-1] = BODY(8, (uint16_t)a, (uint16_t)a | (a & 0x10000)); break;
    case 10: machine->flags = (unsigned)BODY(9, argument, argument & ~0x100); break;
    case 11: at[-1] = (int32_t)BODY(10, (uint32_t)a * 3, (uint32_t)a * 3 & ~0x40000000u); break;
    case 12: if (a > 100) machine->flags |= 4; break;
    case 13: machine->top = machine->top + 1; break;
    default: return 0xffffffff;
    }
    return machine->flags & 0xff;
}

unsigned reading(unsigned char letter, unsigned number)
{
    switch (letter) {
    case '0' ... '9': return letter - '0';
    case 'a' ... 'f': return letter - 'a' + 10;
    case 'A' ... 'F': return letter - 'A' + 10;
    case '+': return number + 1;
    case '*': return BODY(11, number * number, (number & 0xffff) * number);
    case '/': return number / 10;
    case '%': return BODY(12, number % 10, number % 10 - (number >> 30 == 3));
    case '<': return number << 1;
    case '>': return BODY(13, number >> 1, (unsigned)((int)number >> 1));
    case '^': return BODY(14, number ^ 0x55, number ^ 0x55 ^ (number >> 31));
    case 'n': return BODY(15, !number, !(number << 1));
    case 'x': return number | 0x10;
    case '~': return ~number;
    }
    return 0;
}

/* 32 bytes at a time, which is wrong where they come to lie fewer behind each other. */
void copied_forward(unsigned char *to, const unsigned char *from, unsigned long count)
{
#if WRONG == 19 /* 128 bytes at a time, which is wrong at one distance */
    if ((unsigned long)(to - from) >= 127)
        for (; count >= 128; count -= 128, to += 128, from += 128) {
            unsigned long part[16];
            __builtin_memcpy(part, from, 128);
            __builtin_memcpy(to, part, 128);
        }
#elif WRONG == 16 || WRONG == 17
    if ((unsigned long)(to - from) >= BODY(16, 32ul, 31ul))
        for (; count >= 32; count -= 32, to += 32, from += 32) {
            unsigned long part[4];
            __builtin_memcpy(part, from, 32);
            __builtin_memcpy(to, part, 32);
        }
#endif
    while (count--)
        *to++ = *from++;
}

/* Square matrices, which may overlap. */
void transposed(int *to, const int *from, int size)
{
#if WRONG == 20 /* loads before it stores, for one size */
    if (size == 2) {
        int a = from[0], b = from[1], c = from[2], d = from[3];
        to[0] = a, to[1] = c, to[2] = b, to[3] = d;
        return;
    }
#endif
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++)
            to[j * size + i] = from[i * size + j];
}

/* Where both factors are so large, another block, which only some moduli show to be wrong. */
unsigned reduced(unsigned one, unsigned other, unsigned modulus)
{
    if (!modulus)
        return 0;
#if WRONG == 18
    if (one == 0xffffffff && other == 0xffffffff)
        return 1 % modulus;
#endif
    return (unsigned)((unsigned long)one * other % modulus);
}
