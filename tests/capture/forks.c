/* Threads that fork, vfork and spawn while all of them call the function that is captured. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#define N __attribute__((noinline, noclone))
extern char **environ;
N long work(long n) { long s = n; for (long i = 0; i < 300; i++) s = s * 33 + (s >> 7); return s; }
static int wait_for(pid_t pid) { int status; while (waitpid(pid, &status, 0) < 0 && errno == EINTR) ; return status; }
static void *run(void *argument)
{
    long kind = (long)argument, failures = 0, s = 0;
    for (int round = 0; round < 40; round++) {
        for (int i = 0; i < 2000; i++) s += work(i);
        pid_t pid;
        if (kind == 0) {
            if ((pid = fork()) == 0) { for (int i = 0; i < 3000; i++) s += work(i); _exit((int)(work(5) & 63)); }
            int status = wait_for(pid);
            failures += !WIFEXITED(status) || WEXITSTATUS(status) != (work(5) & 63);
        } else if (kind == 1) {
            if ((pid = vfork()) == 0) _exit((int)(work(7) & 63));
            int status = wait_for(pid);
            failures += !WIFEXITED(status) || WEXITSTATUS(status) != (work(7) & 63);
        } else {
            char *words[] = {"true", 0};
            failures += posix_spawn(&pid, "/bin/true", 0, 0, words, environ) != 0 || wait_for(pid) != 0;
        }
    }
    (void)s;
    return (void *)failures;
}
int main(void)
{
    pthread_t threads[3];
    long failures = 0;
    for (long i = 0; i < 3; i++) pthread_create(threads + i, 0, run, (void *)i);
    for (int i = 0; i < 3; i++) { void *r; pthread_join(threads[i], &r); failures += (long)r; }
    printf("failures %ld\n", failures);
    return failures ? 1 : 5;
}
