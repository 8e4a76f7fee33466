/* Raw Linux x86-64 system calls and the few string functions that a program without libc needs.
 *
 * The runner is freestanding so that its children hold nothing but what this directory put there: no TLS block, no
 * registered rseq area, no vdso user, no allocator. Calls return the kernel's value: negative errno on failure. */
#ifndef AICC_SYSTEM_H
#define AICC_SYSTEM_H

#include <stddef.h>
#include <stdint.h>

#include <asm/prctl.h>
#include <asm/unistd.h>
#include <linux/elf.h>
#include <linux/errno.h>
#include <linux/fcntl.h>
#include <linux/memfd.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <linux/ptrace.h>
#include <linux/resource.h>
#include <linux/signal.h>
#include <linux/time.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include <sys/user.h>

#define PAGE_BYTES 4096UL
#define NS_PER_S 1000000000L

static inline long sys6(long number, long a, long b, long c, long d, long e, long f)
{
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

#define SYS_ARGS(n, a, b, c, d, e, f, ...) \
    sys6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define SYSTEM(...) SYS_ARGS(__VA_ARGS__, 0, 0, 0, 0, 0, 0, 0)

void *memcpy(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);

/* Anonymous memory of at least `size` bytes that children do not get, or NULL. */
void *pages_allocate(size_t size);
void pages_free(void *address, size_t size);

/* Children start without this mapping: a fork costs by the number of mappings, and so does dropping them again. */
void not_for_children(void *address, size_t size);

/* The monotonic clock, and the CPU time of process `pid`, in ns. */
int64_t clock_monotonic_ns(void);
int64_t clock_process_cpu_ns(int pid);

/* Transfer exactly `size` bytes; 0 on success, -1 on end of file or error. */
int read_all(int fd, void *to, size_t size);
int write_all(int fd, const void *from, size_t size);

#endif
