#include "system.h"

void *memcpy(void *to, const void *from, size_t size)
{
    void *result = to;
    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
    return result;
}

void *memset(void *to, int value, size_t size)
{
    void *result = to;
    __asm__ volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(value) : "memory");
    return result;
}

int memcmp(const void *a, const void *b, size_t size)
{
    const unsigned char *x = a, *y = b;
    for (; size >= 8; size -= 8, x += 8, y += 8) {
        uint64_t u, v;
        __builtin_memcpy(&u, x, 8);
        __builtin_memcpy(&v, y, 8);
        if (u != v)
            break;
    }
    for (; size; size--, x++, y++)
        if (*x != *y)
            return *x < *y ? -1 : 1;
    return 0;
}

size_t strlen(const char *text)
{
    size_t length = 0;
    while (text[length])
        length++;
    return length;
}

void *pages_allocate(size_t size)
{
    long address = SYSTEM(__NR_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (address < 0 && address > -4096)
        return NULL;
    not_for_children((void *)address, size);
    return (void *)address;
}

void not_for_children(void *address, size_t size)
{
    SYSTEM(__NR_madvise, address, size, MADV_DONTFORK);
}

void pages_free(void *address, size_t size)
{
    if (address)
        SYSTEM(__NR_munmap, address, size);
}

static int64_t clock_ns(int clock)
{
    struct __kernel_timespec now = {0, 0};
    if (SYSTEM(__NR_clock_gettime, clock, &now) < 0)
        return 0;
    return now.tv_sec * NS_PER_S + now.tv_nsec;
}

int64_t clock_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

int64_t clock_process_cpu_ns(int pid)
{
    /* clock_getcpuclockid(3): the complemented pid shifted by 3, CPUCLOCK_SCHED = 2. */
    return clock_ns((int)((~(unsigned)pid << 3) | 2));
}

int read_all(int fd, void *to, size_t size)
{
    for (char *at = to; size;) {
        long got = SYSTEM(__NR_read, fd, at, size);
        if (got == -EINTR)
            continue;
        if (got <= 0)
            return -1;
        at += got;
        size -= (size_t)got;
    }
    return 0;
}

int write_all(int fd, const void *from, size_t size)
{
    for (const char *at = from; size;) {
        long put = SYSTEM(__NR_write, fd, at, size);
        if (put == -EINTR)
            continue;
        if (put <= 0)
            return -1;
        at += put;
        size -= (size_t)put;
    }
    return 0;
}
