#include "child.h"

#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>

/* A loaded machine may let a child wait for seconds; it does little before it is ready, and nothing that could block. */
#define START_NS (60 * NS_PER_S)

struct mapping {
    uint64_t address, size_bytes, offset;
    int prot, fd, flags;
};

/* In .bss, since a child drops every mapping outside of the runner's own range before it reads this. */
static struct mapping plan[MAX_REGIONS];
static size_t plan_count;

struct itimer {
    long interval_s, interval_us, value_s, value_us;
};

long seccomp_trace_everything(void)
{
    /* Whatever the architecture of the call (int 0x80 and vsyscall included). Without a tracer the kernel refuses the
     * call, so a child that lost its tracer still cannot make one. */
    struct sock_filter all[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE)};
    struct sock_fprog program = {1, all};
    /* SPEC_ALLOW: the speculation brake that older kernels add would distort timings; the child has nobody to spy on. */
    return SYSTEM(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program);
}

static _Noreturn void child_fail(int stage)
{
    for (;;)
        SYSTEM(__NR_exit_group, stage);
}

/* Drops the runner itself, this code included: the instruction after the call cannot be fetched, which stops the
 * child with a SIGSEGV that its tracer takes as "ready". */
static _Noreturn void drop_runner(void)
{
    SYSTEM(__NR_munmap, runner_low(), runner_high() - runner_low());
    for (;;)
        ;
}

static _Noreturn void child_main(int parent, uint64_t cpu_limit_ns, const struct workload *workload)
{
    uint64_t no_signals = 0;
    uint64_t cpu_s = cpu_limit_ns / NS_PER_S + 2;
    struct limit {
        uint64_t soft, hard;
    } cpu = {cpu_s, cpu_s}, none = {0, 0};
    uint64_t limit_us = cpu_limit_ns / 1000 + 1;
    struct itimer timer = {0, 0, (long)(limit_us / 1000000), (long)(limit_us % 1000000)};

    SYSTEM(__NR_prctl, PR_SET_PDEATHSIG, 9);
    if (SYSTEM(__NR_getppid) != parent)
        child_fail(1);
    SYSTEM(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &no_signals, 0, sizeof no_signals);
    if (SYSTEM(__NR_setrlimit, RLIMIT_CPU, &cpu) < 0 || SYSTEM(__NR_setrlimit, RLIMIT_CORE, &none) < 0)
        child_fail(2);
    if (SYSTEM(__NR_ptrace, PTRACE_TRACEME) < 0)
        child_fail(3);
    SYSTEM(__NR_kill, SYSTEM(__NR_getpid), 19 /* SIGSTOP: the parent sets its options now */);
    if (SYSTEM(__NR_munmap, 0, runner_low()) < 0
        || SYSTEM(__NR_munmap, runner_high(), 0x7ffffffff000UL - runner_high()) < 0)
        child_fail(4);
    for (size_t i = 0; i < plan_count; i++)
        if (SYSTEM(__NR_mmap, plan[i].address, plan[i].size_bytes, plan[i].prot, plan[i].flags | MAP_FIXED, plan[i].fd,
                   plan[i].offset)
            != (long)plan[i].address)
            child_fail(5);
    if (SYSTEM(__NR_setitimer, 2 /* ITIMER_PROF: user and system time */, &timer, 0) < 0)
        child_fail(6);
    if (workload
        && (SYSTEM(__NR_arch_prctl, ARCH_SET_FS, workload->fs_base) < 0
            || SYSTEM(__NR_arch_prctl, ARCH_SET_GS, workload->gs_base) < 0))
        child_fail(7);
    if (seccomp_trace_everything() < 0)
        child_fail(8);
    if (workload)
        workload->main();
    drop_runner();
}

static const char *plan_make(struct page_set *const *sets, size_t set_count, const struct workload *workload)
{
    plan_count = 0;
    if (workload)
        plan[plan_count++] = (struct mapping){WORKLOAD_ADDRESS,        workload->shared_bytes, 0,
                                              PROT_READ | PROT_WRITE, workload->shared_fd,    MAP_SHARED};
    for (size_t i = 0; i < set_count; i++)
        for (size_t j = 0; j < sets[i]->region_count; j++) {
            const struct region *region = &sets[i]->regions[j];
            if (plan_count == MAX_REGIONS)
                return "too many regions";
            plan[plan_count++] =
                (struct mapping){region->address, region->size_bytes, region->offset, region->prot, region->fd, MAP_PRIVATE};
        }
    return NULL;
}

static long trace(const struct child *child, int request, uint64_t address, const void *data)
{
    return SYSTEM(__NR_ptrace, request, child->pid, address, data);
}

static struct stop stop_of(int status)
{
    if ((status & 0xff) != 0x7f)
        return (struct stop){EVENT_DEAD, status & 0x7f ? status & 0x7f : status >> 8 & 0xff};
    if (status >> 16 == PTRACE_EVENT_SECCOMP)
        return (struct stop){EVENT_SYSCALL, 0};
    return (struct stop){EVENT_STOPPED, status >> 8 & 0xff};
}

struct stop child_wait(const struct child *child, int64_t deadline_ns)
{
    uint64_t only_child = 1UL << (17 /* SIGCHLD, blocked in the runner, so it stays pending */ - 1);
    for (;;) {
        int status = 0;
        long got = SYSTEM(__NR_wait4, child->pid, &status, __WALL | WNOHANG, 0);
        if (got < 0 && got != -EINTR)
            return (struct stop){EVENT_DEAD, 0};
        if (got == child->pid)
            return stop_of(status);
        int64_t left = deadline_ns - clock_monotonic_ns();
        if (left <= 0)
            return (struct stop){EVENT_WALL_LIMIT, 0};
        struct __kernel_timespec timeout = {left / NS_PER_S, left % NS_PER_S};
        SYSTEM(__NR_rt_sigtimedwait, &only_child, 0, &timeout, 8);
    }
}

struct stop child_wait_step(const struct child *child)
{
    for (;;) {
        int status = 0;
        long got = SYSTEM(__NR_wait4, child->pid, &status, __WALL, 0);
        if (got == child->pid)
            return stop_of(status);
        if (got != -EINTR)
            return (struct stop){EVENT_DEAD, 0};
    }
}

/* The tracer and its child on one processor: a stop is then a switch and not an interrupt to another processor, which
 * costs several times as much in a virtual machine. `mask` keeps what was allowed before; 0 when that cannot be told. */
size_t processor_pin(unsigned char *mask, size_t capacity)
{
    unsigned char only[PROCESSOR_MASK_BYTES];
    unsigned cpu = 0;
    long size = SYSTEM(__NR_sched_getaffinity, 0, capacity, mask);
    if (size <= 0 || SYSTEM(__NR_getcpu, &cpu, 0, 0) < 0 || cpu / 8 >= sizeof only)
        return 0;
    memset(only, 0, sizeof only);
    only[cpu / 8] = (unsigned char)(1u << cpu % 8);
    return SYSTEM(__NR_sched_setaffinity, 0, sizeof only, only) < 0 ? 0 : (size_t)size;
}

void processor_unpin(const unsigned char *mask, size_t size)
{
    if (size)
        SYSTEM(__NR_sched_setaffinity, 0, size, mask);
}

static const char *child_prepare(struct child *child, const struct workload *workload)
{
    int64_t deadline_ns = clock_monotonic_ns() + START_NS;
    struct stop stop = child_wait(child, deadline_ns);
    if (stop.event != EVENT_STOPPED || stop.signal != 19)
        return "the child did not start";
    if (trace(child, PTRACE_SETOPTIONS, 0, (void *)(PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP)) < 0)
        return "PTRACE_SETOPTIONS failed";
    if (workload)
        return NULL;
    child_continue(child);
    stop = child_wait(child, deadline_ns);
    if (stop.event == EVENT_DEAD && stop.signal == 5)
        return "the child could not map the image";
    if (stop.event != EVENT_SYSCALL || child_get_registers(child, &child->initial) < 0
        || child->initial.orig_rax != __NR_munmap)
        return "the child could not confine itself";
    child_continue(child); /* the only system call that is ever let through: it drops the runner's pages */
    stop = child_wait(child, deadline_ns);
    if (stop.event != EVENT_STOPPED || stop.signal != 11 || child_get_registers(child, &child->initial) < 0
        || child->initial.rip < runner_low() || child->initial.rip >= runner_high())
        return "the child could not drop the runner";
    return NULL;
}

static void format_path(char *to, int pid)
{
    char digits[12];
    int count = 0;
    for (; pid; pid /= 10)
        digits[count++] = (char)('0' + pid % 10);
    memcpy(to, "/proc/", 6);
    for (to += 6; count;)
        *to++ = digits[--count];
    memcpy(to, "/mem", 5);
}

const char *child_spawn(struct child *child, struct page_set *const *sets, size_t set_count, uint64_t cpu_limit_ns,
                        const struct workload *workload)
{
    *child = (struct child){.pid = 0, .memory_fd = -1};
    const char *problem = plan_make(sets, set_count, workload);
    if (problem)
        return problem;
    int self = (int)SYSTEM(__NR_getpid);
    /* One table of open files for both: the child opens and closes none, and copying hundreds takes longer than its run. */
    long pid = SYSTEM(__NR_clone, CLONE_FILES | 17 /* SIGCHLD */, 0, 0, 0, 0);
    if (pid < 0)
        return "fork failed";
    if (pid == 0)
        child_main(self, cpu_limit_ns, workload);
    child->pid = (int)pid;
    problem = child_prepare(child, workload);
    if (!problem) {
        char path[32];
        format_path(path, child->pid);
        child->memory_fd = (int)SYSTEM(__NR_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
        if (child->memory_fd < 0)
            problem = "cannot open the child's memory";
    }
    if (problem)
        child_destroy(child);
    return problem;
}

void child_destroy(struct child *child)
{
    if (child->memory_fd >= 0)
        SYSTEM(__NR_close, child->memory_fd);
    if (child->pid <= 0)
        return;
    SYSTEM(__NR_kill, child->pid, 9);
    for (;;) {
        int status = 0;
        long got = SYSTEM(__NR_wait4, child->pid, &status, __WALL, 0);
        if (got == -EINTR)
            continue;
        if (got < 0 || (status & 0xff) != 0x7f)
            break;
    }
    child->pid = 0;
}

int child_continue(const struct child *child)
{
    return (int)trace(child, PTRACE_CONT, 0, 0);
}

int child_step(const struct child *child)
{
    return (int)trace(child, PTRACE_SINGLESTEP, 0, 0);
}

int child_get_registers(const struct child *child, struct user_regs_struct *registers)
{
    return (int)trace(child, PTRACE_GETREGS, 0, registers);
}

int child_set_registers(const struct child *child, const struct user_regs_struct *registers)
{
    return (int)trace(child, PTRACE_SETREGS, 0, registers);
}

long child_get_xstate(const struct child *child, void *to, size_t capacity)
{
    struct iovec area = {to, capacity};
    long result = trace(child, PTRACE_GETREGSET, NT_X86_XSTATE, &area);
    return result < 0 ? result : (long)area.iov_len;
}

int child_set_xstate(const struct child *child, const void *from, size_t size)
{
    struct iovec area = {(void *)from, size};
    return (int)trace(child, PTRACE_SETREGSET, NT_X86_XSTATE, &area);
}

int child_get_siginfo(const struct child *child, siginfo_t *info)
{
    return (int)trace(child, PTRACE_GETSIGINFO, 0, info);
}

int child_read(const struct child *child, uint64_t address, void *to, size_t size)
{
    long got = SYSTEM(__NR_pread64, child->memory_fd, to, size, address);
    return got == (long)size ? 0 : -1;
}

int child_write(const struct child *child, uint64_t address, const void *from, size_t size)
{
    long put = SYSTEM(__NR_pwrite64, child->memory_fd, from, size, address);
    return put == (long)size ? 0 : -1;
}
