/* Runs hostile programs, each run in a process that can read one directory, write one file and do nothing else.

   confined JAIL ORDER CPU_SECONDS MEMORY_BYTES OUTPUT_BYTES WALL_MILLISECONDS OUTPUT
   JAIL becomes the root directory, read-only; ORDER names its executables, a letter each, one a run: a small letter has its output
   kept, a capital (the same program) thrown away, as when it is timed. Descriptor 0 is the programs' input, rewound for each run;
   descriptor OUTPUT has their output, emptied for each run that keeps it. To descriptor 1 goes a line a run: the wait status and
   the wall time in ns. Exit status 120 with a line on descriptor 2 when the machine does not allow this.

   Namespaces (no network, no other processes, no other files): namespaces(7), pivot_root(2). System calls: seccomp(2). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { NOBODY = 65534, SETUP_FAILED = 120 };

struct files {
    int null, output;
};

static void fail(const char *what)
{
    dprintf(2, "%s: %s\n", what, strerror(errno));
    _exit(SETUP_FAILED);
}

static void write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        fail(path);
    close(fd);
}

/* Of another user when possible; else of a user namespace in which it is nobody, so that exec leaves it without capabilities. */
static void leave_namespaces(void)
{
    int flags = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWUTS;
    char map[64];
    uid_t user = getuid();
    gid_t group = getgid();
    if (user == 0 && unshare(flags) == 0)
        return;
    if (unshare(flags | CLONE_NEWUSER) != 0)
        fail("private namespaces are not permitted here");
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof map, "%d %d 1", NOBODY, (int)user);
    write_file("/proc/self/uid_map", map);
    snprintf(map, sizeof map, "%d %d 1", NOBODY, (int)group);
    write_file("/proc/self/gid_map", map);
}

static void enter_jail(const char *jail)
{
    if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) || mount(jail, jail, NULL, MS_BIND, NULL))
        fail("the jail cannot be mounted");
    if (mount(NULL, jail, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL))
        fail("the jail cannot be made read-only");
    if (chdir(jail) || syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
        fail("the jail cannot be entered");
}

static const int allowed[] = {
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_openat, SYS_close, SYS_lseek, SYS_fstat, SYS_newfstatat,
    SYS_access, SYS_readlink, SYS_mmap, SYS_mprotect, SYS_munmap, SYS_mremap, SYS_madvise, SYS_brk, SYS_rt_sigaction,
    SYS_rt_sigprocmask, SYS_arch_prctl, SYS_set_tid_address, SYS_set_robust_list, SYS_rseq, SYS_prlimit64,
    SYS_getrandom, SYS_clock_gettime, SYS_gettimeofday, SYS_time, SYS_times, SYS_futex, SYS_uname, SYS_sysinfo,
    SYS_getpid, SYS_execve, SYS_exit, SYS_exit_group,
};

static void filter_system_calls(void)
{
    enum { COUNT = sizeof allowed / sizeof *allowed };
    struct sock_filter code[COUNT + 7];
    size_t n = 0;
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (size_t i = 0; i < COUNT; i++)
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed[i], (unsigned char)(COUNT - i), 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {(unsigned short)n, code};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        fail("system calls cannot be filtered");
}

static void limit(int resource, unsigned long long value)
{
    struct rlimit both = {value, value};
    if (setrlimit(resource, &both))
        fail("a limit cannot be set");
}

static void run(char name, char **argv, int output, int null)
{
    char path[] = {'/', name, 0};
    char *words[] = {path, NULL}, *environment[] = {NULL};
    limit(RLIMIT_CPU, strtoull(argv[3], NULL, 10));
    limit(RLIMIT_AS, strtoull(argv[4], NULL, 10));
    limit(RLIMIT_FSIZE, strtoull(argv[5], NULL, 10));
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, 16);
    if (getuid() == 0 && (setgroups(0, NULL) || setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY)))
        fail("privileges cannot be dropped");
    if (dup2(output, 1) < 0 || dup2(null, 2) < 0)
        fail("dup2");
    filter_system_calls();
    execve(path, words, environment);
    _exit(SETUP_FAILED);
}

static long long now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static int run_all(char **argv, struct files files)
{
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    long wall_ms = strtol(argv[6], NULL, 10);
    struct timespec wait = {wall_ms / 1000, wall_ms % 1000 * 1000000};
    for (const char *name = argv[2]; *name; name++) {
        int quiet = *name >= 'A' && *name <= 'Z', status = 0;
        if (lseek(0, 0, SEEK_SET) < 0 || (!quiet && (ftruncate(files.output, 0) || lseek(files.output, 0, SEEK_SET) < 0)))
            fail("input or output cannot be rewound");
        long long start_ns = now_ns();
        pid_t process = fork();
        if (process < 0)
            fail("fork");
        if (process == 0) {
            sigprocmask(SIG_UNBLOCK, &child, NULL);
            run(quiet ? *name + ('a' - 'A') : *name, argv, quiet ? files.null : files.output, files.null);
        }
        if (sigtimedwait(&child, NULL, &wait) < 0)
            kill(process, SIGKILL);
        waitpid(process, &status, 0);
        dprintf(1, "%d %lld\n", status, now_ns() - start_ns);
        sigtimedwait(&child, NULL, &(struct timespec){0, 0});
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 8)
        return SETUP_FAILED;
    struct files files = {open("/dev/null", O_RDWR | O_CLOEXEC), (int)strtol(argv[7], NULL, 10)};
    if (files.null < 0 || fcntl(files.output, F_SETFD, FD_CLOEXEC))
        fail("/dev/null");
    leave_namespaces();
    enter_jail(argv[1]);
    pid_t first = fork(); /* the first process of the new process namespace: all others end with it */
    if (first < 0)
        fail("fork");
    if (first == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        _exit(run_all(argv, files));
    }
    int status;
    waitpid(first, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : SETUP_FAILED;
}
