/* Loads, calls and unloads two libraries in turn: the second lies where the first one was. */
#include <dlfcn.h>
#include <stdio.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
int main(int count, char **names)
{
    long s = 0;
    void *last = 0;
    int same = 0;
    int fd = open(names[1], O_RDONLY); /* reading a library's file is not loading it */
    mmap(0, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
    for (int round = 0; round < 30; round++)
        for (int i = 1; i < count; i++) {
            void *library = dlopen(names[i], RTLD_LAZY);
            long (*entry)(long) = (long (*)(long))dlsym(library, "entry");
            same += (void *)entry == last;
            last = (void *)entry;
            for (int k = 0; k < 20000000; k++) s += entry(k);
            dlclose(library);
        }
    printf("%ld\n", s);
    return same > 0 ? 4 : 6;
}
