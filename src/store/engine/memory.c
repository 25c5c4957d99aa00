#include "store/engine/memory_priv.h"
#include "store/engine/series_table_priv.h"

#include "base/hash.h"

bool day_list_add(day_list *days, int32_t day, size_t max) {
    for (size_t i = 0; i < days->n; i++)
        if (days->v[i] == day) return true;
    if (days->n >= max) return false;
    *vec_push(days) = day;
    return true;
}

static int64_t row_time(const struct batch *b, uint32_t row) {
    uint64_t t = batch_u64(b, SET_ROWS, FIELD_TIME, row);
    return t > INT64_MAX ? INT64_MAX : (int64_t)t;
}

/* One more than DAYS_MAX is kept, so that the limit can be seen. */
static void find_days(const struct batch *b, day_list *out) {
    int32_t first = day_of(b->time_min), last = day_of(b->time_max), known = first;
    day_list_add(out, first, 1);
    if (first == last) return;
    for (uint32_t i = 0; i < b->rows; i++) {
        int32_t day = day_of(row_time(b, i));
        if (day != known && !day_list_add(out, day, DAYS_MAX + 1)) return;
        known = day;
    }
}

/* Two bits an id. */
static uint64_t trace_hash(const unsigned char id[16]) {
    uint64_t halves[2];
    memcpy(halves, id, 16);
    return hash_mix(halves[0], halves[1]);
}

static void filter_traces(struct memory_batch *m) {
    const unsigned char *before = NULL;
    for (uint32_t i = 0; i < m->view.rows; i++) {
        const unsigned char *id = batch_id16(&m->view, SET_ROWS, FIELD_TRACE_ID, i);
        if (before && memcmp(id, before, 16) == 0) continue;
        uint64_t h = trace_hash(before = id), a = h % TRACE_FILTER_BITS, b = (h >> 32) % TRACE_FILTER_BITS;
        m->traces[a / 64] |= (uint64_t)1 << a % 64;
        m->traces[b / 64] |= (uint64_t)1 << b % 64;
    }
}

bool memory_batch_may_have_trace(const struct memory_batch *m, const unsigned char id[16]) {
    uint64_t h = trace_hash(id), a = h % TRACE_FILTER_BITS, b = (h >> 32) % TRACE_FILTER_BITS;
    return (m->traces[a / 64] >> a % 64 & 1) && (m->traces[b / 64] >> b % 64 & 1);
}

/* A time of the batch in nanoseconds, of either origin. */
static int64_t point_time_ns(const struct points *p, uint64_t t) {
    static const int64_t ms_max = INT64_MAX / 1000000;
    if (p->origin == POINTS_OTLP) return t > INT64_MAX ? INT64_MAX : (int64_t)t;
    int64_t ms = (int64_t)t;
    return ms > ms_max ? INT64_MAX : ms < -ms_max ? INT64_MIN : ms * 1000000;
}

static void find_days_of_points(const struct points *p, day_list *out) {
    int32_t known = INT32_MIN, first = day_of(point_time_ns(p, (uint64_t)p->time_min));
    if (p->n && first == day_of(point_time_ns(p, (uint64_t)p->time_max))) {
        day_list_add(out, first, DAYS_MAX + 1);
        return;
    }
    for (uint32_t i = 0; i < p->n; i++) {
        int32_t day = day_of(point_time_ns(p, point_time(p, i)));
        if (day != known && !day_list_add(out, day, DAYS_MAX + 1)) return;
        known = day;
    }
}

/* A column of equal values takes no room in the blob, but its rows do when they are sorted and encoded: a few kilobytes that stand
 * for a million rows are charged for those. Ordinary rows are larger than this anyway. */
enum { ROW_BYTES_MIN = 96 };

uint64_t memory_batch_bytes(const struct batch_blob *blob) {
    struct batch b;
    batch_view((struct batch_blob *)(uintptr_t)blob, &b);
    uint64_t rows = (uint64_t)b.rows + b.set_rows[SET_EVENTS] + b.set_rows[SET_LINKS];
    return MAX(batch_bytes(blob).n, rows * ROW_BYTES_MIN) + sizeof(struct memory_batch);
}

struct memory_batch *memory_batch_new(struct batch_blob *blob, struct budget *budget) {
    struct memory_batch *m = mem_new_of(struct memory_batch);
    struct str bytes = batch_bytes(blob);
    atomic_init(&m->refs, 1);
    batch_view(blob, &m->view);
    m->view.blob = blob;
    m->budget = budget;
    m->bytes = memory_batch_bytes(blob);
    m->blob_check = hash_bytes(bytes.p, bytes.n);
    if (m->view.rows) find_days(&m->view, &m->days);
    filter_traces(m);
    return m;
}

/* Of a point that brings a new series: its labels twice and what the head keeps beside. */
enum { POINT_BYTES = 64, SERIES_BYTES = 512, NUMBER_BYTES = 32 };

uint64_t memory_points_bytes(const struct batch_blob *blob) {
    struct points p;
    points_view((struct batch_blob *)(uintptr_t)blob, &p);
    return 2 * ((uint64_t)batch_bytes(blob).n + p.kept_bytes) + (uint64_t)p.n * POINT_BYTES +
           (uint64_t)p.series_count * SERIES_BYTES + (uint64_t)p.number_count * NUMBER_BYTES +
           sizeof(struct memory_batch);
}

struct memory_batch *memory_points_new(struct batch_blob *blob, struct budget *budget) {
    struct memory_batch *m = mem_new_of(struct memory_batch);
    atomic_init(&m->refs, 1);
    points_view(blob, &m->points);
    m->view = (struct batch){.blob = blob, .signal = TABLE_SERIES, .rows = m->points.n};
    m->budget = budget;
    m->bytes = memory_points_bytes(blob);
    find_days_of_points(&m->points, &m->days);
    return m;
}

void memory_batch_unref(struct memory_batch *m) {
    if (!m || atomic_fetch_sub_explicit(&m->refs, 1, memory_order_acq_rel) > 1) return;
    if (m->budget) budget_give(m->budget, m->bytes);
    batch_unref(m->view.blob);
    vec_done(&m->days);
    mem_free(m->outcome);
    mem_free(m->said);
    mem_free(m->ids);
    mem_free(m);
}

struct memory_list *memory_list_new(void) {
    struct memory_list *l = mem_new_of(struct memory_list);
    atomic_init(&l->refs, 1);
    lock_init(&l->live.lock);
    return l;
}

void live_rollup_clear(struct live_rollup *l) {
    if (l->made) tally_done(&l->tally);
    if (l->charged_bytes) budget_give(l->budget, l->charged_bytes);
    l->made = false;
    l->batches = 0;
    l->charged_bytes = 0;
}

struct memory_list *memory_list_ref(struct memory_list *l) {
    if (l) atomic_fetch_add_explicit(&l->refs, 1, memory_order_relaxed);
    return l;
}

void memory_list_unref(struct memory_list *l) {
    if (!l || atomic_fetch_sub_explicit(&l->refs, 1, memory_order_acq_rel) > 1) return;
    for (size_t i = 0; i < l->n; i++) memory_batch_unref(l->v[i]);
    live_rollup_clear(&l->live);
    lock_done(&l->live.lock);
    mem_free(l->v);
    vec_done(&l->days);
    mem_free(l);
}

void memory_list_push(struct memory_list *l, struct memory_batch *m, int64_t monotonic_ns) {
    if (l->n == 0) l->born_ns = monotonic_ns;
    vec_reserve(l, 1);
    l->v[l->n++] = m;
    l->bytes += m->bytes;
    l->rows += m->view.rows;
}

size_t memory_list_fit(const struct memory_list *l, uint64_t work_bytes) {
    uint64_t need = 0;
    for (size_t i = 0; i < l->n; i++) {
        need += part_source_bytes(&l->v[i]->view);
        if (i > 0 && need > work_bytes) return i;
    }
    return l->n;
}

void memory_list_split(const struct memory_list *l, size_t n, struct memory_list **out_first,
                       struct memory_list **out_rest) {
    struct memory_list *two[2] = {memory_list_new(), memory_list_new()};
    for (size_t i = 0; i < l->n; i++) {
        struct memory_list *to = two[i >= n];
        atomic_fetch_add_explicit(&l->v[i]->refs, 1, memory_order_relaxed);
        memory_list_push(to, l->v[i], l->born_ns);
        for (size_t d = 0; d < l->v[i]->days.n; d++) day_list_add(&to->days, l->v[i]->days.v[d], SIZE_MAX);
    }
    *out_first = two[0];
    *out_rest = two[1];
}

static struct part_set *part_set_new(size_t n) {
    struct part_set *set = mem_new(sizeof *set + n * sizeof set->v[0]);
    atomic_init(&set->refs, 1);
    set->n = n;
    return set;
}

struct part_set *part_set_empty(void) {
    return part_set_new(0);
}

struct part_set *part_set_ref(struct part_set *set) {
    atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    return set;
}

void part_entry_ref(const struct part_entry *p) {
    if (p->part) part_ref(p->part);
    if (p->series) series_part_ref(p->series);
    if (p->rollup) rollup_file_ref(p->rollup);
}

void part_entry_doom(const struct part_entry *p) {
    if (p->part) part_doom(p->part);
    if (p->series) series_part_doom(p->series);
    if (p->rollup) rollup_file_doom(p->rollup);
}

void part_entry_describe(struct part_entry *p, const struct series_info *info) {
    p->rows = info->samples;
    p->bytes = info->bytes;
    p->time_min = info->time_min;
    p->time_max = info->time_max;
}

const char *part_entry_path(const struct part_entry *p) {
    return p->rollup ? p->rollup->path : p->series ? series_part_path(p->series) : part_path(p->part);
}

void part_entry_unref(struct part_entry *p) {
    if (p->part) part_unref(p->part);
    series_part_unref(p->series);
    rollup_file_unref(p->rollup);
    p->part = NULL;
    p->series = NULL;
    p->rollup = NULL;
}

void part_set_unref(struct part_set *set) {
    if (!set || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) > 1) return;
    for (size_t i = 0; i < set->n; i++) part_entry_unref(&set->v[i]);
    mem_free(set);
}

static bool has_id(const uint64_t *ids, size_t n, uint64_t id) {
    for (size_t i = 0; i < n; i++)
        if (ids[i] == id) return true;
    return false;
}

struct part_set *part_set_change(const struct part_set *old, const uint64_t *removed, size_t removed_count,
                                 const struct part_entry *added, size_t added_count) {
    struct part_set *set = part_set_new(old->n + added_count);
    size_t n = 0;
    for (size_t i = 0; i < old->n; i++) {
        if (has_id(removed, removed_count, old->v[i].id)) continue;
        set->v[n] = old->v[i];
        part_entry_ref(&set->v[n]);
        n++;
    }
    for (size_t i = 0; i < added_count; i++) set->v[n++] = added[i];
    set->n = n;
    return set;
}

struct table *table_new(struct str tenant, enum signal signal) {
    struct table *t = mem_new_of(struct table);
    memcpy(t->tenant, tenant.p, tenant.n);
    t->signal = signal;
    t->parts = part_set_empty();
    t->active = memory_list_new();
    if (signal == TABLE_ROLLUPS) {
        t->names = mem_new_of(struct rollup_names);
        rollup_names_init(t->names);
    }
    return t;
}

uint64_t table_needs(const struct table *t, const void *flushed) {
    const struct memory_list *lists[] = {t->flushing, t->active};
    if (t->series) return series_table_needs(t->series, flushed);
    for (int i = 0; i < 2; i++)
        if (lists[i] && lists[i] != flushed && lists[i]->n) return lists[i]->v[0]->sequence;
    return 0;
}

bool table_holds_log(const struct table *t) { return t->flushing || table_needs(t, NULL) != 0; }

void table_free(struct table *t, struct budget *budget) {
    series_table_free(t->series, budget);
    if (t->names) rollup_names_done(t->names);
    mem_free(t->names);
    vec_done(&t->uncounted);
    part_set_unref(t->parts);
    memory_list_unref(t->active);
    memory_list_unref(t->flushing);
    vec_done(&t->days);
    mem_free(t);
}
