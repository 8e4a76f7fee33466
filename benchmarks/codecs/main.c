/* codecs REPEATS: runs every function that often on inputs of varying length and prints a checksum of each. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codecs.h"

#define SIZE 65536

static uint8_t prose[SIZE], skewed[SIZE], noise[SIZE], runs[SIZE], accents[SIZE], out[4 * SIZE], work[4 * SIZE];
static char json[SIZE], csv[SIZE], numbers[SIZE];
static size_t json_length[64], csv_length, numbers_length; /* the first so many documents of json, each of its own length */
static uint32_t words[SIZE], scratch[SIZE];
static int32_t integers[SIZE];
static uint64_t table[4096], keys[4096];
static uint64_t seed = 88172645463325252u;

static uint32_t below(uint32_t limit)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (uint32_t)((seed >> 32) * limit >> 32);
}

/* A length that differs from call to call, mostly small and sometimes up to `most`. */
static size_t varying(size_t most)
{
    size_t largest = most >> below(4);
    return 1 + below((uint32_t)largest);
}

static size_t word(char *to)
{
    static const char letters[] = "eeeeetttaaaooiinnsshhrrddlluucmfwypvbgk";
    size_t length = 1 + below(4) + below(6);
    for (size_t i = 0; i < length; i++)
        to[i] = letters[below(sizeof letters - 1)];
    return length;
}

static char *number(char *to, int value, const char *behind)
{
    return to + sprintf(to, "%d%s", value, behind);
}

static void fill(void)
{
    static char vocabulary[512][12];
    for (int i = 0; i < 512; i++)
        vocabulary[i][word(vocabulary[i])] = 0;
    for (size_t i = 0; i < SIZE;) {
        const char *chosen = vocabulary[below(1 + below(512))];
        for (size_t j = 0; chosen[j] && i < SIZE; j++)
            prose[i++] = (uint8_t)chosen[j];
        if (i < SIZE)
            prose[i++] = below(12) ? ' ' : below(3) ? '.' : '\n';
    }
    prose[SIZE - 1] = 0;
    for (size_t i = 0; i < SIZE; i++) {
        noise[i] = (uint8_t)below(256);
        skewed[i] = (uint8_t)(below(1 + below(1 + below(256))));
        words[i] = below(4) ? below(1u << below(32)) : (uint32_t)seed;
        integers[i] = (int32_t)(below(2) ? words[i] : 0u - words[i]);
        integers[i] >>= below(20);
    }
    for (size_t i = 0; i < SIZE;) {
        uint8_t byte = (uint8_t)below(200);
        for (size_t run = below(3) ? 1 : 1 + below(40); run > 0 && i < SIZE; run--)
            runs[i++] = byte;
    }
    for (size_t i = 0; i + 4 < SIZE;) {
        static const char *const others[] = {"\xc3\xa4", "\xc3\xa9", "\xe2\x82\xac", "\xe6\x97\xa5", "\xf0\x9f\x99\x82"};
        if (below(8)) {
            accents[i++] = (uint8_t)('a' + below(26));
        } else {
            const char *chosen = others[below(5)];
            memcpy(accents + i, chosen, strlen(chosen));
            i += strlen(chosen);
        }
    }
    char *at = csv;
    while (at < csv + SIZE - 200) {
        at = number(at, (int)below(100000), ",");
        at = number(at, (int)below(2000) - 1000, ",");
        if (below(3)) {
            at += word(at);
        } else {
            *at++ = '"';
            at = number(at, (int)below(100), ", ");
            at = number(at, (int)below(100), "\"");
        }
        *at++ = ',';
        at = number(at, (int)below(1000), ".");
        at = number(at, 10 + (int)below(90), ",");
        at = number(at, integers[below(SIZE)] % 10000, "\n");
    }
    csv_length = (size_t)(at - csv);
    for (at = numbers; at < numbers + SIZE - 20;)
        at = number(at, integers[at - numbers], (at - numbers) % 8 ? " " : "\n");
    numbers_length = (size_t)(at - numbers);
    for (int i = 0; i < 2000; i++) {
        uint64_t key = keys[i] = 1 + below(1u << 30);
        size_t place = (size_t)(key * 0x9e3779b97f4a7c15u >> 32) & 4095;
        while (table[place])
            place = (place + 1) & 4095;
        table[place] = key;
    }
    for (int i = 2000; i < 4096; i++)
        keys[i] = 1 + below(1u << 30);
}

/* Documents one behind the other: a list of objects with nested lists, numbers, words and escapes. */
static void fill_json(void)
{
    char *at = json;
    for (int document = 0; document < 64; document++) {
        char *start = at;
        *at++ = '[';
        for (int entries = 1 + (int)below(10); entries > 0; entries--) {
            at += sprintf(at, "{\"id\": %u, \"name\": \"", below(100000));
            at += word(at);
            at += sprintf(at, "%s\", \"score\": ", below(4) ? "" : "\\\"\\n");
            at = number(at, -(int)below(10), ".");
            at = number(at, (int)below(1000), "e-7, \"tags\": [");
            for (int tags = (int)below(4); tags >= 0; tags--) {
                *at++ = '"';
                at += word(at);
                at += sprintf(at, "\"%s", tags ? ", " : "");
            }
            at += sprintf(at, "], \"active\": %s}%s", below(2) ? "true" : "null", entries > 1 ? ",\n " : "");
        }
        *at++ = ']';
        json_length[document] = (size_t)(at - start);
    }
}

static uint64_t sum_of(const void *data, size_t length)
{
    const uint8_t *bytes = data;
    uint64_t sum = length;
    for (size_t i = 0; i < length; i += 1 + i / 64)
        sum = sum * 31 + bytes[i];
    return sum;
}

/* Evaluates `call` `count * repeats` times, with `length` varying up to `most` and `from` a place where so much is left. */
#define RUN(name, count, most, call)                            \
    do {                                                        \
        uint64_t sum = 0;                                       \
        seed = 0x9e3779b97f4a7c15u;                             \
        for (int i = 0; i < (count) * repeats; i++) {           \
            size_t length = varying(most);                      \
            size_t from = below((uint32_t)(SIZE - 1 - (most))); \
            sum = sum * 7 + (uint64_t)(call) + (length ^ from);     \
        }                                                       \
        printf("%-14s %016llx\n", name, (unsigned long long)sum); \
    } while (0)

static uint64_t digest(void (*update)(uint32_t *, const uint8_t *, size_t), const uint8_t *data, size_t blocks)
{
    uint32_t state[8] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    update(state, data, blocks);
    return sum_of(state, sizeof state);
}

static uint64_t cipher(void (*encrypt)(uint32_t *, uint8_t *, size_t), uint32_t *key, size_t from, size_t length, size_t unit)
{
    memcpy(work, prose + from, length * unit);
    encrypt(key, work, length);
    return sum_of(work, length * unit);
}

static void aes(uint32_t *key, uint8_t *data, size_t blocks)
{
    codec_aes128(key, data, blocks);
}

static void poly1305(uint32_t *key, uint8_t *data, size_t blocks)
{
    static const uint32_t multiplier[5] = {0x2a9b3c, 0x1f2e3d, 0x0c0ffee, 0x3abcde, 0x0fedcb};
    uint32_t state[5] = {0};
    codec_poly1305(state, multiplier, data, blocks);
    memcpy(data, state, 16);
    (void)key;
}

static void xtea(uint32_t *key, uint8_t *data, size_t blocks)
{
    memcpy(scratch, data, 8 * blocks);
    codec_xtea(key, scratch, blocks);
    memcpy(data, scratch, 8 * blocks);
}

static uint64_t validate_json(size_t document)
{
    struct json_counts counts = {0};
    size_t start = 0;
    for (size_t i = 0; i < document; i++)
        start += json_length[i];
    int valid = codec_json(json + start, json_length[document], &counts);
    return (uint64_t)valid + sum_of(&counts, sizeof counts);
}

static uint64_t validate_text(size_t from, size_t length)
{
    while ((accents[from] & 0xc0) == 0x80)
        from++;
    while (length > 1 && (accents[from + length] & 0xc0) == 0x80)
        length--;
    return (uint64_t)codec_utf8_validate(accents + from, length) + length;
}

static uint64_t sum_csv(size_t from, size_t length)
{
    int64_t sum;
    while (csv[from % csv_length] != '\n')
        from++;
    from = from % csv_length + 1;
    size_t left = csv_length - from;
    return codec_csv(csv + from, length < left ? length : left, 1 + (int)(length & 3), &sum) + (uint64_t)sum;
}

static uint64_t match(size_t from, size_t length)
{
    static const char *const patterns[] = {"the*r", "a.*e", "e.t", "^s.*t", "oo*n", "nd$"};
    char *text = (char *)work;
    memcpy(text, prose + from, length);
    text[length] = 0;
    return (uint64_t)codec_regex(patterns[from % 6], text);
}

static uint64_t search(size_t from, size_t length)
{
    return codec_horspool(prose + from, length, prose + (from * 7 & 0x7fff), 3 + from % 9);
}

static uint64_t distance(size_t from, size_t length)
{
    int first = (int)length, second = 1 + (int)(from % 70);
    return (uint64_t)codec_levenshtein((char *)prose + from, first, (char *)prose + (from * 5 & 0x7fff), second, (int *)work);
}

static uint64_t base64_back(size_t length)
{
    size_t encoded = codec_base64_encode((char *)work, noise, length);
    size_t decoded = codec_base64_decode(out, (char *)work, encoded);
    return sum_of(out, decoded);
}

static uint64_t lz_back(size_t from, size_t length)
{
    size_t packed = codec_lz_compress(work, prose + from, length, (uint16_t *)scratch);
    size_t unpacked = codec_lz_decompress(out, work, packed);
    if (unpacked != length || memcmp(out, prose + from, length) != 0)
        exit(3);
    return packed + sum_of(out, unpacked);
}

static uint64_t huffman_back(size_t from, size_t length)
{
    static struct huffman code;
    static uint8_t lengths[256], packed[4][8192];
    if (!lengths[0]) {
        for (int i = 0; i < 256; i++)
            lengths[i] = i < 4 ? 3 : i < 8 ? 4 : i < 16 ? 6 : 10;
        make_huffman(&code, lengths);
        for (size_t i = 0; i < 4; i++)
            huffman_encode(packed[i], skewed + i * 5000, 5000, lengths);
    }
    return codec_huffman_decode(out, length, packed[from & 3], &code) + sum_of(out, length);
}

static uint64_t front(size_t from, size_t length)
{
    memcpy(work, runs + from, length);
    codec_move_to_front(work, length);
    return sum_of(work, length);
}

static uint64_t unbwt(size_t from, size_t length)
{
    codec_unbwt(out, prose + from, length, from % length, scratch);
    return sum_of(out, length);
}

static uint64_t sort(void (*sort_it)(int32_t *, int), size_t from, size_t count)
{
    memcpy(work, integers + from, 4 * count);
    sort_it((int32_t *)work, (int)count);
    return sum_of(work, 4 * count);
}

static void mergesort_it(int32_t *values, int count)
{
    codec_mergesort(values, (int32_t *)scratch, count);
}

static void radixsort_it(int32_t *values, int count)
{
    codec_radixsort((uint32_t *)values, scratch, (size_t)count);
}

int main(int count, char **arguments)
{
    int repeats = count > 1 ? atoi(arguments[1]) : 0;
    if (repeats < 1) {
        fprintf(stderr, "usage: codecs REPEATS\n");
        return 2;
    }
    static const uint64_t sip_key[2] = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
    uint32_t key[44];
    fill();
    fill_json();
    make_aes_tables();
    expand_aes_key(noise, key);
    RUN("crc32", 100, 8000, codec_crc32(0, prose + from, length));
    RUN("adler32", 200, 12000, codec_adler32(1, prose + from, length));
    RUN("fnv1a", 180, 6000, codec_fnv1a(prose + from, length));
    RUN("murmur3", 500, 8000, codec_murmur3(prose + from, length, 7));
    RUN("siphash", 400, 8000, codec_siphash(prose + from, length, sip_key));
    RUN("md5", 80, 60, digest(codec_md5, prose + from % 60000, length));
    RUN("sha1", 80, 60, digest(codec_sha1, prose + from % 60000, length));
    RUN("sha256", 50, 60, digest(codec_sha256, prose + from % 60000, length));
    RUN("chacha20", 250, 60, cipher(codec_chacha20, key, from % 60000, length, 64));
    RUN("poly1305", 400, 300, cipher(poly1305, key, from % 60000, length, 16));
    RUN("aes128", 80, 200, cipher(aes, key, from % 60000, length, 16));
    RUN("xtea", 150, 100, cipher(xtea, key, from % 60000, length, 8));
    RUN("base64", 80, 6000, base64_back(length));
    RUN("to base64", 150, 6000, codec_base64_encode((char *)out, prose + from, length) + sum_of(out, length));
    RUN("hex", 250, 6000, codec_hex_encode((char *)out, noise + from, length) + sum_of(out, 2 * length));
    RUN("utf8", 100, 6000, validate_text(from, length));
    RUN("horspool", 300, 8000, search(from, length));
    RUN("levenshtein", 200, 120, distance(from, length));
    RUN("regex", 300, 1200, match(from, length));
    RUN("json", 300, 64, validate_json(length - 1));
    RUN("csv", 100, 6000, sum_csv(from, length));
    RUN("parse", 100, 4000, codec_parse_integers(numbers + from % (numbers_length - 4000), length, (int64_t *)work, 4000));
    RUN("print", 100, 800, codec_print_integers((char *)out, integers + from, length));
    RUN("varint", 60, 3000, codec_varint_decode(scratch, out, codec_varint_encode(out, words + from, length)));
    RUN("rle", 100, 5000, codec_rle(out, runs + from, length) + sum_of(out, length / 2));
    RUN("lz", 60, 8000, lz_back(from, length));
    RUN("huffman", 40, 4000, huffman_back(from, length));
    RUN("front", 40, 2000, front(from, length));
    RUN("unbwt", 60, 6000, unbwt(from, length));
    RUN("quicksort", 30, 1500, sort(codec_quicksort, from, length));
    RUN("heapsort", 30, 1500, sort(codec_heapsort, from, length));
    RUN("mergesort", 30, 1500, sort(mergesort_it, from, length));
    RUN("radixsort", 40, 3000, sort(radixsort_it, from, length));
    RUN("lookup", 150, 2000, codec_lookup(table, 4095, keys + from % 2000, length));
    return 0;
}
