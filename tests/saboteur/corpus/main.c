#include "corpus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sink_put(struct sink *sink, char letter)
{
    sink->sum = sink->sum * 31 + (uint8_t)letter;
    sink->bytes++;
}

int sink_flush(struct sink *sink, int force)
{
    sink->flushes += force ? 100 : 1;
    sink->sum ^= (uint32_t)sink->bytes;
    return (int)sink->flushes;
}

static int visit_small(short value, void *context)
{
    long *calls = context;
    ++*calls;
    return value > 900 ? -1 : value & 7;
}

static uint32_t state = 12345;
static uint32_t next(void) { return state = state * 1664525u + 1013904223u, state >> 8; }

static const char *const WORDS[] = {"", "a", "  -1234", "+77", "nothing", "\t900000000000", "12345678901234567890", "4x",
                                    "caf\xC3\xA9", "\xE2\x82\xAC uro", "\xF0\x9F\x98\x80", "\xC0\xAF", "\xED\xA0\x80",
                                    "bad \xFF", "quote \" and \\ line\nend", "\xF4\x90\x80\x80"};
static const uint8_t PROGRAMS[][12] = {{0, 5, 0, 7, 1, 0, 3, 3, 7}, {0, 9, 0, 4, 4, 2, 5, 7}, {0, 0, 6, 1, 7, 0, 2, 7},
                                       {1}, {0, 1, 6, 3, 7}, {9}, {0, 1, 0, 2, 3, 5, 5, 5, 0}, {5}, {4}, {3}, {2}, {6}};

static uint8_t bytes[4096], out[8192];
static int numbers[64], stack[16];
static long sums[64];
static short shorts[64];
static double a[100], b[100], c[100];
static float floats[64];
static struct node nodes[16];
static struct list list;

static void fill(void)
{
    for (int i = 0; i < 64; i++) {
        numbers[i] = (int)next() % 1000 - 500;
        shorts[i] = (short)(next() % 950);
        floats[i] = (float)(next() % 1000) / 7 - 70;
    }
    for (int i = 0; i < 100; i++)
        a[i] = next() % 17, b[i] = 1.0 / (1 + next() % 9);
    for (int i = 0; i < 16; i++) {
        nodes[i].before = i ? &nodes[i - 1] : 0;
        nodes[i].after = i < 15 ? &nodes[i + 1] : 0;
        nodes[i].key = (uint32_t)i, nodes[i].pinned = i == 7, nodes[i].uses = i == 3 ? 0xFFFE : 0;
    }
    list.first = nodes, list.last = nodes + 15, list.count = 16;
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 20000;
    uint64_t total = 0;
    for (int round = 0; round < rounds; round++) {
        const char *word = WORDS[round % 16];
        size_t length = strlen(word);
        uint64_t value = (uint64_t)next() << (next() % 40);
        int count = round % 50;
        if (round % 500 == 0)
            fill();
        for (int i = 0; i < 64; i++)
            bytes[i] = (uint8_t)(round % 3 ? next() : next() % 3 / 2);
        total += crc32_nibbles(0, bytes, (size_t)count) + string_hash(word);
        total += mix_words((const uint64_t *)bytes, (size_t)count / 8, value);
        total += copy_bounded((char *)out, word, (size_t)(round % 12)) + (unsigned)utf8_valid((const uint8_t *)word, length);
        long number = 0;
        total += (unsigned)parse_number(word, &number) + (unsigned long)number;
        total += (unsigned long)base64_decode(round % 5 ? "SGVsbG8gd29ybGQ=" : "ab/+9!zz", (size_t)(round % 17), out);
        size_t used = varint_encode(value, out);
        total += (unsigned)varint_decode(out, round % 4 ? used : (size_t)(round % 12), &value) + value;
        memcpy(out, bytes, 64);
        copy_match(out + 64, 1 + (size_t)(round % 20), (size_t)count);
        total += run_lengths(bytes, (size_t)count, out + 1024, round % 9 ? 200 : 10) + out[70];
        lru_touch(&list, &nodes[next() % 16]);
        total += list.first->key;
        int searched = binary_search(numbers, count, numbers[round % 64]);
        numbers[round % 64] = (int)next() % 1000 - 500;
        insertion_sort(numbers, round % 33);
        heap_sift((uint32_t *)bytes, (size_t)(round % 16), (size_t)(round % 5));
        multiply(c, a, b, round % 10);
        prefix_sums(numbers, sums, count);
        floats[round % 64] = (float)(round % 777) - 300;
        total += (uint64_t)(int64_t)clamp_all(floats, count, -60, 60) + (uint64_t)searched;
        blend_rows(out, bytes, count, (unsigned char)round);
        total += (unsigned)run_program(PROGRAMS[round % 12], round % 11 ? 12 : 3, stack);
        struct sink sink = {0, 0, 1};
        total += put_escaped(&sink, word, length) + sink.sum;
        long calls = 0;
        total += (uint64_t)visit_matching(shorts, count, (short)(round % 900), visit_small, &calls) + (unsigned long)calls;
        total += out[3] + (uint64_t)c[5] + (uint64_t)sums[9];
    }
    printf("%llx\n", (unsigned long long)total);
    return 0;
}
