/* Functions that end otherwise than by returning, and some that cannot be replayed. */
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#define N __attribute__((noinline, noclone))
static jmp_buf env;
static volatile long sink;
static long *shared;
static const long *frozen; /* shared, and read only */
N void busy(long n) { for (long i = 0; i < n; i++) sink += i; }
N void jumps(long n) { busy(n); longjmp(env, 1); }
N void *ends_thread(void *n) { busy((long)n); pthread_exit(n); }
N void ends_process(int status) { busy(1000); _exit(status); }
N long shares(long n) { shared[0] += n; return shared[0]; }
N long reads(long n) { return frozen[n & 511] + n; }
N long allocates(long n) { char *p = malloc(n); memset(p, 1, n); long s = p[n - 1]; free(p); return s; }
N long both(int fd, long n) { if (fd >= 0 && write(fd, "", 0)) return 1; busy(n); return n; }
int main(void)
{
    shared = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    frozen = mmap(0, 4096, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (volatile int i = 0; i < 300; i++)
        if (!setjmp(env)) jumps(2000 + i);
    for (long i = 0; i < 100; i++) { pthread_t t; pthread_create(&t, 0, ends_thread, (void *)i); pthread_join(t, 0); }
    for (int i = 0; i < 3000; i++) { shares(1); busy(3000); sink += reads(i); }
    for (int i = 0; i < 40; i++) sink += allocates(3000000 + i);
    for (int i = 0; i < 600000; i++) sink += both(i % 3 ? 2 : -1, 4000);
    printf("%ld\n", shared[0]);
    fflush(stdout);
    ends_process(9);
}
