#include "methods.h"

/* Reads until there is no more, or no room; what the methods make of all that they are told is theirs to know. */
long slurp(struct stream *stream, char *out, long room)
{
    long got = 0;
    int tries = 0;
    while (got < room) {
        long size = stream->methods->read(stream, out + got, room - got, tries);
        if (size < 0)
            return size;
        if (!size) {
            if (++tries > 2)
                break;
            continue;
        }
        if (stream->flags & 2)
            stream->methods->note(stream, 0.5 * got, tries + 5);
        got += size;
    }
    if (stream->tell)
        stream->tell(stream, got, room);
    if (stream->flags & 4)
        stream->methods->close(stream);
    return got;
}
