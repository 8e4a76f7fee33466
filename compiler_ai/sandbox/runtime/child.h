/* A fresh process that holds nothing but page sets, stopped under ptrace before its first instruction. */
#ifndef AICC_CHILD_H
#define AICC_CHILD_H

#include "sets.h"

/* How a wait ended. */
enum event { EVENT_STOPPED, EVENT_SYSCALL, EVENT_DEAD, EVENT_WALL_LIMIT };

struct stop {
    enum event event;
    int signal;
};

/* What a child does instead of dropping the runner and waiting for a body: it keeps the runner's pages and calls
 * `main`, with `shared_bytes` of `shared_fd` mapped shared at WORKLOAD_ADDRESS. */
struct workload {
    void (*main)(void);
    int shared_fd;
    uint64_t shared_bytes;
    uint64_t fs_base, gs_base;
};

#define WORKLOAD_ADDRESS 0x72000000UL

struct child {
    int pid;
    int memory_fd; /* /proc/<pid>/mem, open for reading and writing */
    struct user_regs_struct initial;
};

/* NULL on success; then the child is stopped. `workload` may be NULL. */
const char *child_spawn(struct child *child, struct page_set *const *sets, size_t set_count, uint64_t cpu_limit_ns,
                        const struct workload *workload);
void child_destroy(struct child *child);

/* Waits for the next ptrace stop, no later than `deadline_ns` on the monotonic clock. */
struct stop child_wait(const struct child *child, int64_t deadline_ns);

/* Waits for the end of a single step, which cannot block: a child makes no system call. */
struct stop child_wait_step(const struct child *child);

#define PROCESSOR_MASK_BYTES 1024
/* Pins this process, and whom it forks next, to the processor it is on; `mask` and the result go to processor_unpin. */
size_t processor_pin(unsigned char *mask, size_t capacity);
void processor_unpin(const unsigned char *mask, size_t size);

/* These return 0 or a negative errno. Writes ignore page protections. */
int child_continue(const struct child *child);
int child_step(const struct child *child);
int child_get_registers(const struct child *child, struct user_regs_struct *registers);
int child_set_registers(const struct child *child, const struct user_regs_struct *registers);
long child_get_xstate(const struct child *child, void *to, size_t capacity);
int child_set_xstate(const struct child *child, const void *from, size_t size);
int child_get_siginfo(const struct child *child, siginfo_t *info);
int child_read(const struct child *child, uint64_t address, void *to, size_t size);
int child_write(const struct child *child, uint64_t address, const void *from, size_t size);

/* Installs the filter under which every system call is reported to the tracer instead of executed. */
long seccomp_trace_everything(void);

#endif
