#include "timing.h"

#include "child.h"

#define MAX_RUN_SETS 16
#define MAX_PAIRS 100000
#define CALIBRATION_NS 5000000

uint64_t timing_ticks(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtscp" : "=a"(low), "=d"(high) : : "rcx");
    return (uint64_t)high << 32 | low;
}

/* The time-stamp counter's rate, measured once against the monotonic clock. */
static uint64_t ticks_per_s(void)
{
    static uint64_t rate;
    if (!rate) {
        int64_t start_ns = clock_monotonic_ns(), now_ns = start_ns;
        uint64_t start = timing_ticks();
        while (now_ns - start_ns < CALIBRATION_NS)
            now_ns = clock_monotonic_ns();
        rate = (timing_ticks() - start) * 1000 / ((uint64_t)(now_ns - start_ns) / 1000) * 1000;
    }
    return rate;
}

static uint64_t enabled_features(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static const char *request_parse(struct cursor from, const struct time_request **request, struct page_set **sets)
{
    const struct time_request *wanted = take(&from, sizeof *wanted);
    if (!wanted || wanted->set_count > MAX_RUN_SETS || wanted->pair_count > MAX_PAIRS)
        return "malformed time request";
    const uint32_t *ids = take(&from, wanted->set_count * sizeof *ids);
    if (from.failed)
        return "truncated time request";
    for (uint32_t i = 0; i < wanted->set_count; i++)
        if (!(sets[i] = set_find(ids[i])))
            return "no such page set";
    *request = wanted;
    return NULL;
}

static void stop_report(const struct child *child, struct stop stop, const struct timing_shared *shared,
                        struct time_reply *reply)
{
    siginfo_t info;
    struct user_regs_struct registers;
    memset(&info, 0, sizeof info);
    memset(&registers, 0, sizeof registers);
    reply->kind = OUTCOME_FAULT;
    reply->signal = stop.signal;
    if (stop.event == EVENT_WALL_LIMIT || stop.signal == 27 /* SIGPROF */ || stop.signal == 24 /* SIGXCPU */) {
        reply->kind = OUTCOME_TIMEOUT;
        return;
    }
    if (stop.event == EVENT_DEAD)
        return;
    child_get_registers(child, &registers);
    child_get_siginfo(child, &info);
    reply->rip = registers.rip;
    reply->fault_address = (uint64_t)info.si_addr;
    if (stop.event == EVENT_SYSCALL)
        reply->kind = OUTCOME_SYSCALL;
    else if (stop.signal == 5 && registers.rip >= runner_low() && registers.rip < runner_high() && shared->complete)
        reply->kind = OUTCOME_RETURNED;
}

static const char *child_measure(const struct time_request *request, struct page_set *const *sets, int shared_fd,
                                 struct timing_shared *shared, uint64_t shared_bytes, struct buffer *reply)
{
    struct workload workload = {timing_main, shared_fd, shared_bytes, request->fs_base, request->gs_base};
    struct child child;
    const char *problem = child_spawn(&child, sets, request->set_count, request->cpu_limit_ns, &workload);
    if (problem)
        return problem;
    struct time_reply result;
    memset(&result, 0, sizeof result);
    child_continue(&child);
    stop_report(&child, child_wait(&child, clock_monotonic_ns() + (int64_t)request->wall_limit_ns), shared, &result);
    child_destroy(&child);
    result.ticks_per_s = ticks_per_s();
    result.calls_per_block = shared->calls_per_block;
    result.overhead_ticks = shared->overhead_ticks;
    result.repeated = shared->repeated;
    result.pair_count = result.kind == OUTCOME_RETURNED ? request->pair_count : 0;
    char *head = buffer_extend(reply, sizeof result), *ticks = buffer_extend(reply, result.pair_count * 16UL);
    if (!head || !ticks)
        return "out of memory";
    memcpy(reply->data, &result, sizeof result);
    memcpy(reply->data + sizeof result, (char *)shared + shared->ticks_at, result.pair_count * 16UL);
    return NULL;
}

const char *time_serve(struct cursor *from, struct buffer *reply)
{
    const struct time_request *request = NULL;
    struct page_set *sets[MAX_RUN_SETS];
    const char *problem = request_parse(*from, &request, sets);
    if (problem)
        return problem;
    uint64_t request_bytes = (uint64_t)(from->end - from->at);
    uint64_t ticks_at = (sizeof(struct timing_shared) + request_bytes + 63) & ~63UL;
    uint64_t bytes = (ticks_at + request->pair_count * 16UL + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
    if (bytes > RESERVED_BYTES - (WORKLOAD_ADDRESS - runner_low()))
        return "the time request is too large";
    int fd = (int)SYSTEM(__NR_memfd_create, "aicc-timing", MFD_CLOEXEC);
    if (fd < 0)
        return "memfd_create failed";
    long mapped = -1;
    if (SYSTEM(__NR_ftruncate, fd, bytes) == 0)
        mapped = SYSTEM(__NR_mmap, 0, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (mapped < 0 && mapped > -4096) {
        problem = "cannot map the timing memory";
    } else {
        struct timing_shared *shared = (struct timing_shared *)mapped;
        shared->request_bytes = request_bytes;
        shared->ticks_at = ticks_at;
        shared->block_ticks = request->block_ns * (ticks_per_s() / 1000000) / 1000;
        shared->most_ticks = request->cpu_limit_ns / 1000 * (ticks_per_s() / 1000000) / 4;
        shared->xcr0 = enabled_features();
        memcpy(shared->request, from->at, request_bytes);
        problem = child_measure(request, sets, fd, shared, bytes, reply);
        pages_free(shared, bytes);
    }
    SYSTEM(__NR_close, fd);
    return problem;
}
