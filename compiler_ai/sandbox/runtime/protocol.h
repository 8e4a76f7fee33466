/* The wire format between compiler_ai.sandbox.process and the runner; little endian, 8-byte units first.
 * process.py and wire.py hold the same layouts; PROTOCOL_VERSION changes with them. */
#ifndef AICC_PROTOCOL_H
#define AICC_PROTOCOL_H

#include "system.h"

#define PROTOCOL_VERSION 5

enum operation { OP_HELLO = 1, OP_LOAD = 2, OP_UNLOAD = 3, OP_RUN = 4, OP_TIME = 5 };
enum reply_status { REPLY_OK = 0, REPLY_ERROR = 1 };
enum outcome_kind {
    OUTCOME_RETURNED = 0,
    OUTCOME_FAULT = 1,
    OUTCOME_TIMEOUT = 2,
    OUTCOME_SYSCALL = 3,
    OUTCOME_MAX_STEPS = 4,
    OUTCOME_LEFT = 5,      /* it called a function that does not return; only when calls are answered */
    OUTCOME_MAX_EVENTS = 6 /* it made more calls than are answered */
};

/* Precedes every request and every reply. `code` is an operation or a reply_status; an error's payload is text. */
struct header {
    uint32_t code;
    uint32_t reserved;
    uint64_t payload_bytes;
};

/* OP_LOAD: load_request, then region_request[], then the paths, then the bytes of all REGION_BYTES regions. */
struct load_request {
    uint32_t set;
    uint32_t region_count;
    uint64_t path_bytes;
    uint64_t content_bytes;
};

enum region_kind { REGION_BYTES = 0, REGION_FILE = 1 };

/* `source` is the offset in the contents (REGION_BYTES) or in the file whose path starts at `path` in the paths. */
struct region_request {
    uint64_t address;
    uint64_t size_bytes;
    uint64_t source;
    uint32_t prot;
    uint32_t kind;
    uint64_t path;
};

/* OP_RUN: run_request, then u32 sets (padded to 8), xstate (padded), u64 breakpoints (sorted), patch headers with
 * their bytes (padded), for a trace the output path with its NUL, for a body that logs its accesses the plan of
 * footprint.c, and for answered calls an answer_request with what belongs to it. */
struct run_request {
    uint32_t set_count;
    uint32_t xstate_bytes;
    uint32_t breakpoint_count;
    uint32_t patch_count;
    uint64_t trace_path_bytes;
    uint64_t max_steps;
    uint64_t cpu_limit_ns;
    uint64_t wall_limit_ns;
    uint64_t return_address;
    uint64_t logs; /* 1 when a log plan follows */
    uint64_t inside_low, inside_high; /* a trace overwrites scratch registers when a call out of here returns; 0, 0: never */
    uint64_t answer_bytes;            /* 0: calls out of the body are made */
    struct user_regs_struct registers;
};

struct patch_header {
    uint64_t address;
    uint64_t size_bytes;
};

/* Calls out of the body are not made but answered: see events.h. Followed by callee[] (sorted by address), chosen[] and
 * written[]. */
struct answer_request {
    uint64_t seed;
    uint64_t key[2];            /* of the digests; a body must not know it */
    uint64_t arena, slot_bytes; /* writable memory for pointers that callees return, a slot each */
    uint32_t slot_count;
    uint32_t max_events, digest_events; /* calls to answer; of how many memory is digested */
    uint32_t effects;                   /* whether callees also write through their arguments */
    uint32_t callee_count, chosen_count, written_count, reserved;
};

enum callee_returns { RETURNS_UNKNOWN = 0, RETURNS_NOTHING = 1, RETURNS_INTEGER = 2, RETURNS_FLOAT = 3, RETURNS_POINTER = 4 };
enum callee_flags { CALLEE_NEVER_RETURNS = 1, CALLEE_SIGNED = 2, CALLEE_BOOLEAN = 4 };
enum parameter_kind {
    PARAMETER_OPAQUE = 0,
    PARAMETER_INTEGER = 1,       /* of size_bytes */
    PARAMETER_TO_NUMBER = 2,     /* the callee may write a number of size_bytes through it */
    PARAMETER_TO_POINTER = 3,    /* ... a pointer */
    PARAMETER_TO_BYTES = 4,      /* ... as many bytes as the product of the parameters factors[0] and factors[1] */
    PARAMETER_TO_OBJECT = 5      /* ... some 4-byte words of an object of size_bytes */
};
#define NO_PARAMETER 0xff

struct parameter {
    uint8_t kind, factors[2], reserved;
    uint32_t size_bytes;
};

/* What the answers to a callee look like; `sizes` are the parameters whose product a returned pointer has room for. */
struct callee {
    uint64_t address;
    uint8_t returns, return_bytes, flags, sizes[2], reserved[3];
    struct parameter parameters[6]; /* those in rdi, rsi, rdx, rcx, r8, r9 */
};

/* The value that the call of this number returns, instead of a pseudo-random one. */
struct chosen {
    uint64_t event, value;
};

/* What the callee in the call of this number writes besides: the lowest size_bytes of value. */
struct written {
    uint64_t event, address, size_bytes, value;
};

/* One call out of the body: the state at the callee's first instruction. */
struct call_event {
    uint64_t target, return_to, stack_pointer, rflags, rax;
    uint64_t arguments[6];
    unsigned char vectors[8][16]; /* xmm0 to xmm7 */
    uint64_t digest, answer;
    uint64_t garbage; /* what the callee left in scratch registers, or its complement */
    uint32_t mxcsr, x87_tags, frame_bytes, has_digest;
};

/* Reply to OP_RUN: outcome, then xstate (padded to 8), one byte a breakpoint (padded), u64 addresses of the pages that
 * were written, then changed_count times: u64 address and the page, then call_event[], then the frame_bytes from the stack pointer on at each
 * of these (padded to 8 bytes together). */
struct outcome {
    uint32_t kind;
    int32_t signal;
    int32_t signal_code;
    uint32_t xstate_bytes;
    uint64_t fault_address;
    uint64_t cpu_ns;
    uint64_t steps;
    uint32_t breakpoint_count;
    uint32_t written_count;
    uint32_t changed_count;
    uint32_t event_count;
    struct user_regs_struct registers;
};

/* One step of a trace: the state before the instruction at rip executes. */
struct trace_step {
    uint64_t rip, rflags;
    uint64_t gpr[16]; /* rax rcx rdx rbx rsp rbp rsi rdi r8..r15: the encoding's order */
};

/* OP_TIME: time_request, then u32 sets (padded to 8), flush ranges, then for each state its header, xstate (padded) and
 * restore ranges, each followed by its bytes (padded). */
struct range {
    uint64_t address, size_bytes;
};

enum time_flags { TIME_COLD = 1, TIME_REPEAT = 2 };

struct time_request {
    uint32_t set_count, state_count, pair_count, flags;
    uint64_t entries[2];
    uint64_t block_ns, cpu_limit_ns, wall_limit_ns;
    uint64_t seed;
    uint64_t flush_count;
    uint64_t fs_base, gs_base;
};

struct state_header {
    uint64_t gpr[16]; /* the encoding's order */
    uint64_t xstate_bytes;
    uint64_t restore_count;
};

/* Reply to OP_TIME, followed by pair_count times two u64: ticks of a block of the first and of the second body. */
struct time_reply {
    uint32_t kind; /* outcome_kind; RETURNED when the measurement is complete */
    int32_t signal;
    uint64_t fault_address, rip;
    uint64_t calls_per_block;
    uint64_t overhead_ticks; /* of a whole block: what the ticks hold beyond the body */
    uint64_t ticks_per_s;
    uint32_t pair_count, repeated;
};

/* A reader over a request's payload; `failed` sticks once anything lies outside of it. */
struct cursor {
    const char *at, *end;
    int failed;
};

static inline const void *take(struct cursor *cursor, uint64_t size)
{
    uint64_t padded = (size + 7) & ~7UL;
    if (cursor->failed || padded < size || padded > (uint64_t)(cursor->end - cursor->at)) {
        cursor->failed = 1;
        return NULL;
    }
    const void *result = cursor->at;
    cursor->at += padded;
    return result;
}

/* A growing reply. `failed` sticks once memory ran out. */
struct buffer {
    char *data;
    size_t size, capacity;
    int failed;
};

void *buffer_extend(struct buffer *buffer, size_t size); /* room for `size` more bytes (zeroed padding to 8), or NULL */

#endif
