/* Series and the labels they are found by. */
#include "store/series/head_parts_priv.h"

#include <stdio.h>

#include "base/hash.h"

enum { SLOTS_FIRST = 1024, NAMES_MAX = 1 << 16, SERIES_BYTES = 2048, REFUSALS_BETWEEN_LOOKS = 4096 };

/* ---- slots: open addressing, at most three quarters full --------------------------------------------------------- */

static uint64_t pair_hash(uint32_t name, struct str value) { return hash_keyed(hash_fast(value.p, value.n), name); }

/* A slot: 24 bits of id + 1, over them 8 bits of the hash, so that most of what is another's is passed without a look at it. */
static uint32_t slot_of(uint64_t hash, uint32_t id) { return (uint32_t)(hash >> 56) << 24 | (id + 1); }
static uint32_t slot_id(uint32_t slot) { return (slot & 0xffffff) - 1; }

static void insert(uint32_t *slots, uint32_t mask, uint64_t hash, uint32_t id) {
    uint32_t at = (uint32_t)hash & mask;
    while (slots[at]) at = (at + 1) & mask;
    slots[at] = slot_of(hash, id);
}

static uint64_t hash_of_series(const struct head *h, uint32_t id) { return series_at(h, id)->hash.a; }
static uint64_t hash_of_pair(const struct head *h, uint32_t id) {
    return pair_hash(pair_at(h, id)->name, pair_at(h, id)->value);
}

static void make_room(struct head *h, uint32_t **slots, uint32_t *mask, uint32_t count,
                      uint64_t (*hash_of)(const struct head *h, uint32_t id)) {
    uint32_t old = *slots ? *mask + 1 : 0, n = old ? old * 2 : SLOTS_FIRST;
    if (count < old - old / 4) return;
    uint32_t *larger = series_head_grow(h, NULL, 0, n * sizeof *larger);
    for (uint32_t i = 0; i < count; i++) insert(larger, n - 1, hash_of(h, i), i);
    mem_free(*slots);
    series_head_count_free(h, old * sizeof *larger);
    *slots = larger;
    *mask = n - 1;
}

/* id + 1, or 0. Equal hashes of 128 bits under a secret are the same labels. */
static uint32_t find_series(const struct head *h, struct label_set_hash hash) {
    if (!h->series_slots) return 0;
    for (uint32_t at = (uint32_t)hash.a & h->series_mask; h->series_slots[at]; at = (at + 1) & h->series_mask) {
        uint32_t id = slot_id(h->series_slots[at]);
        if (h->series_slots[at] != slot_of(hash.a, id)) continue;
        const struct head_series *s = series_at(h, id);
        if (s->hash.a == hash.a && s->hash.b == hash.b) return id + 1;
    }
    return 0;
}

uint32_t series_head_find_pair(const struct head *h, uint32_t name, struct str value) {
    if (!h->pair_slots) return 0;
    uint64_t hash = pair_hash(name, value);
    for (uint32_t at = (uint32_t)hash & h->pair_mask; h->pair_slots[at]; at = (at + 1) & h->pair_mask) {
        uint32_t id = slot_id(h->pair_slots[at]);
        if (h->pair_slots[at] != slot_of(hash, id)) continue;
        const struct pair *p = pair_at(h, id);
        if (p->name == name && str_equal(p->value, value)) return id + 1;
    }
    return 0;
}

/* ---- what is made ------------------------------------------------------------------------------------------------ */

static struct str keep_text(struct head *h, struct str text) { return arena_copy(&h->memory, text); }

static uint32_t name_id(struct head *h, struct str name) {
    uint32_t id = strings_intern(&h->name_ids, name);
    if (id < h->names.n) return id;
    *vec_push(&h->names) = (struct head_name){.name = keep_text(h, name)};
    h->bytes += sizeof *h->names.v + name.n;
    return id;
}

static uint32_t pair_id(struct head *h, uint32_t name, struct str value) {
    uint32_t known = series_head_find_pair(h, name, value);
    if (known) return known - 1;
    uint32_t id = h->pair_count;
    make_room(h, &h->pair_slots, &h->pair_mask, id, hash_of_pair);
    if (!h->pairs[id / TABLE_BLOCK])
        h->pairs[id / TABLE_BLOCK] = series_head_alloc(h, TABLE_BLOCK * sizeof(struct pair));
    struct head_name *n = &h->names.v[name];
    *pair_at(h, id) = (struct pair){.value = keep_text(h, value), .name = name};
    if (n->values++)
        pair_at(h, n->last)->next = id;
    else
        n->first = id;
    n->last = id;
    insert(h->pair_slots, h->pair_mask, pair_hash(name, value), id);
    h->pair_count++;
    return id;
}

static void add_id(struct head *h, struct pair *p, uint32_t id) {
    struct ids_block *b = p->last;
    if (!b || b->n == b->capacity) {
        uint32_t capacity = b ? MIN(b->capacity * 2 + 2, (uint32_t)IDS_MOST) : IDS_FIRST;
        struct ids_block *next = series_head_alloc(h, sizeof *next + capacity * sizeof *next->ids);
        next->capacity = capacity;
        if (b)
            b->next = next;
        else
            p->first = next;
        p->last = b = next;
    }
    b->ids[b->n++] = id;
    p->count++;
}

static uint32_t add_series(struct head *h, struct labels l, struct label_set_hash hash, uint64_t set) {
    uint32_t id = h->series_count, *pairs = series_head_alloc(h, l.n * sizeof *pairs);
    make_room(h, &h->series_slots, &h->series_mask, id, hash_of_series);
    if (!h->series[id / TABLE_BLOCK]) {
        uintptr_t block = (uintptr_t)series_head_alloc(h, TABLE_BLOCK * sizeof(struct head_series) + 63);
        h->series[id / TABLE_BLOCK] = (struct head_series *)((block + 63) & ~(uintptr_t)63);
        h->seen[id / TABLE_BLOCK] = series_head_alloc(h, TABLE_BLOCK * sizeof(uint32_t));
    }
    struct head_series *s = series_at(h, id);
    *s = (struct head_series){
        .hash = hash, .pairs = pairs, .pair_count = (uint16_t)l.n, .time_min = INT64_MAX, .time_max = INT64_MIN};
    for (uint32_t i = 0; i < l.n; i++) {
        uint32_t name = name_id(h, l.v[i].name);
        pairs[i] = pair_id(h, name, l.v[i].value);
        h->names.v[name].series++;
        add_id(h, pair_at(h, pairs[i]), id);
    }
    *seen_at(h, id) = seen_now(h);
    series_head_place(h, s, set);
    insert(h->series_slots, h->series_mask, hash.a, id);
    h->series_count++;
    return id;
}

/* ---- limits ------------------------------------------------------------------------------------------------------ */

/* Who is to blame: the metric with most series and the label with most values. Looked up now and then, not at every refusal. */
static void name_offenders(struct head *h) {
    struct pair *metric = NULL;
    struct head_name *label = NULL;
    if (h->limit_refusals++ % REFUSALS_BETWEEN_LOOKS) return;
    for (uint32_t i = 0; i < h->pair_count; i++) {
        struct pair *p = pair_at(h, i);
        if ((!metric || p->count > metric->count) && str_equal(h->names.v[p->name].name, METRIC_NAME)) metric = p;
    }
    for (size_t i = 0; i < h->names.n; i++)
        if (!label || h->names.v[i].values > label->values) label = &h->names.v[i];
    struct str none = STR("(none)"), m = metric ? metric->value : none, l = label ? label->name : none;
    snprintf(h->offenders, sizeof h->offenders, "most are of metric %.*s (%u), the label with most values is %.*s (%u)",
             (int)MIN(m.n, 100u), m.p, metric ? metric->count : 0, (int)MIN(l.n, 100u), l.p, label ? label->values : 0);
}

/* With those that are idle. */
static uint32_t series_most(const struct head_options *o) {
    return MIN(o->series_max, (uint32_t)(HEAD_SERIES_MAX - 1) / HEAD_IDLE_TIMES) * HEAD_IDLE_TIMES;
}

static uint32_t count_active(const struct head *h) {
    uint64_t now = seen_now(h), span = (uint64_t)h->options.active_ns / 1000000000;
    uint32_t active = 0;
    for (uint32_t i = 0; i < h->series_count; i++) active += *seen_at(h, i) && now - *seen_at(h, i) <= span;
    return active;
}

/* Series that come and go leave room for others. Looked at when there seems to be none, and then again when time has gone on. */
static bool has_room(struct head *h) {
    const struct head_options *o = &h->options;
    if (h->series_count < h->series_allowed) return true;
    if (!o->active_ns || h->series_count >= series_most(o)) return false;
    if (h->looked_ns != INT64_MIN && (uint64_t)h->now_ns - (uint64_t)h->looked_ns < (uint64_t)o->active_ns / 16)
        return false;
    uint32_t active = count_active(h);
    h->looked_ns = h->now_ns;
    if (active < o->series_max)
        h->series_allowed = (uint32_t)MIN((uint64_t)h->series_count + (o->series_max - active), series_most(o));
    return h->series_count < h->series_allowed;
}

static err over_series(struct head *h) {
    uint32_t most = series_most(&h->options);
    name_offenders(h);
    if (h->options.active_ns && h->series_count >= most)
        return err_new(ERR_LIMIT, "over %u series, with those that went idle, until they are written: %s", most,
                       h->offenders);
    return err_new(ERR_LIMIT, "over %u series: %s", h->options.series_max, h->offenders);
}

static err check_limits(struct head *h, int64_t now_ns) {
    const struct head_options *o = &h->options;
    if (!has_room(h)) return over_series(h);
    if (h->pair_count + LABELS_MAX > TABLE_BLOCKS * TABLE_BLOCK || h->names.n + LABELS_MAX > NAMES_MAX) {
        name_offenders(h);
        return err_new(ERR_LIMIT, "over %d label names or values: %s", NAMES_MAX, h->offenders);
    }
    if (!o->new_series_max || now_ns == INT64_MIN) return NULL;
    if (h->churn_start_ns == INT64_MIN || now_ns - h->churn_start_ns >= o->churn_ns || now_ns < h->churn_start_ns) {
        h->churn_start_ns = now_ns;
        h->churn_count = 0;
    }
    if (h->churn_count >= o->new_series_max) {
        name_offenders(h);
        return err_new(ERR_LIMIT, "over %u new series in %lld s: %s", o->new_series_max,
                       (long long)(o->churn_ns / 1000000000), h->offenders);
    }
    return NULL;
}

/* What the tables may grow by with one more series. */
static uint64_t table_growth(const struct head *h, uint32_t pairs) {
    uint64_t bytes = h->series_count % TABLE_BLOCK == 0 || h->pair_count % TABLE_BLOCK + pairs >= TABLE_BLOCK ? MIB : 0;
    if (h->series_count * 4ull >= h->series_mask * 3ull) bytes += (h->series_mask + 1ull) * 8;
    if ((h->pair_count + pairs) * 4ull >= h->pair_mask * 3ull) bytes += (h->pair_mask + 1ull) * 8;
    if (h->set_keys * 4ull >= h->set_mask * 3ull) bytes += (h->set_mask + 1ull) * 2 * sizeof *h->set_slots;
    if (h->set_count == h->set_capacity) bytes += h->set_capacity * sizeof *h->sets;
    return bytes;
}

static err series_locked(struct head *h, struct labels l, uint64_t set, int64_t now_ns, uint32_t *out_id) {
    struct label_set_hash hash = label_set_hash(l);
    uint32_t known = find_series(h, hash);
    size_t text = 0;
    if (known) {
        *out_id = known - 1;
        return NULL;
    }
    TRY(label_set_check(l, h->options.labels_max));
    TRY(check_limits(h, now_ns));
    for (uint32_t i = 0; i < l.n; i++) text += l.v[i].name.n + l.v[i].value.n;
    TRY(series_head_charge(h, SERIES_BYTES + text + table_growth(h, l.n), "new series"));
    *out_id = add_series(h, l, hash, set);
    h->churn_count += now_ns != INT64_MIN;
    return NULL;
}

err series_head_add(struct head *h, struct labels l, uint64_t set, int64_t now_ns, uint32_t *out_id) {
    lock_take(&h->lock);
    err e = series_locked(h, l, set, now_ns, out_id);
    lock_give(&h->lock);
    return e;
}

void series_head_now(struct head *h, int64_t now_ns) {
    lock_take(&h->lock);
    if (h->now_ns == INT64_MIN) h->began_ns = now_ns;
    h->now_ns = MAX(h->now_ns, now_ns);
    lock_give(&h->lock);
}

void series_head_leave(struct head *h, const uint32_t *series, uint32_t n) {
    lock_take(&h->lock);
    for (uint32_t i = 0; i < n; i++) {
        const struct head_series *s = series_at(h, series[i]);
        if (s->time_min > s->time_max) *seen_at(h, series[i]) = 0;
    }
    lock_give(&h->lock);
}

void series_head_churn_from(struct head *h, const struct head *earlier) {
    h->churn_start_ns = earlier->churn_start_ns;
    h->churn_count = earlier->churn_count;
}

uint64_t *series_head_hashes(struct head *h, uint32_t *out_n) {
    lock_take(&h->lock);
    uint32_t n = *out_n = h->series_count;
    lock_give(&h->lock);
    uint64_t *hashes = mem_new_array(uint64_t, n + 1);
    for (uint32_t i = 0; i < n; i++) hashes[i] = series_at(h, i)->hash.a;
    return hashes;
}

bool series_head_find(struct head *h, struct labels l, uint32_t *out_id) {
    struct label_set_hash hash = label_set_hash(l);
    lock_take(&h->lock);
    uint32_t found = find_series(h, hash);
    lock_give(&h->lock);
    if (found) *out_id = found - 1;
    return found != 0;
}

/* ---- labels ------------------------------------------------------------------------------------------------------ */

bool series_head_labels(struct head *h, uint32_t series, struct arena *a, struct labels *out) {
    lock_take(&h->lock); /* the names' array moves when it grows; the texts do not */
    const struct head_series *s = series_at(h, series);
    struct label *v = arena_array(a, struct label, s->pair_count);
    for (uint32_t i = 0; v && i < s->pair_count; i++) {
        const struct pair *p = pair_at(h, s->pairs[i]);
        v[i] = (struct label){h->names.v[p->name].name, p->value};
    }
    lock_give(&h->lock);
    *out = (struct labels){v, s->pair_count};
    return v != NULL;
}

err series_head_label_names(struct head *h, struct arena *a, struct str **out, uint32_t *out_n) {
    lock_take(&h->lock);
    uint32_t n = (uint32_t)h->names.n;
    struct str *names = arena_array(a, struct str, n + 1);
    for (uint32_t i = 0; names && i < n; i++) names[i] = h->names.v[i].name;
    lock_give(&h->lock);
    *out = names;
    *out_n = n;
    return names ? NULL : arena_err(a);
}

err series_head_label_values(struct head *h, struct str name, struct arena *a, struct str **out, uint32_t *out_n) {
    uint32_t id;
    lock_take(&h->lock);
    struct head_name n = {0};
    if (strings_find(&h->name_ids, name, &id)) n = h->names.v[id];
    lock_give(&h->lock);
    struct str *values = arena_array(a, struct str, n.values + 1);
    if (!values) return arena_err(a);
    uint32_t at = n.first;
    for (uint32_t i = 0; i < n.values; i++) {
        const struct pair *p = pair_at(h, at);
        values[i] = p->value;
        if (i + 1 < n.values) at = p->next;
    }
    *out = values;
    *out_n = n.values;
    return NULL;
}
