/* The footprint of a body that logs its own accesses (verify/instrument.py makes such bodies). */
#ifndef AICC_FOOTPRINT_H
#define AICC_FOOTPRINT_H

#include "child.h"

struct footprint;

/* Reads the plan that ends a run request. NULL when it is malformed or memory is short. */
struct footprint *footprint_new(struct cursor *plan, uint64_t stack_pointer);
void footprint_free(struct footprint *footprint);

/* 1 when the stop was the log's (it was full) or the original code's (control goes on in the copy): the child is to be
 * continued. 0 when the stop is the body's own, or the log has become too long (`footprint_is_exhausted`). */
int footprint_takes(struct footprint *footprint, const struct child *child, struct stop stop);
int footprint_is_exhausted(const struct footprint *footprint);

/* Whether a region is the log's and not the body's. */
int footprint_hides(const struct footprint *footprint, uint64_t address);

/* Takes what is left in the log when the run has ended. */
void footprint_finish(struct footprint *footprint, const struct child *child);

/* Appends the reply. NULL on success. */
const char *footprint_report(const struct footprint *footprint, const struct child *child, struct buffer *reply);

#endif
