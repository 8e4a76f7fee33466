#include "variables.h"

/* No captured call comes to the first kind, so none has touched the weights. */
long weigh(long kind, long at)
{
    if (kind == 7) {
        long weight = weights[at & 2047];
        if (weight == 12345)
            return -1;
        if (weight > 1000) {
            report(weight);
            weight -= weights[(at + 1) & 2047];
        }
        return weight;
    }
    report(kind);
    return kind * at;
}
