#include "store/engine/series_said_priv.h"

#include "base/hash.h"
#include "signal/metrics/points_brief.h"
#include "store/engine/series_apply_priv.h"
#include "store/engine/store_engine_priv.h"

/* ---- reading -------------------------------------------------------------------------------------------------------- */

void said_log_done(struct said_log *l) {
    for (size_t i = 0; i < l->tenants.n; i++) vec_done(&l->tenants.v[i].records);
    vec_done(&l->tenants);
}

static struct said_tenant *find_tenant(struct said_log *l, struct str tenant, bool make) {
    for (size_t i = 0; i < l->tenants.n; i++)
        if (str_equal(str_of(l->tenants.v[i].tenant), tenant)) return &l->tenants.v[i];
    if (!make) return NULL;
    struct said_tenant *t = vec_push(&l->tenants);
    *t = (struct said_tenant){0};
    memcpy(t->tenant, tenant.p, tenant.n);
    return t;
}

/* Most records only refer to others. */
static bool says_any(const struct points *p) {
    struct str labels;
    for (uint32_t i = 0; i < p->series_count; i++)
        if (points_brief_labels(p, i, &labels)) return true;
    return false;
}

void said_log_add(struct said_log *l, const struct log_record *r) {
    struct points p;
    if (!(r->flags & RECORD_SAYS) || r->since >= r->sequence || !tenant_is_valid(r->tenant)) return;
    struct said_tenant *t = find_tenant(l, r->tenant, true);
    if (t->from != r->sequence - r->since) vec_clear(&t->records);
    t->from = r->sequence - r->since;
    err e = points_brief_view(r->blob, &p);
    if (!e && says_any(&p)) *vec_push(&t->records) = (struct said_record){r->said_before, p.series_count, r->blob};
    err_free(e);
}

/* Labels of a number: in the last record that says a lower or the same one. */
static bool find_labels(void *context, uint32_t number, struct str *out) {
    const struct said_tenant *t = context;
    size_t low = 0, high = t->records.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (t->records.v[middle].before <= number)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0) return false;
    const struct said_record *r = &t->records.v[low - 1];
    struct points p;
    if (number - r->before >= r->rows) return false;
    points_brief_again(r->blob, &p);
    return points_brief_labels(&p, number - r->before, out);
}

static bool find_nothing(void *context, uint32_t number, struct str *out) {
    (void)context;
    (void)number;
    (void)out;
    return false;
}

err said_log_open(struct said_log *l, const struct log_record *r, struct batch_blob **out, uint32_t **out_numbers,
                  uint32_t *out_lost) {
    struct said_tenant *t = find_tenant(l, r->tenant, false);
    struct points p;
    *out_numbers = NULL;
    *out_lost = 0;
    if (!(r->flags & RECORD_SAYS)) return points_open(r->blob, out);
    AUTO_FREE uint32_t *numbers = NULL;
    TRY(points_open_brief(r->blob, t ? find_labels : find_nothing, t, out, &numbers));
    points_view(*out, &p);
    for (uint32_t i = 0; i < p.series_count; i++) {
        if (numbers[i] == POINTS_IN_FULL) numbers[i] = r->said_before + i;
        *out_lost += numbers[i] == POINTS_LOST;
    }
    *out_numbers = take(&numbers);
    return NULL;
}

/* ---- writing -------------------------------------------------------------------------------------------------------- */

enum { BRIEF_BYTES_KEPT = 8 << 20, KNOWN_AHEAD = 8 };

/* What stands for each row, and where its samples go if they are numbers; how many rows have something to stand for them. */
static uint32_t find_numbers(struct memory_batch *m) {
    const struct known_series *known = &m->table->series->known;
    const struct hash128 *hashes = m->points.hashes;
    const struct known *v = known->v, *end = v + known->n, *next = v; /* no store can change these */
    const uint32_t *known_ids = known->ids.v;
    uint32_t n = 0, rows = m->points.series_count, *said = m->said;
    uint32_t *ids = m->ids = mem_new_array(uint32_t, (size_t)rows + 1);
    m->known_changes = known->changes;
    for (uint32_t i = 0; i < rows; i++) {
        const struct known *k =
            next < end && hash128_equal(next->hash, hashes[i]) ? next : known_find(known, hashes[i]);
        if (end - next > KNOWN_AHEAD) __builtin_prefetch(next + KNOWN_AHEAD);
        bool there = k && k->resolved;
        bool number = there && k->count == 1 && k->shape <= SHAPE_NUMBER && !k->bases;
        if (k) next = k + 1;
        ids[i] = number ? known_ids[k->first] : NO_SERIES;
        said[i] = there ? k->said : POINTS_IN_FULL;
        m->names |= there && k->said == POINTS_IN_FULL;
        n += said[i] != POINTS_IN_FULL;
    }
    return n;
}

/* Numbers go on where the last record of the group ended, or begin with a head. */
static bool say(struct memory_batch *m, struct log_record *r) {
    struct said *said = &m->table->series->saying;
    if (m->flags & RECORD_FRESH) *said = (struct said){m->sequence, 0};
    if (!said->from || m->sequence - said->from > UINT32_MAX ||
        m->points.series_count >= POINTS_NUMBER_END - said->next)
        return false;
    m->began = said->from;
    r->flags |= RECORD_SAYS;
    r->since = (uint32_t)(m->sequence - said->from);
    r->said_before = said->next;
    said->next += m->points.series_count;
    return true;
}

/* Numbers in the place of labels where that saves most of the rows, else labels that the batch does not have; where it starts in s->brief,
 * SIZE_MAX: the record is the whole batch. */
static size_t put_brief(struct engine *s, struct memory_batch *m, uint32_t before) {
    const struct points *p = &m->points;
    uint32_t n = m->table->series->refers ? find_numbers(m) : 0;
    size_t at = s->brief.n;
    bool brief = n > p->series_count / 2;
    if (brief || p->kept) points_put_brief(p, brief ? m->said : NULL, &s->brief);
    for (uint32_t i = 0; i < p->series_count; i++)
        if (!brief || m->said[i] == POINTS_IN_FULL) m->said[i] = before + i;
    return s->brief.n > at ? at : SIZE_MAX;
}

void engine_say(struct engine *s, size_t n) {
    AUTO_FREE size_t *starts = mem_new_array(size_t, n + 1);
    buf_clear(&s->brief);
    for (size_t i = 0; i < n; i++) {
        struct memory_batch *m = s->taken.v[i];
        starts[i] = SIZE_MAX;
        if (!memory_batch_is_points(m)) continue;
        if (say(m, &s->records.v[i])) {
            m->said = mem_new_array(uint32_t, (size_t)m->points.series_count + 1);
            starts[i] = put_brief(s, m, s->records.v[i].said_before);
        } else if (m->points.kept) {
            starts[i] = s->brief.n;
            points_put_brief(&m->points, NULL, &s->brief);
        }
        if (starts[i] != SIZE_MAX) s->records.v[i].blob.n = s->brief.n - starts[i];
    }
    for (size_t i = 0; i < n; i++) {
        struct log_record *r = &s->records.v[i];
        if (!memory_batch_is_points(s->taken.v[i])) continue;
        if (starts[i] != SIZE_MAX) r->blob = str_span(s->brief.p + starts[i], r->blob.n);
        r->blob_check = hash_bytes(r->blob.p, r->blob.n);
    }
}

/* Series that a replay has made known get numbers as they are said again. */
static void name_known(const struct memory_batch *m, uint32_t before) {
    const struct known_series *known = &m->table->series->known;
    for (uint32_t i = 0; i < m->points.series_count; i++) {
        struct known *k = m->said[i] == before + i ? known_find(known, m->points.hashes[i]) : NULL;
        if (k && k->resolved && k->said == POINTS_IN_FULL) k->said = m->said[i];
    }
}

void engine_said(struct engine *s, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const struct memory_batch *m = s->taken.v[i];
        if (!memory_batch_is_points(m)) continue;
        m->table->series->said = m->table->series->saying;
        if (m->names) name_known(m, s->records.v[i].said_before);
    }
    if (s->brief.capacity > BRIEF_BYTES_KEPT) {
        buf_done(&s->brief);
        buf_init(&s->brief, SIZE_MAX);
    }
}
