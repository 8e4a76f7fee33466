/* Calls out of a body as events: the callee is not run, its answer is made up, the same for the same seed and call number.
 *
 * A call is noticed when the child cannot execute its target: there is no right to, or a trap where a function starts. The
 * callee is then one that may leave anything in all call-clobbered registers (System V ABI AMD64, 3.2.1), may write through
 * its arguments, and returns what its type allows. */
#ifndef AICC_EVENTS_H
#define AICC_EVENTS_H

#include "diff.h"

#define MAX_EVENTS 1024
#define MAX_ANSWERED 256
#define FRAMES_BYTES (1UL << 20)

/* The calls of a run, and for each the caller's frame from the stack pointer on. */
struct noted {
    struct call_event events[MAX_EVENTS];
    char frames[FRAMES_BYTES];
    size_t frames_bytes;
};

struct answering {
    const struct answer_request *request; /* NULL when calls are made */
    const struct callee *callees;
    const struct chosen *chosen;
    const struct written *written;
    uint64_t inside_low, inside_high; /* the body's own addresses */
    uint64_t return_address, entry_stack;
    const struct child *child;
    struct page_set *const *sets;
    size_t set_count;
    const struct altered *altered;
    struct noted *noted;
    uint32_t count, slots_given;
    uint64_t random;
};

const char *answering_parse(struct answering *answering, struct cursor *from);

enum event_result { EVENT_NONE, EVENT_ANSWERED, EVENT_LEFT, EVENT_TOO_MANY, EVENT_PROBLEM };

/* Notes a call that is really made, as far as there is room. The child is at the callee's first instruction. */
const char *event_note_made(struct answering *answering, const struct user_regs_struct *registers, uint64_t garbage);

/* Whether a stop is a call out of the body. If it is and the callee returns, the child is at the return address. */
enum event_result event_serve(struct answering *answering, int signal, const siginfo_t *info,
                              struct user_regs_struct *registers, const char **problem);

#endif
