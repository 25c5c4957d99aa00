#include "query/failures_priv.h"

#include "base/hash.h"
#include "query/query_priv.h"

/* Arrays of one element a row; of rows that share an id the first stands for all. */
struct fold {
    const struct query_failure *said;
    const struct failed_row *rows;
    uint32_t n;
    uint32_t *slots; /* trace and span id → row + 1 */
    size_t mask;
    uint32_t *same, *parent, *pending, *height, *queue;
    uint32_t *origins;
};

static uint64_t hash_of(const struct failed_row *r, uint64_t span_id) {
    uint64_t trace[2];
    memcpy(trace, r->trace_id, sizeof trace);
    return hash_keyed(hash_keyed(trace[0], trace[1]), span_id);
}

/* The slot of an id in the trace of `r`: free if no failed span has it. */
static size_t slot_of(const struct fold *f, const struct failed_row *r, uint64_t span_id) {
    size_t at = hash_of(r, span_id) & f->mask;
    for (; f->slots[at]; at = (at + 1) & f->mask) {
        const struct failed_row *other = &f->rows[f->slots[at] - 1];
        if (other->span_id == span_id && memcmp(other->trace_id, r->trace_id, 16) == 0) break;
    }
    return at;
}

static void index_rows(struct fold *f) {
    for (uint32_t i = 0; i < f->n; i++) {
        size_t at = slot_of(f, &f->rows[i], f->rows[i].span_id);
        if (!f->slots[at]) f->slots[at] = i + 1;
        f->same[i] = f->slots[at] - 1;
    }
}

/* A caller that is apart is a parent where no failed span is nearer to it. */
static void link_rows(struct fold *f) {
    uint32_t *called_failed = f->queue; /* not needed yet */
    memset(called_failed, 0, f->n * sizeof *called_failed);
    for (uint32_t i = 0; i < f->n; i++) {
        const struct failed_row *r = &f->rows[i];
        f->parent[i] = FAILURE_NONE;
        if (f->same[i] != i || !r->parent_id || r->parent_id == r->span_id) continue;
        uint32_t found = f->slots[slot_of(f, r, r->parent_id)];
        if (!found) continue;
        f->parent[i] = found - 1;
        f->pending[found - 1]++;
        called_failed[found - 1] = true;
    }
    for (uint32_t i = 0; i < f->n; i++) {
        uint32_t caller = f->origins[i];
        f->origins[i] = i;
        if (caller == FAILURE_NONE || f->same[i] != i || f->parent[i] != FAILURE_NONE) continue;
        caller = f->same[caller];
        if (called_failed[caller]) continue;
        f->parent[i] = caller;
        f->pending[caller]++;
    }
}

/* ---- what a caller that is apart says ----------------------------------------------------------------------------- */

enum { CODE_DIGITS = 3, REPEAT_BYTES_MAX = 64 };

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool is_code(struct str error) {
    for (size_t i = 0; i < error.n; i++)
        if (!is_digit(error.p[i])) return false;
    return true;
}

/* "HTTP 402", "Request failed with status code 402": short, and the code stands there as a number of its own. */
static bool repeats_code(struct str message, struct str code) {
    if (code.n != CODE_DIGITS || message.n > REPEAT_BYTES_MAX) return false;
    for (size_t i = 0; i + code.n <= message.n; i++) {
        size_t end = i + code.n;
        bool begins = i == 0 || !is_digit(message.p[i - 1]), ends = end == message.n || !is_digit(message.p[end]);
        if (begins && ends && memcmp(message.p + i, code.p, code.n) == 0) return true;
    }
    return false;
}

static bool says_nothing_more(const struct query_failure *f, const struct query_failure *origin) {
    if (f->error.n && !is_code(f->error) && !str_equal(f->error, origin->error)) return false;
    if (!f->message.n || str_equal(f->message, origin->message)) return true;
    return is_code(f->error) && repeats_code(f->message, f->error);
}

static bool may_pass(const struct fold *f, uint32_t child, uint32_t parent) {
    const struct failed_row *c = &f->rows[child], *p = &f->rows[parent], *origin = &f->rows[f->origins[child]];
    if (c->parent_id == p->span_id) return true;
    if (p->group == FAILURE_NONE || origin->group == FAILURE_NONE) return false;
    return says_nothing_more(&f->said[p->group], &f->said[origin->group]);
}

/* ---- from below --------------------------------------------------------------------------------------------------- */

/* The deeper chain explains a span, of two equal ones that which began earlier. */
static bool explains(const struct fold *f, uint32_t child, uint32_t parent) {
    if (f->origins[parent] == parent || f->height[child] + 1 > f->height[parent]) return true;
    return f->height[child] + 1 == f->height[parent] &&
           f->rows[f->origins[child]].time < f->rows[f->origins[parent]].time;
}

/* From below: a span after all failed spans that it called. What is on a ring is never reached, and stays its own origin. */
static void climb(struct fold *f) {
    uint32_t head = 0, tail = 0;
    for (uint32_t i = 0; i < f->n; i++)
        if (f->same[i] == i && f->pending[i] == 0) f->queue[tail++] = i;
    while (head < tail) {
        uint32_t i = f->queue[head++], parent = f->parent[i];
        if (parent == FAILURE_NONE) continue;
        if (may_pass(f, i, parent) && explains(f, i, parent)) {
            f->origins[parent] = f->origins[i];
            f->height[parent] = f->height[i] + 1;
        }
        if (--f->pending[parent] == 0) f->queue[tail++] = parent;
    }
    for (uint32_t i = 0; i < f->n; i++)
        if (f->same[i] == i && f->pending[i] > 0) f->origins[i] = i;
    for (uint32_t i = 0; i < f->n; i++) {
        uint32_t origin = f->origins[f->same[i]];
        f->origins[i] = origin == f->same[i] ? i : origin; /* a row that came twice is an origin twice */
    }
}

err failures_fold(struct query *q, const struct query_failure *said, const struct failed_row *rows, uint32_t n,
                  uint32_t *origins) {
    struct fold f = {.said = said, .rows = rows, .n = n, .mask = 64, .origins = origins};
    while (f.mask < (size_t)n * 2) f.mask *= 2;
    uint64_t bytes = f.mask * sizeof *f.slots + 5 * (uint64_t)(n + 1) * sizeof(uint32_t);
    TRY(query_charge(q, bytes));
    f.slots = mem_new_array(uint32_t, f.mask);
    f.same = mem_new_array(uint32_t, 5 * ((size_t)n + 1));
    f.parent = f.same + n;
    f.pending = f.parent + n;
    f.height = f.pending + n;
    f.queue = f.height + n;
    f.mask--;
    index_rows(&f);
    link_rows(&f);
    climb(&f);
    mem_free(f.slots);
    mem_free(f.same);
    query_discharge(q, bytes);
    return query_check(q);
}
