#include "corpus.h"

enum { PUSH, ADD, SUBTRACT, MULTIPLY, SWAP, NEGATE, JUMP_IF_ZERO, STOP };

int run_program(const uint8_t *code, size_t length, int *stack)
{
    int depth = 0;
    for (size_t at = 0; at < length; at++) {
        int other;
        switch (code[at]) {
        case PUSH:
            if (++at >= length || depth >= 8)
                return -1;
            stack[depth++] = code[at];
            break;
        case ADD:
            if (depth < 2)
                return -2;
            depth--;
            stack[depth - 1] = (int)((unsigned)stack[depth - 1] + (unsigned)stack[depth]);
            break;
        case SUBTRACT:
            if (depth < 2)
                return -3;
            depth--;
            stack[depth - 1] = (int)((unsigned)stack[depth - 1] - (unsigned)stack[depth]);
            break;
        case MULTIPLY:
            if (depth < 2)
                return -4;
            depth--;
            stack[depth - 1] = (int)((unsigned)stack[depth - 1] * (unsigned)stack[depth]);
            break;
        case SWAP:
            if (depth < 2)
                return -5;
            other = stack[depth - 1];
            stack[depth - 1] = stack[depth - 2];
            stack[depth - 2] = other;
            break;
        case NEGATE:
            if (depth < 1)
                return -6;
            stack[depth - 1] = (int)-(unsigned)stack[depth - 1];
            break;
        case JUMP_IF_ZERO:
            if (depth < 1 || at + 1 >= length)
                return -7;
            at++;
            if (!stack[--depth])
                at += code[at];
            break;
        case STOP:
            return depth;
        default:
            return -8;
        }
    }
    return depth;
}

size_t put_escaped(struct sink *sink, const char *text, size_t length)
{
    size_t before = sink->bytes;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '"' || text[i] == '\\')
            sink_put(sink, '\\');
        sink_put(sink, text[i]);
        if (text[i] == '\n')
            sink_flush(sink, 0);
    }
    if (sink->bytes != before)
        sink_flush(sink, 1);
    return sink->bytes - before;
}

long visit_matching(const short *values, int count, short wanted, int (*visit)(short, void *), void *context)
{
    long sum = 0;
    for (int i = 0; i < count; i++)
        if (values[i] >= wanted) {
            int result = visit(values[i], context);
            if (result < 0)
                return result;
            sum += result;
        }
    return sum;
}
