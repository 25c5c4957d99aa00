#include "store/series/samples.h"
#include "base/hash.h"
#include "store/series/values_priv.h"

void samples_init(struct samples *s, size_t histogram_bytes_max) {
    *s = (struct samples){0};
    arena_init(&s->arena, histogram_bytes_max);
}

static void free_arrays(struct samples *s) {
    mem_free(s->times_ns);
    mem_free(s->values);
    mem_free(s->starts_ns);
    mem_free(s->histograms);
}

void samples_done(struct samples *s) {
    free_arrays(s);
    arena_done(&s->arena);
    *s = (struct samples){0};
}

void samples_clear(struct samples *s) {
    s->n = 0;
    s->times_id = 0;
    s->may_fall = s->may_nan = false;
    mem_free(s->starts_ns);
    mem_free(s->histograms);
    s->starts_ns = NULL;
    s->histograms = NULL;
    arena_clear(&s->arena);
}

void samples_reserve(struct samples *s, uint32_t more) {
    if (s->n + more <= s->capacity) return;
    s->capacity = MAX(s->n + more, s->capacity + s->capacity / 2) + 256;
    s->times_ns = mem_grow(s->times_ns, s->capacity * sizeof *s->times_ns);
    s->values = mem_grow(s->values, s->capacity * sizeof *s->values);
    if (s->starts_ns) s->starts_ns = mem_grow(s->starts_ns, s->capacity * sizeof *s->starts_ns);
    if (s->histograms) s->histograms = mem_grow(s->histograms, s->capacity * sizeof *s->histograms);
}

void samples_make_starts(struct samples *s) {
    if (s->starts_ns) return;
    s->starts_ns = mem_grow(NULL, (s->capacity + 1) * sizeof *s->starts_ns);
    memset(s->starts_ns, 0, (s->capacity + 1) * sizeof *s->starts_ns);
}

void samples_make_histograms(struct samples *s) {
    if (s->histograms) return;
    s->histograms = mem_grow(NULL, (s->capacity + 1) * sizeof *s->histograms);
    memset(s->histograms, 0, (s->capacity + 1) * sizeof *s->histograms);
}

/* Whether a float at row i keeps the facts that hold before it. */
static void note_facts(struct samples *s, uint32_t i) {
    double v = s->values[i];
    s->may_nan |= v != v;
    s->may_fall |= v != v || (i && !(v >= s->values[i - 1]));
}

void samples_take_rows(struct samples *s, uint32_t count, uint8_t flags) {
    if (s->starts_ns) memset(s->starts_ns + s->n, 0, count * sizeof *s->starts_ns);
    if (s->histograms) memset(s->histograms + s->n, 0, count * sizeof *s->histograms);
    if (count) note_facts(s, s->n);
    s->may_nan |= (flags & VALUES_NAN) != 0;
    s->may_fall |= (flags & (VALUES_NAN | VALUES_RESETS)) != 0;
    s->times_id = 0;
    s->n += count;
}

uint64_t samples_times_id(struct samples *s) {
    if (s->n == 0) return 0;
    if (!s->times_id) s->times_id = hash_bytes_seed(s->times_ns, s->n * sizeof *s->times_ns, hash_secret[0]) | 1;
    return s->times_id;
}

static void add(struct samples *s, int64_t time_ns, double value, const struct histogram *h, int64_t start_ns) {
    samples_reserve(s, 1);
    if (start_ns) samples_make_starts(s);
    if (h) samples_make_histograms(s);
    s->times_ns[s->n] = time_ns;
    s->values[s->n] = value;
    if (s->starts_ns) s->starts_ns[s->n] = start_ns;
    if (s->histograms) s->histograms[s->n] = h;
    s->times_id = 0;
    note_facts(s, s->n++);
}

void samples_add(struct samples *s, int64_t time_ns, double value, int64_t start_ns) {
    add(s, time_ns, value, NULL, start_ns);
}

bool samples_add_histogram(struct samples *s, int64_t time_ns, const struct histogram *h, int64_t start_ns) {
    struct histogram *copy = arena_new(&s->arena, struct histogram);
    if (!copy || !histogram_copy(&s->arena, h, copy)) return false;
    add(s, time_ns, 0, copy, start_ns);
    return true;
}

bool samples_add_rows(struct samples *s, const struct samples *from, uint32_t first, uint32_t count) {
    samples_reserve(s, count);
    for (uint32_t i = first; i < first + count; i++) {
        const struct histogram *h = samples_histogram(from, i);
        if (h && !samples_add_histogram(s, from->times_ns[i], h, samples_start(from, i))) return false;
        if (!h) samples_add(s, from->times_ns[i], from->values[i], samples_start(from, i));
    }
    return true;
}

bool samples_merge(struct samples *s, const struct samples *later, struct samples *scratch) {
    if (later->n == 0) return true;
    if (s->n == 0 || later->times_ns[0] > s->times_ns[s->n - 1]) return samples_add_rows(s, later, 0, later->n);
    uint32_t i = 0, k = 0;
    samples_clear(scratch);
    while (i < s->n || k < later->n) {
        bool own = k == later->n || (i < s->n && s->times_ns[i] <= later->times_ns[k]);
        if (own && k < later->n && s->times_ns[i] == later->times_ns[k]) k++; /* the first wins */
        if (!samples_add_rows(scratch, own ? s : later, own ? i++ : k++, 1)) return false;
    }
    struct samples swap = *s;
    *s = *scratch;
    *scratch = swap;
    return true;
}

/* The first row at or after a time. */
static uint32_t row_at(const struct samples *s, int64_t time_ns) {
    uint32_t low = 0, high = s->n;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (s->times_ns[middle] < time_ns)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Takes out rows [first, end). */
static void cut_rows(struct samples *s, uint32_t first, uint32_t end) {
    if (first >= end) return;
    s->times_id = 0;
    size_t rest = s->n - end;
    memmove(s->times_ns + first, s->times_ns + end, rest * sizeof *s->times_ns);
    memmove(s->values + first, s->values + end, rest * sizeof *s->values);
    if (s->starts_ns) memmove(s->starts_ns + first, s->starts_ns + end, rest * sizeof *s->starts_ns);
    if (s->histograms) memmove(s->histograms + first, s->histograms + end, rest * sizeof *s->histograms);
    s->n -= end - first;
}

static uint32_t row_after(const struct samples *s, int64_t time_ns) {
    return time_ns == INT64_MAX ? s->n : row_at(s, time_ns + 1);
}

void samples_trim(struct samples *s, int64_t time_min, int64_t time_max) {
    if (time_min > time_max) s->n = 0;
    if (s->n == 0) return;
    s->n = row_after(s, time_max);
    uint64_t id = s->times_id;
    cut_rows(s, 0, row_at(s, time_min));
    if (id) s->times_id = hash_keyed(hash_keyed(id, (uint64_t)time_min), (uint64_t)time_max) & ~UINT64_C(1);
}

void samples_drop(struct samples *s, int64_t time_min, int64_t time_max) {
    if (time_min <= time_max) cut_rows(s, row_at(s, time_min), row_after(s, time_max));
}
