/* The timing loop, inside the confined child. The bodies that come here have been screened and verified: a body that
 * wanted to could overwrite this loop's data, as any code timed in-process could. */
#include "child.h"
#include "timing.h"

#define MAX_STATES 256
#define XSTATE_BYTES 16384
#define XMM_AT 160
#define WARMUP_PASSES 5
#define CALIBRATION_CALLS 301
#define FEW_CALIBRATION_CALLS 9

/* Operands of the thunk below, at fixed places so that it needs no register. */
uint64_t thunk_runner_stack, thunk_start, thunk_entry, thunk_count, thunk_prepares;
const uint64_t *thunk_gpr;
static unsigned char xstate[XSTATE_BYTES] __attribute__((aligned(64)));
const unsigned char *thunk_vectors; /* xmm0 to xmm15 in an XSAVE area */

struct timed_state {
    const struct state_header *header;
    const char *xstate;
    const unsigned char *vectors;
    struct cursor restore;
};

static const struct timed_state *thunk_state;
static struct timed_state states[MAX_STATES];
static const struct time_request *request;
static const struct range *flushes;
static uint64_t xcr0;

/* Which state's turn it is: `turns` before `turn` have had theirs in this pass. */
static uint32_t turns[MAX_STATES], turn;
static uint64_t turn_random;

/* uint64_t thunk_call(void): loads the general registers and xmm0 to xmm7 and calls *thunk_entry, thunk_count times;
 * returns the ticks. `call` with rsp one word above the captured stack pointer puts the return address where the capture
 * had one and keeps the return predictor paired. lfence waits for all earlier instructions and rdtscp for all of the
 * body's (Intel SDM volume 2, RDTSCP; on AMD lfence is dispatch-serialising under Linux). */
__asm__(".globl thunk_call\n"
        "thunk_call:\n"
        "    pushq %rbx\n    pushq %rbp\n    pushq %r12\n    pushq %r13\n    pushq %r14\n    pushq %r15\n"
        "    movq %rsp, thunk_runner_stack(%rip)\n"
        "    mfence\n    lfence\n    rdtsc\n    lfence\n"
        "    shlq $32, %rdx\n    orq %rdx, %rax\n    movq %rax, thunk_start(%rip)\n"
        "    .p2align 6\n"
        "1:  cmpq $0, thunk_prepares(%rip)\n"
        "    je 2f\n"
        "    movq thunk_runner_stack(%rip), %rsp\n"
        "    cld\n"
        "    call prepare_in_loop\n"
        "2:  movq thunk_vectors(%rip), %rax\n"
        "    movups (%rax), %xmm0\n    movups 16(%rax), %xmm1\n    movups 32(%rax), %xmm2\n    movups 48(%rax), %xmm3\n"
        "    movups 64(%rax), %xmm4\n    movups 80(%rax), %xmm5\n    movups 96(%rax), %xmm6\n    movups 112(%rax), %xmm7\n"
        "    movq thunk_gpr(%rip), %rax\n"
        "    movq 32(%rax), %rsp\n    leaq 8(%rsp), %rsp\n"
        "    movq 8(%rax), %rcx\n    movq 16(%rax), %rdx\n    movq 24(%rax), %rbx\n    movq 40(%rax), %rbp\n"
        "    movq 48(%rax), %rsi\n    movq 56(%rax), %rdi\n    movq 64(%rax), %r8\n    movq 72(%rax), %r9\n"
        "    movq 80(%rax), %r10\n    movq 88(%rax), %r11\n    movq 96(%rax), %r12\n    movq 104(%rax), %r13\n"
        "    movq 112(%rax), %r14\n    movq 120(%rax), %r15\n    movq (%rax), %rax\n"
        "    call *thunk_entry(%rip)\n"
        "    decq thunk_count(%rip)\n"
        "    jnz 1b\n"
        "    rdtscp\n    lfence\n"
        "    shlq $32, %rdx\n    orq %rdx, %rax\n    subq thunk_start(%rip), %rax\n"
        "    movq thunk_runner_stack(%rip), %rsp\n"
        "    cld\n"
        "    popq %r15\n    popq %r14\n    popq %r13\n    popq %r12\n    popq %rbp\n    popq %rbx\n"
        "    ret\n"
        ".globl empty_body\n"
        "    .p2align 6\n"
        "empty_body:\n"
        "    ret\n");

uint64_t thunk_call(void);
void empty_body(void);

static _Noreturn void stop(void)
{
    for (;;)
        __asm__ volatile("int3");
}

static int states_parse(struct cursor *from)
{
    request = take(from, sizeof *request);
    if (!request || request->state_count > MAX_STATES || !request->state_count)
        return -1;
    take(from, request->set_count * sizeof(uint32_t));
    flushes = take(from, request->flush_count * sizeof *flushes);
    for (uint32_t i = 0; i < request->state_count && !from->failed; i++) {
        const struct state_header *header = take(from, sizeof *header);
        if (!header || header->xstate_bytes > XSTATE_BYTES)
            return -1;
        states[i].header = header;
        states[i].xstate = take(from, header->xstate_bytes);
        states[i].vectors = (header->xstate_bytes ? (const unsigned char *)states[i].xstate : xstate) + XMM_AT;
        turns[i] = i;
        states[i].restore = *from;
        for (uint64_t j = 0; j < header->restore_count && !from->failed; j++) {
            const struct range *range = take(from, sizeof *range);
            if (range)
                take(from, range->size_bytes);
        }
    }
    return from->failed ? -1 : 0;
}

static void state_restore(const struct timed_state *state)
{
    struct cursor at = state->restore;
    for (uint64_t i = 0; i < state->header->restore_count; i++) {
        const struct range *range = take(&at, sizeof *range);
        memcpy((void *)range->address, take(&at, range->size_bytes), range->size_bytes);
    }
}

static uint64_t random_next(uint64_t *state)
{
    *state ^= *state << 13; /* xorshift64 (Marsaglia 2003) */
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Every state has its turn once a pass, in an order that is new in every pass (Fisher and Yates): branch predictors learn any
 * that comes again. */
static void turn_next(void)
{
    uint32_t left = request->state_count - turn;
    uint32_t chosen = turn + (uint32_t)((random_next(&turn_random) >> 32) * left >> 32), state = turns[chosen];
    turns[chosen] = turns[turn];
    turns[turn] = state;
    turn = left == 1 ? 0 : turn + 1;
    thunk_state = &states[state];
    thunk_gpr = thunk_state->header->gpr;
    thunk_vectors = thunk_state->vectors;
}

/* Before a repeated call: whose turn it is, and what it restores, without the start-up cost of string instructions. What was
 * stored is in the cache before it is loaded: a load of several stores' bytes at once would wait for it (Intel's optimization
 * manual, store forwarding), and other loads would not. */
void prepare_in_loop(void);
void prepare_in_loop(void)
{
    if (request->state_count > 1)
        turn_next();
    struct cursor at = thunk_state->restore;
    for (uint64_t i = 0; i < thunk_state->header->restore_count; i++) {
        const struct range *range = take(&at, sizeof *range);
        const char *from = take(&at, range->size_bytes);
        char *to = (char *)range->address;
        uint64_t done = 0;
        for (; done + 8 <= range->size_bytes; done += 8)
            __builtin_memcpy(to + done, from + done, 8);
        for (; done < range->size_bytes; done++)
            to[done] = from[done];
    }
    if (thunk_state->header->restore_count)
        __asm__ volatile("mfence" : : : "memory");
}

static void vectors_load(const struct timed_state *state)
{
    if (state->header->xstate_bytes)
        memcpy(xstate, state->xstate, state->header->xstate_bytes);
    else {
        memset(xstate, 0, 1024);
        *(uint16_t *)xstate = 0x37f;
        *(uint32_t *)(xstate + 24) = 0x1f80;
    }
    __asm__ volatile("xrstor64 (%0)" : : "r"(xstate), "a"((uint32_t)xcr0), "d"((uint32_t)(xcr0 >> 32)) : "memory");
}

static void caches_flush(void)
{
    for (uint64_t i = 0; i < request->flush_count; i++)
        for (uint64_t at = flushes[i].address & ~63UL; at < flushes[i].address + flushes[i].size_bytes; at += 64)
            __asm__ volatile("clflush (%0)" : : "r"(at) : "memory");
    __asm__ volatile("mfence" : : : "memory");
}

static uint64_t call_timed(uint64_t entry, const struct timed_state *state, uint64_t count)
{
    state_restore(state);
    if (request->flags & TIME_COLD)
        caches_flush();
    vectors_load(state);
    thunk_entry = entry;
    thunk_gpr = state->header->gpr;
    thunk_count = count;
    thunk_vectors = xstate + XMM_AT;
    thunk_state = state;
    thunk_prepares = request->flags & TIME_REPEAT && (state->header->restore_count || request->state_count > 1);
    return thunk_call();
}

/* Ticks of `passes` passes over all states. Where a repeated call can be given the very same entry state cheaply
 * (TIME_REPEAT: few bytes to restore, no vector state beyond xmm0 to xmm7, nothing left on the x87 stack), calls are timed
 * back to back, those of several states in turn, restoring included, and so it is for the empty body whose cost is
 * subtracted: serialising timer reads around each call would dwarf a body of a few nanoseconds. Other bodies are timed call
 * by call, restoring outside. */
static uint64_t block_timed(uint64_t entry, uint64_t passes)
{
    uint64_t ticks = 0;
    if (request->flags & TIME_REPEAT)
        return call_timed(entry, &states[0], passes * request->state_count);
    for (uint64_t pass = 0; pass < passes; pass++)
        for (uint32_t i = 0; i < request->state_count; i++)
            ticks += call_timed(entry, &states[i], 1);
    return ticks;
}

/* The median of `count` values, which it sorts. */
static uint64_t median(uint64_t *values, size_t count)
{
    for (size_t i = 1; i < count; i++)
        for (size_t j = i; j && values[j - 1] > values[j]; j--) {
            uint64_t swap = values[j];
            values[j] = values[j - 1];
            values[j - 1] = swap;
        }
    return values[count / 2];
}

/* What timing costs in a block. Few calls tell where it is next to nothing of a body that is a block of its own, and where
 * evicting before each of them takes far longer than the bodies do. */
static uint64_t overhead_of_block(uint64_t passes)
{
    static uint64_t samples[CALIBRATION_CALLS];
    size_t calls = passes == 1 || request->flags & TIME_COLD ? FEW_CALIBRATION_CALLS : CALIBRATION_CALLS;
    if (request->flags & TIME_REPEAT) {
        for (size_t i = 0; i < 31; i++)
            samples[i] = block_timed((uint64_t)empty_body, passes);
        return median(samples, 31);
    }
    for (size_t i = 0; i < calls; i++)
        samples[i] = call_timed((uint64_t)empty_body, &states[i % request->state_count], 1);
    return median(samples, calls) * passes * request->state_count;
}

/* `body`: what block_timed says; `whole`: with all that it does around the calls. */
struct pass_ticks {
    uint64_t body, whole;
};

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static struct pass_ticks fastest_pass(uint64_t entry)
{
    struct pass_ticks best = {~0UL, ~0UL};
    for (int i = 0; i < WARMUP_PASSES; i++) {
        uint64_t start = timing_ticks();
        best.body = smaller(best.body, block_timed(entry, 1));
        best.whole = smaller(best.whole, timing_ticks() - start);
    }
    return best;
}

/* How many passes a block needs so that the faster body's lasts `wanted` ticks, the overhead not counted; fewer where all
 * blocks would take more than `most` ticks with it, as they do beside a body that is thousands of times slower. */
static uint64_t passes_for(uint64_t wanted, uint64_t most)
{
    struct pass_ticks a = fastest_pass(request->entries[0]), b = fastest_pass(request->entries[1]);
    uint64_t overhead = overhead_of_block(1), fastest = smaller(a.body, b.body);
    uint64_t net = fastest > overhead + 4 * request->state_count ? fastest - overhead : 4 * request->state_count;
    uint64_t limit = most / (request->pair_count + WARMUP_PASSES) / (a.whole + b.whole) + 1;
    uint64_t passes = smaller((wanted + net - 1) / net, limit);
    if (passes < 64)
        return passes ? passes : 1;
    /* A single call is too short to be judged alone: look again at a block. */
    uint64_t ticks = ~0UL;
    for (int i = 0; i < WARMUP_PASSES; i++)
        for (int side = 0; side < 2; side++) {
            uint64_t block = block_timed(request->entries[side], passes);
            if (block < ticks)
                ticks = block;
        }
    overhead = overhead_of_block(passes);
    net = ticks > overhead + passes * request->state_count ? ticks - overhead : passes * request->state_count;
    return smaller(smaller(wanted * passes / net + 1, 16 * passes), limit);
}

void timing_main(void)
{
    struct timing_shared *shared = (struct timing_shared *)WORKLOAD_ADDRESS;
    struct cursor from = {shared->request, shared->request + shared->request_bytes, 0};
    xcr0 = shared->xcr0;
    if (states_parse(&from) < 0)
        stop();
    uint64_t *ticks = (uint64_t *)((char *)shared + shared->ticks_at);
    turn_random = ~request->seed | 1;
    uint64_t passes = passes_for(shared->block_ticks, shared->most_ticks);
    uint64_t random = request->seed | 1;
    shared->overhead_ticks = overhead_of_block(passes);
    for (uint32_t pair = 0; pair < request->pair_count; pair++) {
        int first = random_next(&random) >> 40 & 1;
        ticks[2 * pair + first] = block_timed(request->entries[first], passes);
        ticks[2 * pair + !first] = block_timed(request->entries[!first], passes);
    }
    shared->calls_per_block = passes * request->state_count;
    shared->repeated = request->flags & TIME_REPEAT ? 1 : 0;
    shared->complete = 1;
    stop();
}
