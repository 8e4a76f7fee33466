#include "events.h"

#include "digest.h"

#include <cpuid.h>

#define DEAD_REACH_BYTES (8UL << 20) /* below the entry's stack pointer; verify/equivalence.py has the same */
#define MAX_EFFECT_BYTES 65536UL
#define OBJECT_WORDS 3
#define MAX_XSTATE_BYTES 16384
#define LEGACY_XSTATE_BYTES 576
#define STACKED_BYTES (8UL + 512) /* the return address and so many bytes of arguments */
#define MAX_FRAME_BYTES 8192UL

const char *answering_parse(struct answering *answering, struct cursor *from)
{
    const struct answer_request *request = take(from, sizeof *request);
    if (!request || request->callee_count > 1 << 16 || request->chosen_count > 1 << 10
        || request->written_count > 1 << 10 || request->max_events >= MAX_ANSWERED || !request->slot_bytes)
        return "malformed answer request";
    answering->request = request;
    answering->callees = take(from, request->callee_count * sizeof *answering->callees);
    answering->chosen = take(from, request->chosen_count * sizeof *answering->chosen);
    answering->written = take(from, request->written_count * sizeof *answering->written);
    return from->failed ? "truncated answer request" : NULL;
}

static const struct callee *callee_find(const struct answering *answering, uint64_t address)
{
    static const struct callee unknown = {.returns = RETURNS_UNKNOWN, .sizes = {NO_PARAMETER, NO_PARAMETER}};
    uint32_t low = 0, high = answering->request->callee_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (answering->callees[middle].address < address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < answering->request->callee_count && answering->callees[low].address == address
               ? &answering->callees[low]
               : &unknown;
}

/* splitmix64 (Steele, Lea and Flood, 2014). */
static uint64_t draw(struct answering *answering)
{
    uint64_t z = answering->random += 0x9e3779b97f4a7c15UL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9UL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebUL;
    return z ^ z >> 31;
}

/* The call's target when the stop is one, else 0. */
static uint64_t event_target(const struct answering *answering, int signal, const siginfo_t *info,
                             const struct user_regs_struct *registers)
{
    uint64_t target = registers->rip;
    if (signal == 5 /* SIGTRAP */)
        target--; /* int3 */
    else if (signal != 11 /* SIGSEGV */ || (uint64_t)info->si_addr != target)
        return 0;
    return target >= answering->inside_low && target < answering->inside_high ? 0 : target;
}

static uint64_t masked(uint64_t value, uint32_t size_bytes)
{
    return size_bytes >= 8 || !size_bytes ? value : value & ((1UL << 8 * size_bytes) - 1);
}

/* Words that comparisons with small constants tell apart, so that what depends on a buffer's contents shows. */
static uint32_t word_pick(struct answering *answering)
{
    uint64_t which = draw(answering), random = draw(answering);
    return (uint32_t)(which % 4 == 0 ? 0 : which % 4 == 1 ? random % 16 : which % 4 == 2 ? -(random % 16) : random);
}

/* How many bytes (or objects) a callee that fills a buffer was asked for; 1 when there is such a parameter. */
static int count_asked(const struct callee *callee, const uint64_t *arguments, uint64_t *count)
{
    for (int i = 0; i < 6; i++) {
        const struct parameter *parameter = &callee->parameters[i];
        if (parameter->kind != PARAMETER_TO_BYTES || parameter->factors[0] > 5)
            continue;
        *count = arguments[parameter->factors[parameter->factors[1] < 6 ? 1 : 0]];
        return 1;
    }
    return 0;
}

/* Values that programs tell apart: no, yes, failure, a count, what was asked for. */
static uint64_t number_pick(struct answering *answering, const struct callee *callee, const uint64_t *arguments)
{
    uint64_t count;
    if (count_asked(callee, arguments, &count) && draw(answering) % 2)
        return count; /* else too few runs would get past the check that all was read */
    uint64_t which = draw(answering), random = draw(answering);
    unsigned at = (unsigned)(random >> 32) % 6;
    switch (which % 8) {
    case 0:
    case 1:
        return 0;
    case 2:
        return 1;
    case 3:
        return (uint64_t)-1;
    case 4:
        return random % 64;
    case 5:
        return random & 0x7fffffff;
    default:
        for (unsigned i = 0; i < 6; i++) {
            const struct parameter *parameter = &callee->parameters[(at + i) % 6];
            if (parameter->kind == PARAMETER_INTEGER)
                return masked(arguments[(at + i) % 6], parameter->size_bytes);
        }
        return which % 16 < 8 ? random : 1;
    }
}

/* A slot of fresh memory with room for what the callee was asked for, or null. */
static uint64_t pointer_pick(struct answering *answering, const struct callee *callee, const uint64_t *arguments)
{
    const struct answer_request *request = answering->request;
    uint64_t wanted = 1;
    uint64_t fails = draw(answering) % 4 == 0;
    for (int i = 0; i < 2; i++)
        if (callee->sizes[i] < 6 && __builtin_mul_overflow(wanted, arguments[callee->sizes[i]], &wanted))
            return 0;
    if (fails || answering->slots_given == request->slot_count || wanted > request->slot_bytes)
        return 0;
    return request->arena + request->slot_bytes * answering->slots_given++;
}

static int is_writable(const struct answering *answering, uint64_t address, uint64_t size)
{
    for (size_t i = 0; i < answering->set_count; i++)
        for (size_t j = 0; j < answering->sets[i]->region_count; j++) {
            const struct region *region = &answering->sets[i]->regions[j];
            if (region->prot & PROT_WRITE && address >= region->address && size <= region->size_bytes
                && address - region->address <= region->size_bytes - size)
                return 1;
        }
    return 0;
}

/* What the callee writes through one of its arguments. */
static void effect_make(struct answering *answering, const struct callee *callee, const struct parameter *parameter,
                        uint64_t pointer, const uint64_t *arguments)
{
    static unsigned char bytes[MAX_EFFECT_BYTES];
    uint64_t size = parameter->size_bytes, value = number_pick(answering, callee, arguments);
    if (parameter->kind == PARAMETER_TO_OBJECT) {
        pointer += 4 * (size >= 4 ? draw(answering) % (size / 4) : 0);
        size = size >= 4 ? 4 : 0;
    }
    if (parameter->kind == PARAMETER_TO_POINTER)
        value = pointer_pick(answering, callee, arguments);
    memcpy(bytes, &value, 8);
    if (parameter->kind == PARAMETER_TO_BYTES) {
        size = 1;
        for (int i = 0; i < 2; i++)
            if (parameter->factors[i] < 6
                && __builtin_mul_overflow(size, arguments[parameter->factors[i]], &size))
                return;
        for (uint64_t at = 0; at < size && at < sizeof bytes; at += 4) {
            uint32_t word = word_pick(answering);
            memcpy(bytes + at, &word, 4);
        }
    } else if (size > 8)
        return;
    if (size && size <= sizeof bytes && is_writable(answering, pointer, size))
        child_write(answering->child, pointer, bytes, size);
}

/* Other contents in all vector and mask registers. */
static void vectors_overwrite(char *xstate, long size)
{
    static const unsigned components[] = {2 /* AVX */, 5 /* opmask */, 6 /* ZMM_Hi256 */, 7 /* Hi16_ZMM */};
    memset(xstate + 160, 0x5A, 16 * 16);
    uint64_t present = 2;
    for (size_t i = 0; i < sizeof components / sizeof *components; i++) {
        unsigned bytes, offset, c, d;
        __cpuid_count(0xd, components[i], bytes, offset, c, d);
        if (!bytes || (long)(offset + bytes) > size)
            continue;
        memset(xstate + offset, 0x5A, bytes);
        present |= 1UL << components[i];
    }
    uint64_t had;
    memcpy(&had, xstate + 512, 8);
    had |= present;
    memcpy(xstate + 512, &had, 8);
}

static uint64_t returned_number(struct answering *answering, const struct callee *callee, uint64_t value)
{
    uint64_t upper = draw(answering) << 32;
    if (callee->flags & CALLEE_BOOLEAN)
        return value & 1;
    if (callee->return_bytes >= 8 || !callee->return_bytes)
        return value;
    value = masked(value, callee->return_bytes);
    if (callee->return_bytes < 4 && callee->flags & CALLEE_SIGNED && value >> (8 * callee->return_bytes - 1))
        value |= 0xffffffffUL & ~((1UL << 8 * callee->return_bytes) - 1);
    return value | upper; /* nobody may rely on it */
}

static const char *answer_give(struct answering *answering, const struct callee *callee, struct call_event *event,
                               struct user_regs_struct *registers, char *xstate, long size)
{
    uint64_t garbage = draw(answering);
    uint64_t number = number_pick(answering, callee, event->arguments);
    uint64_t answer = callee->returns == RETURNS_POINTER ? pointer_pick(answering, callee, event->arguments)
                      : callee->returns == RETURNS_NOTHING || callee->returns == RETURNS_FLOAT ? garbage
                                                                                              : number;
    for (uint32_t i = 0; i < answering->request->chosen_count; i++)
        if (answering->chosen[i].event == answering->count)
            answer = answering->chosen[i].value;
    if (callee->returns == RETURNS_INTEGER)
        answer = returned_number(answering, callee, answer);
    event->answer = answer;
    event->garbage = garbage;

    for (unsigned i = 0; i < 6 && answering->request->effects; i++)
        for (unsigned times = 0; times < (callee->parameters[i].kind == PARAMETER_TO_OBJECT ? OBJECT_WORDS : 1); times++)
            if (callee->parameters[i].kind >= PARAMETER_TO_NUMBER && draw(answering) % 4)
                effect_make(answering, callee, &callee->parameters[i], event->arguments[i], event->arguments);

    for (uint32_t i = 0; i < answering->request->written_count; i++) {
        const struct written *one = &answering->written[i];
        if (one->event == answering->count && one->size_bytes <= sizeof one->value
            && is_writable(answering, one->address, one->size_bytes))
            child_write(answering->child, one->address, &one->value, one->size_bytes);
    }
    vectors_overwrite(xstate, size);
    if (callee->returns == RETURNS_FLOAT) {
        /* 0, 1, -1, 2.5, 1e10, 2^-20; the runner itself uses no floating point */
        static const uint32_t singles[] = {0, 0x3f800000, 0xbf800000, 0x40200000, 0x501502f9, 0x35800000};
        static const uint64_t doubles[] = {0, 0x3ff0000000000000, 0xbff0000000000000, 0x4004000000000000,
                                           0x4202a05f20000000, 0x3eb0000000000000};
        if (callee->return_bytes == 4)
            memcpy(xstate + 160, &singles[garbage % 6], 4);
        else
            memcpy(xstate + 160, &doubles[garbage % 6], 8);
    }
    registers->rax = answer;
    registers->rcx = registers->rdx = registers->rsi = registers->rdi = garbage;
    registers->r8 = registers->r9 = registers->r10 = registers->r11 = ~garbage;
    registers->eflags = (registers->eflags & ~0x8d5UL) | (garbage & 0x8d5UL); /* CF PF AF ZF SF OF */
    registers->orig_rax = (unsigned long)-1;
    registers->rsp += 8;
    registers->rip = event->return_to;
    if (child_set_registers(answering->child, registers) < 0
        || child_set_xstate(answering->child, xstate, (size_t)size) < 0)
        return "cannot answer a call";
    return NULL;
}

/* The caller's frame: at least what it may pass on the stack, and up to where the frame of its own caller begins. */
static uint32_t frame_note(struct answering *answering, uint64_t stack)
{
    struct noted *noted = answering->noted;
    uint64_t size = answering->entry_stack > stack ? answering->entry_stack - stack : 0;
    size = size < STACKED_BYTES ? STACKED_BYTES : size > MAX_FRAME_BYTES ? MAX_FRAME_BYTES : size;
    if (size > FRAMES_BYTES - noted->frames_bytes)
        size = FRAMES_BYTES - noted->frames_bytes;
    long got = SYSTEM(__NR_pread64, answering->child->memory_fd, noted->frames + noted->frames_bytes, size, stack);
    noted->frames_bytes += got > 0 ? (size_t)got : 0;
    return got > 0 ? (uint32_t)got : 0;
}

static struct call_event *event_note(struct answering *answering, uint64_t target, const struct user_regs_struct *r,
                                     const char *xstate)
{
    struct call_event *event = &answering->noted->events[answering->count];
    *event = (struct call_event){.target = target, .stack_pointer = r->rsp, .rflags = r->eflags & ~0x100UL,
                                 .rax = r->rax, .arguments = {r->rdi, r->rsi, r->rdx, r->rcx, r->r8, r->r9}};
    uint16_t tags;
    memcpy(&event->mxcsr, xstate + 24, 4);
    memcpy(&tags, xstate + 4, 2);
    event->x87_tags = xstate[512] & 1 ? tags & 0xff : 0;
    if (xstate[512] & 2)
        memcpy(event->vectors, xstate + 160, sizeof event->vectors);
    event->frame_bytes = frame_note(answering, r->rsp);
    return event;
}

const char *event_note_made(struct answering *answering, const struct user_regs_struct *registers, uint64_t garbage)
{
    static char xstate[MAX_XSTATE_BYTES] __attribute__((aligned(8)));
    if (answering->count == MAX_EVENTS)
        return NULL;
    if (child_get_xstate(answering->child, xstate, sizeof xstate) < LEGACY_XSTATE_BYTES)
        return "cannot read the extended registers";
    event_note(answering, registers->rip, registers, xstate)->garbage = garbage;
    answering->count++;
    return NULL;
}

enum event_result event_serve(struct answering *answering, int signal, const siginfo_t *info,
                              struct user_regs_struct *registers, const char **problem)
{
    static char xstate[MAX_XSTATE_BYTES] __attribute__((aligned(8)));
    const struct answer_request *request = answering->request;
    uint64_t target = request ? event_target(answering, signal, info, registers) : 0, return_to;
    if (!target || answering->count > request->max_events
        || child_read(answering->child, registers->rsp, &return_to, 8) < 0)
        return EVENT_NONE;
    if (return_to != answering->return_address
        && (return_to < answering->inside_low || return_to >= answering->inside_high))
        return EVENT_NONE; /* nobody called */
    long size = child_get_xstate(answering->child, xstate, sizeof xstate);
    if (size < LEGACY_XSTATE_BYTES) {
        *problem = "cannot read the extended registers";
        return EVENT_PROBLEM;
    }
    const struct callee *callee = callee_find(answering, target);
    struct call_event *event = event_note(answering, target, registers, xstate);
    event->return_to = return_to;
    int last = answering->count == request->max_events || callee->flags & CALLEE_NEVER_RETURNS;
    if (last || answering->count < request->digest_events) {
        *problem = memory_digest(answering->child, answering->sets, answering->set_count, answering->altered,
                                 answering->entry_stack - DEAD_REACH_BYTES, answering->entry_stack, request->key,
                                 &event->digest);
        if (*problem)
            return EVENT_PROBLEM;
        event->has_digest = 1;
    }
    registers->rip = target;
    if (answering->count == request->max_events) {
        answering->count++;
        return EVENT_TOO_MANY;
    }
    if (callee->flags & CALLEE_NEVER_RETURNS) {
        answering->count++;
        return EVENT_LEFT;
    }
    answering->random = request->seed ^ (answering->count + 1) * 0xd1342543de82ef95UL;
    *problem = answer_give(answering, callee, event, registers, xstate, size);
    answering->count++;
    return *problem ? EVENT_PROBLEM : EVENT_ANSWERED;
}
