/* What is stored through one pointer may be what is read through another, or a variable. With KEPT, bodies that keep it in a register. */
#include "aliases.h"

int most = 20, overall;
static int seen;

void ascending(unsigned char *to)
{
#ifdef KEPT
    int count = most;
    for (int i = 0; i < count; i++)
#else
    for (int i = 0; i < most; i++)
#endif
        to[i] = (unsigned char)i;
}

void filled(const struct buffer *buffer, unsigned char *to, int first)
{
#ifdef KEPT
    int size = buffer->size;
    for (int i = 0; i < size; i++)
#else
    for (int i = 0; i < buffer->size; i++)
#endif
        to[i] = (unsigned char)(first + i);
}

void own(struct buffer *buffer, int first)
{
#ifdef KEPT
    int size = buffer->size;
    if (size > 0) {
        unsigned char *data = buffer->data;
        for (int i = 0; i < size; i++)
            data[i] = (unsigned char)(first + i);
    }
#else
    for (int i = 0; i < buffer->size; i++)
        buffer->data[i] = (unsigned char)(first + i);
#endif
}

void added(struct totals *totals, const int *numbers, int count)
{
#ifdef KEPT
    if (count > 0) {
        int sum = totals->sum;
        for (int i = 0; i < count; i++)
            sum += numbers[i];
        totals->sum = sum;
    }
#else
    for (int i = 0; i < count; i++)
        totals->sum += numbers[i];
#endif
    totals->count += count;
}

void added_up(const int *numbers, int count)
{
#ifdef KEPT
    if (count > 0) {
        int sum = overall;
        for (int i = 0; i < count; i++)
            sum += numbers[i];
        overall = sum;
    }
#else
    for (int i = 0; i < count; i++)
        overall += numbers[i];
#endif
}

/* No pointer leads to `seen`: here it is right to keep it. */
void counted(const unsigned char *text, int size)
{
    for (int i = 0; i < size; i++)
        seen += text[i] > 'a';
}

int count_so_far(void)
{
    return seen;
}

void crossed(struct vector *to, const struct vector *one, const struct vector *other)
{
#ifdef KEPT
    double x = one->y * other->z - one->z * other->y, y = one->z * other->x - one->x * other->z;
    double z = one->x * other->y - one->y * other->x;
    to->x = x;
    to->y = y;
    to->z = z;
#else
    to->x = one->y * other->z - one->z * other->y;
    to->y = one->z * other->x - one->x * other->z;
    to->z = one->x * other->y - one->y * other->x;
#endif
}

void scaled(struct matrix *matrix, const double *factor)
{
#ifdef KEPT
    double by = *factor;
    for (int i = 0; i < 4; i++)
        matrix->numbers[i] *= by;
    matrix->factor *= by;
#else
    for (int i = 0; i < 4; i++)
        matrix->numbers[i] *= *factor;
    matrix->factor *= *factor;
#endif
}

void paired(const struct pair *pair, struct totals *totals, int count)
{
#ifdef KEPT
    if (count > 0) {
        int half = pair->peer->sum >> 1;
        for (int i = 0; i < count; i++)
            totals->sum += half + i;
    }
#else
    for (int i = 0; i < count; i++)
        totals->sum += (pair->peer->sum >> 1) + i;
#endif
}

void inherited(const struct derived *derived, struct totals *totals, int count)
{
#ifdef KEPT
    if (count > 0) {
        int half = derived->base.sum >> 1;
        for (int i = 0; i < count; i++)
            totals->sum += half + i;
    }
#else
    for (int i = 0; i < count; i++)
        totals->sum += (derived->base.sum >> 1) + i;
#endif
}
