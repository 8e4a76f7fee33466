/* Thirty codecs, hashes, ciphers, parsers, sorts and string functions, as they are usually written. */
#ifndef CODECS_H
#define CODECS_H

#include <stddef.h>
#include <stdint.h>

/* checksums.c */
uint32_t codec_crc32(uint32_t crc, const uint8_t *data, size_t length);
uint32_t codec_adler32(uint32_t adler, const uint8_t *data, size_t length);
uint32_t codec_fnv1a(const uint8_t *data, size_t length);
uint32_t codec_murmur3(const uint8_t *data, size_t length, uint32_t seed);
uint64_t codec_siphash(const uint8_t *data, size_t length, const uint64_t key[2]);

/* digests.c: whole blocks of 64 bytes */
void codec_md5(uint32_t state[4], const uint8_t *blocks, size_t count);
void codec_sha1(uint32_t state[5], const uint8_t *blocks, size_t count);
void codec_sha256(uint32_t state[8], const uint8_t *blocks, size_t count);

/* ciphers.c */
void codec_chacha20(uint32_t state[16], uint8_t *data, size_t blocks);
void codec_poly1305(uint32_t accumulator[5], const uint32_t key[5], const uint8_t *data, size_t blocks);
void codec_aes128(const uint32_t round_keys[44], uint8_t *data, size_t blocks);
void codec_xtea(const uint32_t key[4], uint32_t *data, size_t blocks);
extern uint32_t aes_table[256];
extern uint8_t aes_box[256];
void make_aes_tables(void);
void expand_aes_key(const uint8_t key[16], uint32_t round_keys[44]);

/* strings.c */
size_t codec_base64_encode(char *out, const uint8_t *data, size_t length);
size_t codec_base64_decode(uint8_t *out, const char *text, size_t length);
size_t codec_hex_encode(char *out, const uint8_t *data, size_t length);
int codec_utf8_validate(const uint8_t *text, size_t length);
size_t codec_horspool(const uint8_t *text, size_t length, const uint8_t *pattern, size_t pattern_length);
int codec_levenshtein(const char *a, int a_length, const char *b, int b_length, int *row);
int codec_regex(const char *pattern, const char *text);

/* parsers.c */
struct json_counts {
    int objects, arrays, strings, numbers, words, deepest;
};
int codec_json(const char *text, size_t length, struct json_counts *counts);
size_t codec_csv(const char *text, size_t length, int column, int64_t *sum);
size_t codec_parse_integers(const char *text, size_t length, int64_t *values, size_t most);
size_t codec_print_integers(char *out, const int32_t *values, size_t count);
size_t codec_varint_encode(uint8_t *out, const uint32_t *values, size_t count);
size_t codec_varint_decode(uint32_t *values, const uint8_t *data, size_t length);

/* compression.c */
size_t codec_rle(uint8_t *out, const uint8_t *data, size_t length);
size_t codec_lz_compress(uint8_t *out, const uint8_t *data, size_t length, uint16_t heads[4096]);
size_t codec_lz_decompress(uint8_t *out, const uint8_t *data, size_t length);
struct huffman {
    uint16_t count[16], symbol[256];
};
void make_huffman(struct huffman *code, const uint8_t lengths[256]);
size_t huffman_encode(uint8_t *out, const uint8_t *data, size_t length, const uint8_t lengths[256]);
size_t codec_huffman_decode(uint8_t *out, size_t count, const uint8_t *data, const struct huffman *code);
void codec_move_to_front(uint8_t *data, size_t length);
void codec_unbwt(uint8_t *out, const uint8_t *last, size_t length, size_t primary, uint32_t *next);

/* sorting.c */
void codec_quicksort(int32_t *values, int count);
void codec_heapsort(int32_t *values, int count);
void codec_radixsort(uint32_t *values, uint32_t *scratch, size_t count);
void codec_mergesort(int32_t *values, int32_t *scratch, int count);
size_t codec_lookup(const uint64_t *table, size_t mask, const uint64_t *keys, size_t count);

#endif
