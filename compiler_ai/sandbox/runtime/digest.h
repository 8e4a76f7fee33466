/* A keyed digest of what a child has changed in memory so far. */
#ifndef AICC_DIGEST_H
#define AICC_DIGEST_H

#include "diff.h"

/* Bytes in [dead_low, dead_high) count for nothing. Equal memory gives equal digests whatever was written on the way. */
const char *memory_digest(const struct child *child, struct page_set *const *sets, size_t set_count,
                          const struct altered *altered, uint64_t dead_low, uint64_t dead_high, const uint64_t key[2],
                          uint64_t *digest);

#endif
