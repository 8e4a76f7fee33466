#include "inc/h.h"
template <class T> T twice(T value) { return value + value; }
extern "C" unsigned hello(unsigned value)
{
    try {
        if (value > LIMIT)
            throw twice(value);
    } catch (unsigned caught) {
        return caught;
    }
    return twice(value);
}
