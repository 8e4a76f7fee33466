#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(void)
{
    char what[32] = "";
    if (scanf("%31s", what) != 1)
        return 9;
    if (!strcmp(what, "read"))
        printf("%d", open("/etc/passwd", O_RDONLY) < 0 && open("/proc/self/environ", O_RDONLY) < 0);
    else if (!strcmp(what, "write"))
        printf("%d", open("/lib/x86_64-linux-gnu/libc.so.6", O_WRONLY) < 0 && open("/new", O_CREAT | O_WRONLY, 0600) < 0);
    else if (!strcmp(what, "network"))
        printf("%d", socket(AF_INET, SOCK_STREAM, 0) < 0 && socket(AF_UNIX, SOCK_STREAM, 0) < 0);
    else if (!strcmp(what, "fork"))
        printf("%d", fork() < 0 && vfork() < 0);
    else if (!strcmp(what, "kill"))
        printf("%d", kill(1, SIGKILL) < 0 && kill(-1, SIGKILL) < 0);
    else if (!strcmp(what, "memory"))
        printf("%d", malloc(1UL << 40) == NULL);
    else if (!strcmp(what, "endless"))
        for (;;)
            ;
    else if (!strcmp(what, "sleep")) /* waiting for an input that never comes costs no CPU time */
        for (;;)
            pause();
    else if (!strcmp(what, "output"))
        for (;;)
            puts("and so on");
    else if (!strcmp(what, "fault"))
        *(volatile int *)8 = 1;
    return 3;
}
