/* Timing two bodies against each other in one confined child. */
#ifndef AICC_TIMING_H
#define AICC_TIMING_H

#include "protocol.h"

/* Serves OP_TIME: NULL and time_reply in `reply`, or what went wrong. */
const char *time_serve(struct cursor *request, struct buffer *reply);

/* What the child and its parent share at WORKLOAD_ADDRESS; the request's bytes and then the ticks follow it. */
struct timing_shared {
    uint64_t request_bytes, ticks_at; /* ticks_at: offset of the results */
    uint64_t block_ticks, most_ticks; /* wanted for a block; allowed for all of them */
    uint64_t xcr0;
    uint64_t calls_per_block, overhead_ticks; /* results */
    uint32_t repeated, complete;
    char request[];
};

/* The child's side: measures, then stops on an int3. */
void timing_main(void);
uint64_t timing_ticks(void);

#endif
