/* Functions with blocks behind calls that a verified run cannot make: output, allocation, reading, callbacks, assert. */
#include "outside.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int collect(struct sink *sink, const unsigned char *data, int count)
{
    int sum = 0;
    if (count < 0)
        fail("negative", count);
    if (sink->verbosity > 2)
        fprintf(stderr, "collecting %d bytes after %ld\n", count, sink->total);
    for (int i = 0; i < count; i++)
        sum += data[i];
    if (sink->filter)
        sum = sink->filter(sink, sum) + sink->used;
    sink->total += sum;
    if (sink->verbosity > 3)
        fprintf(stderr, "done: %s\n", sum ? "some" : "none");
    return sum;
}

int checked(const struct sink *sink, int at)
{
    assert(at >= 0 && at < sink->room);
    return sink->memory[at];
}

int reserve(struct sink *sink, int wanted)
{
    if (wanted <= sink->room)
        return 0;
    unsigned char *memory = malloc((size_t)wanted * 2);
    if (!memory)
        return -1;
    free(sink->memory);
    sink->memory = memory;
    sink->room = wanted * 2;
    return 1;
}

int drain(struct sink *sink, int descriptor)
{
    int header[2];
    if (sink->room < 4)
        return -3;
    long got = read(descriptor, header, sizeof header);
    if (got < 0)
        return -1;
    if (got != sizeof header)
        return -2;
    sink->used = header[0];
    return header[1] > 7 ? header[1] : 7;
}

int two_notes(struct sink *sink, int value)
{
    sink->used = value;
    if (value > 100) {
        note_first(sink, value + 1);
        sink->used = value + 2;
        note_second(sink, value + 3);
    }
    return sink->used;
}
