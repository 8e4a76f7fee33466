#include "run.h"

#include "diff.h"
#include "events.h"
#include "footprint.h"

#define MAX_RUN_SETS 16
#define MAX_XSTATE_BYTES 16384
#define SPAN_BYTES (4 * PAGE_BYTES) /* of code, in which breakpoints are set at once */

struct run {
    const struct run_request *request;
    struct page_set *sets[MAX_RUN_SETS];
    const char *xstate;
    const uint64_t *breakpoints;
    unsigned char *originals; /* the bytes that the breakpoints replaced */
    unsigned char *covered;
    const char *trace_path;
    struct altered altered;
    struct child child;
    struct footprint *footprint; /* of a body that logs its accesses; else NULL */
    struct answering answering;
    const char *problem; /* with a call that was to be answered */
};

static const char *run_parse(struct run *run, struct cursor *from, struct cursor *patches)
{
    const struct run_request *request = take(from, sizeof *request);
    if (!request || request->set_count > MAX_RUN_SETS || request->xstate_bytes > MAX_XSTATE_BYTES
        || request->breakpoint_count > 1 << 20)
        return "malformed run request";
    run->request = request;
    const uint32_t *ids = take(from, request->set_count * sizeof *ids);
    run->xstate = take(from, request->xstate_bytes);
    run->breakpoints = take(from, request->breakpoint_count * sizeof *run->breakpoints);
    *patches = *from;
    for (uint32_t i = 0; i < request->patch_count && !from->failed; i++) {
        const struct patch_header *patch = take(from, sizeof *patch);
        if (patch)
            take(from, patch->size_bytes);
    }
    if (request->trace_path_bytes)
        run->trace_path = take(from, request->trace_path_bytes);
    if (from->failed || (run->trace_path && run->trace_path[request->trace_path_bytes - 1]))
        return "truncated run request";
    if (request->logs && !(run->footprint = footprint_new(from, request->registers.rsp)))
        return "malformed log plan";
    if (request->answer_bytes) {
        const char *problem = answering_parse(&run->answering, from);
        if (problem)
            return problem;
    }
    for (uint32_t i = 0; i < request->set_count; i++)
        if (!(run->sets[i] = set_find(ids[i])))
            return "no such page set";
    return NULL;
}

static const char *patches_apply(struct run *run, struct cursor patches)
{
    for (uint32_t i = 0; i < run->request->patch_count; i++) {
        const struct patch_header *patch = take(&patches, sizeof *patch);
        const char *bytes = take(&patches, patch->size_bytes);
        if (patch->size_bytes && child_write(&run->child, patch->address, bytes, patch->size_bytes) < 0)
            return "a patch lies outside of the image";
    }
    patches.failed = 0;
    return NULL;
}

/* After all patches are in, so that the snapshots are the state that the run starts from. */
static const char *patched_pages_note(struct run *run, struct cursor patches)
{
    for (uint32_t i = 0; i < run->request->patch_count; i++) {
        const struct patch_header *patch = take(&patches, sizeof *patch);
        take(&patches, patch->size_bytes);
        uint64_t end = patch->address + patch->size_bytes;
        for (uint64_t page = patch->address & ~(PAGE_BYTES - 1); page < end; page += PAGE_BYTES)
            if (altered_add(&run->altered, &run->child, page) < 0)
                return "cannot snapshot a patched page";
    }
    return NULL;
}

/* The end of those from `first` on that one read and one write reach: each lies in the same page as the one before, or in the next. */
static uint32_t breakpoints_near(const struct run *run, uint32_t first)
{
    const uint64_t *at = run->breakpoints;
    uint32_t end = first + 1;
    while (end < run->request->breakpoint_count && at[end] - at[end - 1] < PAGE_BYTES
           && at[end] - at[first] < SPAN_BYTES)
        end++;
    return end;
}

/* Puts traps at all breakpoints, or back what was there where the run did not come. */
static int breakpoints_write(struct run *run, int set)
{
    static unsigned char span[SPAN_BYTES];
    for (uint32_t i = 0, end; i < run->request->breakpoint_count; i = end) {
        end = breakpoints_near(run, i);
        uint64_t start = run->breakpoints[i], size = run->breakpoints[end - 1] + 1 - start;
        if (child_read(&run->child, start, span, size) < 0)
            return -1;
        for (uint32_t j = i; j < end; j++) {
            unsigned char *byte = &span[run->breakpoints[j] - start];
            if (set) {
                run->originals[j] = *byte;
                *byte = 0xcc;
            } else if (!run->covered[j]) {
                *byte = run->originals[j];
            }
        }
        if (child_write(&run->child, start, span, size) < 0)
            return -1;
    }
    return 0;
}

/* 1 when the stop at `rip` was one of our breakpoints; its byte is back and the child is at that instruction. */
static int breakpoint_hit(struct run *run, struct user_regs_struct *registers)
{
    uint64_t address = registers->rip - 1;
    uint32_t low = 0, high = run->request->breakpoint_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (run->breakpoints[middle] < address)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == run->request->breakpoint_count || run->breakpoints[low] != address || run->covered[low])
        return 0;
    run->covered[low] = 1;
    registers->rip = address;
    return child_write(&run->child, address, &run->originals[low], 1) == 0
           && child_set_registers(&run->child, registers) == 0;
}

static void registers_merge(struct user_regs_struct *to, const struct user_regs_struct *wanted)
{
    struct user_regs_struct kernel = *to;
    *to = *wanted;
    to->cs = kernel.cs;
    to->ss = kernel.ss;
    to->ds = kernel.ds;
    to->es = kernel.es;
    to->fs = kernel.fs;
    to->gs = kernel.gs;
    to->orig_rax = (unsigned long)-1; /* else the kernel takes the state for an interrupted system call */
    to->eflags = (wanted->eflags & ~0x100UL) | 0x202UL;
}

static const char *child_arm(struct run *run, struct cursor patches)
{
    const char *problem = patches_apply(run, patches);
    if (!problem)
        problem = patched_pages_note(run, patches);
    if (!problem)
        problem = breakpoints_write(run, 1) < 0 ? "a breakpoint lies outside of the image" : NULL;
    if (problem)
        return problem;
    struct user_regs_struct registers = run->child.initial;
    registers_merge(&registers, &run->request->registers);
    if (child_set_registers(&run->child, &registers) < 0)
        return "the kernel refused the general registers";
    if (run->request->xstate_bytes && child_set_xstate(&run->child, run->xstate, run->request->xstate_bytes) < 0)
        return "the kernel refused the extended registers";
    return NULL;
}

/* A stop that may be a call to be answered. 1 when the run is over. */
static int call_judge(struct run *run, int signal, const siginfo_t *info, struct outcome *outcome)
{
    switch (event_serve(&run->answering, signal, info, &outcome->registers, &run->problem)) {
    case EVENT_ANSWERED:
        return 0;
    case EVENT_LEFT:
        outcome->kind = OUTCOME_LEFT;
        break;
    case EVENT_TOO_MANY:
        outcome->kind = OUTCOME_MAX_EVENTS;
        break;
    default:
        break;
    }
    return 1;
}

/* Fills the outcome from a stop. 1 when the run is over, 0 when the child has to be resumed. */
static int stop_judge(struct run *run, struct stop stop, struct outcome *outcome)
{
    siginfo_t info;
    memset(&info, 0, sizeof info);
    outcome->kind = OUTCOME_FAULT;
    outcome->signal = stop.signal;
    outcome->signal_code = 0;
    outcome->fault_address = 0;
    if (stop.event == EVENT_DEAD)
        return 1;
    if (stop.event == EVENT_WALL_LIMIT) {
        /* Stop it, so that its registers and pages can be read. */
        SYSTEM(__NR_kill, run->child.pid, 19);
        child_wait(&run->child, clock_monotonic_ns() + 2 * NS_PER_S);
        outcome->kind = OUTCOME_TIMEOUT;
    }
    child_get_registers(&run->child, &outcome->registers);
    if (stop.event == EVENT_WALL_LIMIT)
        return 1;
    if (stop.event == EVENT_SYSCALL) {
        outcome->kind = OUTCOME_SYSCALL;
        return 1;
    }
    if (stop.signal == 27 /* SIGPROF */ || stop.signal == 24 /* SIGXCPU */) {
        outcome->kind = OUTCOME_TIMEOUT;
        return 1;
    }
    child_get_siginfo(&run->child, &info);
    outcome->signal_code = info.si_code;
    outcome->fault_address = (uint64_t)info.si_addr;
    if (stop.signal == 5 /* SIGTRAP */ && !run->trace_path && breakpoint_hit(run, &outcome->registers))
        return 0;
    if (stop.signal == 11 /* SIGSEGV */ && outcome->registers.rip == run->request->return_address)
        outcome->kind = OUTCOME_RETURNED;
    else
        return call_judge(run, stop.signal, &info, outcome);
    return 1;
}

static void run_to_the_end(struct run *run, struct outcome *outcome)
{
    int64_t deadline_ns = clock_monotonic_ns() + (int64_t)run->request->wall_limit_ns;
    int64_t start_ns = clock_process_cpu_ns(run->child.pid);
    for (;;) {
        child_continue(&run->child);
        struct stop stop = child_wait(&run->child, deadline_ns);
        if (run->footprint && footprint_takes(run->footprint, &run->child, stop))
            continue;
        if (stop_judge(run, stop, outcome))
            break;
    }
    if (run->footprint) {
        footprint_finish(run->footprint, &run->child);
        if (footprint_is_exhausted(run->footprint))
            outcome->kind = OUTCOME_MAX_STEPS;
    }
    outcome->cpu_ns = (uint64_t)(clock_process_cpu_ns(run->child.pid) - start_ns);
}

#define STEPS_AT_ONCE 512
#define SCRATCH_GARBAGE 0xA5C35A3CA5C35A3CUL

/* A call from [inside_low, inside_high) to anywhere else, until it returns; a callee may call back in the meantime. */
struct excursion {
    uint64_t return_to, stack;
    int is_outside;
};

/* What a callee may do by the ABI: other contents in all call-clobbered registers but those that can hold a result. */
static const char *scratch_overwrite(struct run *run, struct user_regs_struct *registers)
{
    static char xstate[MAX_XSTATE_BYTES];
    registers->rcx = registers->rsi = registers->rdi = SCRATCH_GARBAGE;
    registers->r8 = registers->r9 = registers->r10 = registers->r11 = SCRATCH_GARBAGE;
    if (child_set_registers(&run->child, registers) < 0)
        return "cannot overwrite scratch registers";
    long size = child_get_xstate(&run->child, xstate, sizeof xstate);
    if (size < 576)
        return "cannot read the extended registers";
    memset(xstate + 160 + 2 * 16, 0xA5, 14 * 16); /* xmm2 to xmm15 (Intel SDM volume 1, 10.5.1) */
    xstate[512] |= 2;
    return child_set_xstate(&run->child, xstate, (size_t)size) < 0 ? "cannot overwrite vector registers" : NULL;
}

/* Notes a call that leaves, and overwrites scratch registers when it comes back. */
static const char *excursion_follow(struct run *run, struct excursion *excursion, struct user_regs_struct *registers)
{
    const struct run_request *request = run->request;
    int inside = registers->rip >= request->inside_low && registers->rip < request->inside_high;
    if (!request->inside_high)
        return NULL;
    int leaves = !inside && !excursion->is_outside;
    excursion->is_outside = !inside;
    const char *problem = leaves && !run->answering.request
                              ? event_note_made(&run->answering, registers, SCRATCH_GARBAGE)
                              : NULL;
    if (problem)
        return problem;
    if (!inside && !excursion->return_to) {
        excursion->stack = registers->rsp;
        if (child_read(&run->child, registers->rsp, &excursion->return_to, 8) < 0)
            excursion->return_to = 1; /* it will fault */
    } else if (inside && excursion->return_to == registers->rip && registers->rsp == excursion->stack + 8) {
        excursion->return_to = 0;
        return scratch_overwrite(run, registers);
    }
    return NULL;
}

static const char *step_to_the_end(struct run *run, struct outcome *outcome)
{
    static struct trace_step steps[STEPS_AT_ONCE];
    struct excursion excursion = {0, 0, 0};
    size_t held = 0;
    const char *problem = NULL;
    int64_t deadline_ns = clock_monotonic_ns() + (int64_t)run->request->wall_limit_ns;
    int fd = (int)SYSTEM(__NR_openat, AT_FDCWD, run->trace_path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return "cannot open the trace file";
    for (;;) {
        struct user_regs_struct *r = &outcome->registers;
        child_get_registers(&run->child, r);
        if (r->rip == run->request->return_address) {
            outcome->kind = OUTCOME_RETURNED;
            break;
        }
        if (outcome->steps == run->request->max_steps) {
            outcome->kind = OUTCOME_MAX_STEPS;
            break;
        }
        problem = excursion_follow(run, &excursion, r);
        if (problem)
            break;
        if (held == STEPS_AT_ONCE) {
            if (write_all(fd, steps, sizeof steps) < 0)
                problem = "cannot write the trace";
            held = 0;
        }
        steps[held++] = (struct trace_step){
            r->rip, r->eflags & ~0x100UL, {r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi, r->r8, r->r9,
                                           r->r10, r->r11, r->r12, r->r13, r->r14, r->r15}};
        outcome->steps++;
        child_step(&run->child);
        struct stop stop = child_wait_step(&run->child);
        if (held == 1 && clock_monotonic_ns() > deadline_ns)
            stop = (struct stop){EVENT_WALL_LIMIT, 0};
        siginfo_t info;
        memset(&info, 0, sizeof info);
        if (stop.event == EVENT_STOPPED && stop.signal == 5 && child_get_siginfo(&run->child, &info) == 0
            && info.si_code == TRAP_TRACE)
            continue;
        uint32_t answered = run->answering.count;
        int over = stop_judge(run, stop, outcome);
        if (run->answering.count > answered) { /* what the body did ends with the call itself */
            held--;
            outcome->steps--;
        }
        if (over)
            break;
    }
    if (held && write_all(fd, steps, held * sizeof *steps) < 0)
        problem = "cannot write the trace";
    SYSTEM(__NR_close, fd);
    return problem;
}

static const char *run_report(struct run *run, struct outcome *outcome, struct buffer *reply)
{
    char *head = buffer_extend(reply, sizeof *outcome);
    char *xstate = buffer_extend(reply, MAX_XSTATE_BYTES);
    if (!head || !xstate)
        return "out of memory";
    int dead = outcome->kind == OUTCOME_FAULT && outcome->signal == 9;
    if (!dead) {
        long size = child_get_xstate(&run->child, reply->data + sizeof *outcome, MAX_XSTATE_BYTES);
        outcome->xstate_bytes = size < 0 ? 0 : (uint32_t)size;
    }
    reply->size = sizeof *outcome + ((outcome->xstate_bytes + 7UL) & ~7UL);
    outcome->breakpoint_count = run->request->breakpoint_count;
    char *covered = buffer_extend(reply, outcome->breakpoint_count);
    if (!covered)
        return "out of memory";
    memcpy(covered, run->covered, outcome->breakpoint_count);
    const char *problem = !dead && breakpoints_write(run, 0) < 0 ? "cannot clear a breakpoint" : NULL;
    if (!problem && !dead)
        problem = diff_pages(&run->child, run->sets, run->request->set_count, &run->altered, run->footprint, reply,
                             &outcome->written_count, &outcome->changed_count);
    const struct noted *noted = run->answering.noted;
    outcome->event_count = run->answering.count;
    size_t event_bytes = outcome->event_count * sizeof *noted->events;
    char *events = problem ? NULL : buffer_extend(reply, event_bytes + noted->frames_bytes);
    if (events) {
        memcpy(events, noted->events, event_bytes);
        memcpy(events + event_bytes, noted->frames, noted->frames_bytes);
    } else if (!problem)
        problem = "out of memory";
    memcpy(reply->data, outcome, sizeof *outcome);
    if (!problem && run->footprint && !dead)
        problem = footprint_report(run->footprint, &run->child, reply);
    return problem;
}

static const char *run_confined(struct run *run, struct cursor patches, struct buffer *reply)
{
    struct outcome outcome;
    memset(&outcome, 0, sizeof outcome);
    const char *problem = child_arm(run, patches);
    run->answering.inside_low = run->request->inside_low;
    run->answering.inside_high = run->request->inside_high;
    run->answering.return_address = run->request->return_address;
    run->answering.entry_stack = run->request->registers.rsp;
    run->answering.child = &run->child;
    run->answering.sets = run->sets;
    run->answering.set_count = run->request->set_count;
    run->answering.altered = &run->altered;
    if (!problem && run->trace_path)
        problem = step_to_the_end(run, &outcome);
    else if (!problem)
        run_to_the_end(run, &outcome);
    if (!problem)
        problem = run->problem;
    return problem ? problem : run_report(run, &outcome, reply);
}

const char *run_serve(struct cursor *from, struct buffer *reply)
{
    static struct run run;
    static struct noted noted;
    struct cursor patches;
    memset(&run, 0, sizeof run);
    run.answering.noted = &noted;
    noted.frames_bytes = 0;
    const char *problem = run_parse(&run, from, &patches);
    if (problem)
        return problem;
    size_t marks = run.request->breakpoint_count + 1UL;
    run.originals = pages_allocate(2 * marks);
    if (!run.originals) {
        footprint_free(run.footprint);
        return "out of memory";
    }
    run.covered = run.originals + marks;
    static unsigned char processors[PROCESSOR_MASK_BYTES];
    size_t pinned = processor_pin(processors, sizeof processors);
    problem = child_spawn(&run.child, run.sets, run.request->set_count, run.request->cpu_limit_ns, NULL);
    if (!problem)
        problem = run_confined(&run, patches, reply);
    child_destroy(&run.child);
    processor_unpin(processors, pinned);
    altered_free(&run.altered);
    footprint_free(run.footprint);
    pages_free(run.originals, 2 * marks);
    return problem;
}
