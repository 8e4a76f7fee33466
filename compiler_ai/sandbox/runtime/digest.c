#include "digest.h"

/* SipHash-1-3 over 8-byte words (Aumasson and Bernstein, 2012): without the key nobody can make two memories collide. */
struct sip {
    uint64_t v0, v1, v2, v3;
};

static inline uint64_t rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1, s->v1 = rotate(s->v1, 13), s->v1 ^= s->v0, s->v0 = rotate(s->v0, 32);
    s->v2 += s->v3, s->v3 = rotate(s->v3, 16), s->v3 ^= s->v2;
    s->v0 += s->v3, s->v3 = rotate(s->v3, 21), s->v3 ^= s->v0;
    s->v2 += s->v1, s->v1 = rotate(s->v1, 17), s->v1 ^= s->v2, s->v2 = rotate(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

struct digesting {
    struct sip state;
    const struct altered *altered;
    uint64_t dead_low, dead_high;
};

/* Zeroes what is dead of the page at `address`. */
static void dead_clear(char *page, uint64_t address, const struct digesting *digesting)
{
    uint64_t from = digesting->dead_low > address ? digesting->dead_low - address : 0;
    uint64_t to = digesting->dead_high > address ? digesting->dead_high - address : 0;
    to = to > PAGE_BYTES ? PAGE_BYTES : to;
    if (from < to)
        memset(page + from, 0, to - from);
}

static const char *page_digest(void *context, const struct child *child, const struct region *region, uint64_t address)
{
    static char now[PAGE_BYTES] __attribute__((aligned(8))), scratch[PAGE_BYTES], before[PAGE_BYTES];
    struct digesting *digesting = context;
    const char *initial;
    if (address >= digesting->dead_low && address + PAGE_BYTES <= digesting->dead_high)
        return NULL;
    const char *problem = page_contents(child, region, address, digesting->altered, now, scratch, &initial);
    if (problem)
        return problem;
    memcpy(before, initial, PAGE_BYTES);
    dead_clear(now, address, digesting);
    dead_clear(before, address, digesting);
    if (memcmp(now, before, PAGE_BYTES) == 0)
        return NULL;
    sip_word(&digesting->state, address);
    for (size_t at = 0; at < PAGE_BYTES; at += 8) {
        uint64_t word;
        memcpy(&word, now + at, 8);
        sip_word(&digesting->state, word);
    }
    return NULL;
}

const char *memory_digest(const struct child *child, struct page_set *const *sets, size_t set_count,
                          const struct altered *altered, uint64_t dead_low, uint64_t dead_high, const uint64_t key[2],
                          uint64_t *digest)
{
    struct digesting digesting = {
        {key[0] ^ 0x736f6d6570736575UL, key[1] ^ 0x646f72616e646f6dUL, key[0] ^ 0x6c7967656e657261UL,
         key[1] ^ 0x7465646279746573UL},
        altered,
        dead_low,
        dead_high,
    };
    const char *problem = written_pages_visit(child, sets, set_count, page_digest, &digesting);
    digesting.state.v2 ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(&digesting.state);
    *digest = digesting.state.v0 ^ digesting.state.v1 ^ digesting.state.v2 ^ digesting.state.v3;
    return problem;
}
