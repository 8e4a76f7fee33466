/* What callees may have changed, and what is passed to them, where nothing but their own code says what they take. */
#include "callees.h"

long all;

int tally(int value)
{
    all += value;
#if WRONG == 1 /* keeps what work() may change */
    long kept = all;
    int done = work(value);
    return (int)kept + done;
#else
    int done = work(value);
    return (int)all + done;
#endif
}

int notify(struct observer *observer, int value)
{
#if WRONG == 2 /* loses an update that the callback makes */
    long before = observer->sum;
    int said = observer->told(observer, value);
    observer->sum = before + said;
#elif WRONG == 3 /* another argument for a callback */
    int said = observer->told(observer, value & 0xffff);
    observer->sum += said;
#else
    int said = observer->told(observer, value);
    observer->sum += said;
#endif
    return said;
}

int limited(int value)
{
    if (value > 1000)
#if WRONG == 4 /* another number for a format */
        report("%d is more than %d", value & 0x3ff, 1000);
#else
        report("%d is more than %d", value, 1000);
#endif
    return value > 1000 ? 1000 : value;
}

int old_style(int value)
{
#if WRONG == 5 /* another argument where no prototype says that there is one */
    return unprototyped(value & 0x7fff) + value;
#else
    return unprototyped(value) + value;
#endif
}
