/* The runner: reads requests on standard input, answers on standard output, ends with its input. */
#include "child.h"
#include "run.h"
#include "timing.h"

#include <cpuid.h>

#define STACK_BYTES 65536

/* The runner's stack lies in its own .bss, so that a child can drop everything else. */
static char stack[STACK_BYTES] __attribute__((aligned(64), used));

__asm__(".globl _start\n"
        "_start:\n"
        "    xorl %ebp, %ebp\n"
        "    movq %rsp, %rdi\n"
        "    leaq stack+65536(%rip), %rsp\n"
        "    call runner_main\n"
        "    ud2\n");

struct component {
    uint32_t offset, size_bytes;
};

struct hello {
    uint32_t version, xstate_bytes;
    uint64_t xcr0, hwcap2;
    struct component components[64];
};

void *buffer_extend(struct buffer *buffer, size_t size)
{
    size_t padded = (size + 7) & ~7UL;
    if (buffer->failed || padded < size || buffer->size + padded < padded)
        goto failed;
    if (!buffer->data || buffer->size + padded > buffer->capacity) {
        size_t capacity = 2 * (buffer->size + padded) + 65536;
        char *data = pages_allocate(capacity);
        if (!data)
            goto failed;
        if (buffer->size)
            memcpy(data, buffer->data, buffer->size);
        pages_free(buffer->data, buffer->capacity);
        buffer->data = data;
        buffer->capacity = capacity;
    }
    void *result = buffer->data + buffer->size;
    memset(result, 0, padded);
    buffer->size += padded;
    return result;
failed:
    buffer->failed = 1;
    return NULL;
}

/* Intel SDM volume 1, 13.2: CPUID leaf 0xd enumerates the XSAVE area's components. */
static const char *hello_serve(struct buffer *reply, uint64_t hwcap2)
{
    struct hello *hello = buffer_extend(reply, sizeof *hello);
    unsigned a, b, c, d;
    if (!hello)
        return "out of memory";
    hello->version = PROTOCOL_VERSION;
    hello->hwcap2 = hwcap2;
    __cpuid(1, a, b, c, d);
    if (!(c & bit_OSXSAVE))
        return "the processor has no XSAVE";
    __cpuid_count(0xd, 0, a, b, c, d);
    hello->xstate_bytes = b;
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    hello->xcr0 = (uint64_t)d << 32 | a;
    for (unsigned i = 2; i < 63; i++)
        if (hello->xcr0 >> i & 1) {
            __cpuid_count(0xd, i, a, b, c, d);
            hello->components[i] = (struct component){b, a};
        }
    return NULL;
}

static const char *serve(uint32_t operation, struct cursor *request, struct buffer *reply, uint64_t hwcap2)
{
    switch (operation) {
    case OP_HELLO:
        return hello_serve(reply, hwcap2);
    case OP_LOAD:
        return set_load(request);
    case OP_UNLOAD:
        return set_unload(request);
    case OP_RUN:
        return run_serve(request, reply);
    case OP_TIME:
        return time_serve(request, reply);
    default:
        return "unknown operation";
    }
}

static int answer(const char *problem, const struct buffer *reply)
{
    struct header header = {problem ? REPLY_ERROR : REPLY_OK, 0, problem ? strlen(problem) : reply->size};
    if (write_all(1, &header, sizeof header) < 0)
        return -1;
    return write_all(1, problem ? problem : reply->data, header.payload_bytes);
}

static _Noreturn void leave(int status)
{
    for (;;)
        SYSTEM(__NR_exit_group, status);
}

static uint64_t auxiliary_value(const long *initial_stack, uint64_t wanted)
{
    const long *at = initial_stack + 1 + initial_stack[0] + 1;
    while (*at)
        at++;
    for (at++; at[0]; at += 2)
        if ((uint64_t)at[0] == wanted)
            return (uint64_t)at[1];
    return 0;
}

static void process_prepare(void)
{
    uint64_t child_signal = 1UL << (17 /* SIGCHLD */ - 1);
    uint64_t pipe_signal[4] = {1 /* SIG_IGN */, 0, 0, 0};
    uint64_t files[2];
    SYSTEM(__NR_rt_sigprocmask, 2 /* SIG_SETMASK */, &child_signal, 0, sizeof child_signal);
    SYSTEM(__NR_rt_sigaction, 13 /* SIGPIPE */, pipe_signal, 0, 8);
    SYSTEM(__NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (SYSTEM(__NR_getrlimit, RLIMIT_NOFILE, files) == 0) {
        files[0] = files[1];
        SYSTEM(__NR_setrlimit, RLIMIT_NOFILE, files);
    }
}

_Noreturn void runner_main(const long *initial_stack)
{
    uint64_t hwcap2 = auxiliary_value(initial_stack, 26 /* AT_HWCAP2 */);
    struct buffer request = {NULL, 0, 0, 0}, reply = {NULL, 0, 0, 0};
    struct header header;
    process_prepare();
    while (read_all(0, &header, sizeof header) == 0) {
        request.size = reply.size = 0;
        request.failed = reply.failed = 0;
        char *payload = buffer_extend(&request, header.payload_bytes);
        if (!payload || read_all(0, payload, header.payload_bytes) < 0)
            leave(1);
        struct cursor cursor = {payload, payload + ((header.payload_bytes + 7) & ~7UL), 0};
        const char *problem = serve(header.code, &cursor, &reply, hwcap2);
        if (answer(problem, &reply) < 0)
            leave(1);
    }
    leave(0);
}
