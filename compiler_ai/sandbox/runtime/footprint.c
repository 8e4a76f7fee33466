#include "footprint.h"

#define MAP_BYTES (PAGE_BYTES / 8)
#define MAX_PAGES 32768UL /* 128 MiB of touched memory */
#define SLOTS (4 * MAX_PAGES)
#define STACK_BYTES (8UL << 20)
#define RED_ZONE_BYTES 128
#define FLAGS_IN_BLOCK 128UL /* conditions whose marks share a block */
#define FLAGS_BLOCK_BYTES 65536UL

/* sandbox/footprint.py holds the same layouts and numbers. */
struct plan {
    uint64_t log_low, log_high, pointer_address, marks_address, mark_count, hidden_low, hidden_high, text_low, text_high;
    uint64_t max_entries, place_count, copy_count, callee_count, flags_address, flags_count, counter_address;
};

enum place_kind { PLACE_ACCESS, PLACE_STACK, PLACE_COUNT, PLACE_ARGUMENT, PLACE_CALL, PLACE_UNKNOWN };
enum place_flags { READS = 1, WRITES = 2, SETS_STACK = 4, COUNTED = 8 };
enum callee_kind { CALLEE_COPIES = 1, CALLEE_FILLS = 2, CALLEE_COMPARES = 3, CALLEE_COMPUTES = 4 };

struct place {
    uint32_t kind, flags;
    uint64_t size_bytes, base;
    int64_t stack_delta;
};

struct pair {
    uint64_t key, value;
};

struct log_entry {
    uint64_t value;
    uint32_t place, unused;
};

struct page_map {
    uint64_t address;
    unsigned char reads[MAP_BYTES], writes[MAP_BYTES];
};

/* One more than can be used: bits are set eight bytes at a time. */
#define PAGE_MAPS_BYTES ((MAX_PAGES + 1) * sizeof(struct page_map))

struct footprint {
    const struct plan *plan;
    const struct place *places;
    const struct pair *copies, *callees;
    struct page_map *pages;
    uint32_t *slots; /* number of a page map + 1, by a hash of its address */
    struct page_map *latest;
    struct page_map **nearest; /* by place: the page that it accessed last, mostly the one that it accesses next */
    char *log; /* a copy of the child's */
    uint32_t *flags; /* by condition: one bit for each combination of the status flags that was seen there */
    uint64_t page_count, entries, stack, lowest_stack, below_red_zone, count, arguments[3], unknown, left_for;
    int exhausted;
};

struct report {
    uint64_t entries, lowest_stack, below_red_zone, unknown, left_for, page_count, reserved[2];
};

static size_t flags_bytes(const struct plan *plan)
{
    return plan->flags_count * sizeof(uint32_t) + 8;
}

static size_t nearest_bytes(const struct plan *plan)
{
    return (plan->place_count + 1) * sizeof(struct page_map *);
}

struct footprint *footprint_new(struct cursor *from, uint64_t stack_pointer)
{
    const struct plan *plan = take(from, sizeof *plan);
    if (!plan || plan->place_count > 1 << 24 || plan->flags_count > 1 << 20 || plan->copy_count > 1 << 24
        || plan->callee_count > 1 << 16 || plan->mark_count > 1 << 24 || plan->log_high <= plan->log_low || plan->log_high - plan->log_low > 1 << 26)
        return NULL;
    struct footprint *made = pages_allocate(sizeof *made);
    if (!made)
        return NULL;
    made->plan = plan;
    made->places = take(from, plan->place_count * sizeof *made->places);
    made->copies = take(from, plan->copy_count * sizeof *made->copies);
    made->callees = take(from, plan->callee_count * sizeof *made->callees);
    made->pages = pages_allocate(PAGE_MAPS_BYTES);
    made->nearest = pages_allocate(nearest_bytes(plan));
    made->slots = pages_allocate(SLOTS * sizeof *made->slots);
    made->log = pages_allocate(plan->log_high - plan->log_low);
    made->flags = pages_allocate(flags_bytes(plan));
    made->stack = made->lowest_stack = stack_pointer;
    if (from->failed || !made->pages || !made->nearest || !made->slots || !made->log || !made->flags) {
        footprint_free(made);
        return NULL;
    }
    return made;
}

void footprint_free(struct footprint *footprint)
{
    if (!footprint)
        return;
    pages_free(footprint->pages, PAGE_MAPS_BYTES);
    pages_free(footprint->nearest, nearest_bytes(footprint->plan));
    pages_free(footprint->slots, SLOTS * sizeof *footprint->slots);
    pages_free(footprint->log, footprint->plan->log_high - footprint->plan->log_low);
    pages_free(footprint->flags, flags_bytes(footprint->plan));
    pages_free(footprint, sizeof *footprint);
}

static struct page_map *page_of(struct footprint *footprint, uint64_t address)
{
    if (footprint->latest && footprint->latest->address == address)
        return footprint->latest;
    uint64_t slot = (address / PAGE_BYTES * 0x9E3779B97F4A7C15UL) >> 32;
    for (;; slot++) {
        uint32_t number = footprint->slots[slot % SLOTS];
        if (!number)
            break;
        if (footprint->pages[number - 1].address == address)
            return footprint->latest = &footprint->pages[number - 1];
    }
    if (footprint->page_count == MAX_PAGES)
        return NULL;
    struct page_map *page = &footprint->pages[footprint->page_count++];
    page->address = address;
    footprint->slots[slot % SLOTS] = (uint32_t)footprint->page_count;
    return footprint->latest = page;
}

static void bits_set(unsigned char *map, unsigned from, unsigned to)
{
    for (; from < to && from % 8; from++)
        map[from / 8] |= (unsigned char)(1u << from % 8);
    if (to - from >= 8) {
        memset(map + from / 8, 0xff, (to - from) / 8);
        from += (to - from) & ~7u;
    }
    for (; from < to; from++)
        map[from / 8] |= (unsigned char)(1u << from % 8);
}

static void accessed(struct footprint *footprint, uint64_t address, uint64_t size, uint32_t flags)
{
    if (size > MAX_PAGES * PAGE_BYTES || address + size < address) {
        footprint->exhausted = 1;
        return;
    }
    if (address < footprint->plan->hidden_high && address + size > footprint->plan->hidden_low)
        footprint->unknown = 1; /* the log cannot be trusted any more */
    while (size) {
        struct page_map *page = page_of(footprint, address & ~(PAGE_BYTES - 1));
        if (!page) {
            footprint->exhausted = 1;
            return;
        }
        uint64_t from = address % PAGE_BYTES, length = PAGE_BYTES - from;
        if (length > size)
            length = size;
        if (flags & READS)
            bits_set(page->reads, (unsigned)from, (unsigned)(from + length));
        if (flags & WRITES)
            bits_set(page->writes, (unsigned)from, (unsigned)(from + length));
        address += length;
        size -= length;
    }
}

static void stack_moves(struct footprint *footprint, uint64_t to)
{
    footprint->stack = to;
    if (to < footprint->lowest_stack)
        footprint->lowest_stack = to;
}

static uint64_t look_up(const struct pair *pairs, uint64_t count, uint64_t key)
{
    uint64_t low = 0, high = count;
    while (low < high) {
        uint64_t middle = low + (high - low) / 2;
        if (pairs[middle].key < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && pairs[low].key == key ? pairs[low].value : 0;
}

static void left(struct footprint *footprint, uint64_t target, int64_t stack_delta)
{
    const uint64_t *argument = footprint->arguments; /* rdi, rsi, rdx */
    if (target >= footprint->plan->text_low && target < footprint->plan->text_high)
        return; /* it stays inside */
    footprint->stack += (uint64_t)stack_delta;
    switch (look_up(footprint->callees, footprint->plan->callee_count, target)) {
    case CALLEE_COPIES:
        accessed(footprint, argument[1], argument[2], READS);
        accessed(footprint, argument[0], argument[2], WRITES);
        break;
    case CALLEE_FILLS:
        accessed(footprint, argument[0], argument[2], WRITES);
        break;
    case CALLEE_COMPARES:
        accessed(footprint, argument[0], argument[2], READS);
        accessed(footprint, argument[1], argument[2], READS);
        break;
    case CALLEE_COMPUTES:
        break;
    default:
        footprint->left_for = target;
    }
}

/* For at most 64 bits, counted from a byte of the map; what lies behind the map stays as it is. */
static void bits_set_at_once(unsigned char *map, unsigned from, uint64_t count)
{
    uint64_t bits;
    __builtin_memcpy(&bits, map + from / 8, sizeof bits);
    bits |= (count == 64 ? ~0UL : (1UL << count) - 1) << from % 8;
    __builtin_memcpy(map + from / 8, &bits, sizeof bits);
}

/* `accessed` for the common access: small, inside of one page, and that the page where this place was last. */
static void place_accessed(struct footprint *footprint, uint32_t number, uint64_t address, uint64_t size, uint32_t flags)
{
    struct page_map *page = footprint->nearest[number];
    unsigned from = address % PAGE_BYTES;
    if (!page || page->address != address - from || !size || size + from % 8 > 64 || from + size > PAGE_BYTES) {
        accessed(footprint, address, size, flags);
        footprint->nearest[number] = size ? footprint->latest : NULL;
        return;
    }
    if (flags & READS)
        bits_set_at_once(page->reads, from, size);
    if (flags & WRITES)
        bits_set_at_once(page->writes, from, size);
}

static void entry_take(struct footprint *footprint, const struct log_entry *entry)
{
    if (entry->place >= footprint->plan->place_count) {
        footprint->unknown = 1;
        return;
    }
    const struct place *place = &footprint->places[entry->place];
    uint64_t value = entry->value + place->base;
    switch (place->kind) {
    case PLACE_ACCESS:
        place_accessed(footprint, entry->place, value,
                       place->size_bytes * (place->flags & COUNTED ? footprint->count : 1), place->flags);
        if (place->flags & SETS_STACK)
            stack_moves(footprint, value + (uint64_t)place->stack_delta);
        else if (place->flags & WRITES && value > footprint->stack - STACK_BYTES && value < footprint->stack - RED_ZONE_BYTES)
            footprint->below_red_zone = value;
        break;
    case PLACE_STACK:
        stack_moves(footprint, entry->value);
        break;
    case PLACE_COUNT:
        footprint->count = entry->value;
        break;
    case PLACE_ARGUMENT:
        footprint->arguments[0] = footprint->arguments[1];
        footprint->arguments[1] = footprint->arguments[2];
        footprint->arguments[2] = entry->value;
        break;
    case PLACE_CALL:
        left(footprint, place->base ? place->base : entry->value, place->stack_delta);
        break;
    default:
        footprint->unknown = 1;
    }
}

/* Takes the log's entries from its start to `end`. */
static int log_take(struct footprint *footprint, const struct child *child, uint64_t end)
{
    uint64_t low = footprint->plan->log_low;
    if (end < low || end > footprint->plan->log_high || (end - low) % sizeof(struct log_entry)
        || child_read(child, low, footprint->log, end - low) < 0)
        return -1;
    const struct log_entry *entries = (const struct log_entry *)footprint->log;
    uint64_t count = (end - low) / sizeof *entries;
    for (uint64_t i = 0; i < count && !footprint->exhausted; i++)
        entry_take(footprint, &entries[i]);
    footprint->entries += count;
    if (footprint->entries > footprint->plan->max_entries)
        footprint->exhausted = 1;
    return 0;
}

/* The store that found the log full starts again at the log's beginning: its address is in rcx. */
static int log_is_full(struct footprint *footprint, const struct child *child, struct user_regs_struct *registers)
{
    if (log_take(footprint, child, footprint->plan->log_high) < 0 || footprint->exhausted)
        return 0;
    registers->rcx = footprint->plan->log_low;
    return child_set_registers(child, registers) == 0;
}

int footprint_takes(struct footprint *footprint, const struct child *child, struct stop stop)
{
    struct user_regs_struct registers;
    siginfo_t info;
    memset(&info, 0, sizeof info);
    if (stop.event != EVENT_STOPPED || stop.signal != 11 || child_get_siginfo(child, &info) < 0
        || child_get_registers(child, &registers) < 0)
        return 0;
    uint64_t address = (uint64_t)info.si_addr;
    if (address == footprint->plan->log_high && registers.rcx == address)
        return log_is_full(footprint, child, &registers);
    if (registers.rip < footprint->plan->text_low || registers.rip >= footprint->plan->text_high || address != registers.rip)
        return 0;
    uint64_t copy = look_up(footprint->copies, footprint->plan->copy_count, registers.rip);
    if (!copy || ++footprint->entries > footprint->plan->max_entries)
        return 0;
    registers.rip = copy;
    return child_set_registers(child, &registers) == 0;
}

int footprint_is_exhausted(const struct footprint *footprint)
{
    return footprint->exhausted || footprint->entries > footprint->plan->max_entries;
}

int footprint_hides(const struct footprint *footprint, uint64_t address)
{
    return address >= footprint->plan->hidden_low && address < footprint->plan->hidden_high;
}

/* What lahf leaves in a byte: carry, parity, auxiliary carry (of no interest), zero and sign, and bit 1. */
#define LAHF_BITS 0xd7u

/* Carry, parity, zero and sign, with overflow, as a number. */
static unsigned flags_combination(unsigned lahf, unsigned overflow)
{
    return (lahf & 1) | (lahf >> 1 & 2) | (lahf >> 4 & 4) | (lahf >> 4 & 8) | overflow << 4;
}

/* The marks that verify/logcode.py's mark_flags makes: a byte for each condition and each content of ah and al. */
static int flags_take(struct footprint *footprint, const struct child *child)
{
    static unsigned char row[2 * FLAGS_IN_BLOCK];
    for (uint64_t first = 0; first < footprint->plan->flags_count; first += FLAGS_IN_BLOCK) {
        uint64_t block = footprint->plan->flags_address + first / FLAGS_IN_BLOCK * FLAGS_BLOCK_BYTES;
        for (unsigned lahf = 2; lahf <= LAHF_BITS; lahf++) {
            if ((lahf & ~LAHF_BITS) || !(lahf & 2))
                continue;
            if (child_read(child, block + lahf * sizeof row, row, sizeof row) < 0)
                return -1;
            for (uint64_t i = 0; i < FLAGS_IN_BLOCK && first + i < footprint->plan->flags_count; i++)
                for (unsigned overflow = 0; overflow < 2; overflow++)
                    if (row[2 * i + overflow])
                        footprint->flags[first + i] |= 1u << flags_combination(lahf, overflow);
        }
    }
    return 0;
}

static void conditions_finish(struct footprint *footprint, const struct child *child)
{
    uint64_t left = 0;
    if (child_read(child, footprint->plan->counter_address, &left, 8) < 0 || left > footprint->plan->max_entries
        || flags_take(footprint, child) < 0)
        footprint->exhausted = 1;
    footprint->entries += footprint->plan->max_entries - left;
    footprint->exhausted |= !left;
}

void footprint_finish(struct footprint *footprint, const struct child *child)
{
    uint64_t end = 0;
    if (footprint->plan->flags_count) {
        conditions_finish(footprint, child);
        return;
    }
    if (!footprint->exhausted
        && (child_read(child, footprint->plan->pointer_address, &end, 8) < 0 || log_take(footprint, child, end) < 0))
        footprint->exhausted = 1;
}

const char *footprint_report(const struct footprint *footprint, const struct child *child, struct buffer *reply)
{
    struct report *report = buffer_extend(reply, sizeof *report);
    if (!report)
        return "out of memory";
    *report = (struct report){footprint->entries, footprint->lowest_stack, footprint->below_red_zone, footprint->unknown,
                              footprint->left_for, footprint->page_count, {0, 0}};
    buffer_extend(reply, footprint->plan->mark_count);
    char *flags = buffer_extend(reply, footprint->plan->flags_count * sizeof *footprint->flags);
    if (!flags)
        return "out of memory";
    memcpy(flags, footprint->flags, footprint->plan->flags_count * sizeof *footprint->flags);
    char *pages = buffer_extend(reply, footprint->page_count * sizeof *footprint->pages);
    if (reply->failed)
        return "out of memory";
    memcpy(pages, footprint->pages, footprint->page_count * sizeof *footprint->pages);
    char *marks = pages - ((footprint->plan->flags_count * sizeof *footprint->flags + 7) & ~7UL)
                  - ((footprint->plan->mark_count + 7) & ~7UL);
    return child_read(child, footprint->plan->marks_address, marks, footprint->plan->mark_count) < 0
               ? "cannot read the marks"
               : NULL;
}
