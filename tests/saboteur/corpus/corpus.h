/* Ordinary library code, a function of each kind that programs spend their time in; main.c calls it as programs do. */
#include <stddef.h>
#include <stdint.h>

struct node {
    struct node *before, *after;
    uint32_t key;
    uint16_t uses;
    uint8_t pinned;
};

struct list {
    struct node *first, *last;
    uint32_t count, limit;
};

struct sink {
    size_t bytes, flushes;
    uint32_t sum;
};

uint32_t crc32_nibbles(uint32_t crc, const uint8_t *data, size_t length);
uint32_t string_hash(const char *text);
uint64_t mix_words(const uint64_t *words, size_t count, uint64_t seed);

size_t copy_bounded(char *to, const char *from, size_t size);
int utf8_valid(const uint8_t *text, size_t length);
int parse_number(const char *text, long *value);
long base64_decode(const char *text, size_t length, uint8_t *out);

size_t varint_encode(uint64_t value, uint8_t *out);
int varint_decode(const uint8_t *data, size_t length, uint64_t *value);
void copy_match(uint8_t *out, size_t distance, size_t length);
size_t run_lengths(const uint8_t *data, size_t length, uint8_t *out, size_t capacity);

void lru_touch(struct list *list, struct node *node);
void insertion_sort(int *values, int count);
int binary_search(const int *values, int count, int wanted);
void heap_sift(uint32_t *heap, size_t count, size_t at);

void multiply(double *to, const double *a, const double *b, int size);
void prefix_sums(const int *from, long *to, int count);
float clamp_all(float *values, int count, float low, float high);
void blend_rows(uint8_t *to, const uint8_t *from, int width, unsigned char weight);

int run_program(const uint8_t *code, size_t length, int *stack);
size_t put_escaped(struct sink *sink, const char *text, size_t length);
long visit_matching(const short *values, int count, short wanted, int (*visit)(short, void *), void *context);

void sink_put(struct sink *sink, char letter);
int sink_flush(struct sink *sink, int force);
