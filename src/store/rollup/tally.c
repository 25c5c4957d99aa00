/* Keys and rows of a tally. */
#include "store/rollup/tally_priv.h"

#include "base/hash.h"

enum { SLOTS_FIRST = 256 };

/* ---- keys ------------------------------------------------------------------------------------------------------- */

/* A text ends with two zeros; a zero in it is followed by 255, so that texts compare as their bytes here do. */
static void put_text(struct buf *out, struct str s) {
    const char *zero;
    while (s.n && (zero = memchr(s.p, 0, s.n))) {
        buf_add(out, s.p, (size_t)(zero - s.p) + 1);
        buf_add_byte(out, (char)255);
        s.n -= (size_t)(zero - s.p) + 1;
        s.p = zero + 1;
    }
    buf_add(out, s.n ? s.p : "", s.n);
    buf_add(out, "\0", 2);
}

void rollup_key_write(const struct rollup_key *key, struct buf *out) {
    buf_add_byte(out, (char)key->view);
    for (int i = 0; i < ROLLUP_TEXTS; i++) put_text(out, key->texts[i]);
    buf_add_byte(out, (char)key->kind);
    buf_add_byte(out, (char)key->status);
}

/* The text that begins the bytes, which are cut by it; false: it does not end. */
static bool get_text(struct str *bytes, struct arena *a, struct str *out) {
    size_t n = 0, zeros = 0;
    const char *p = bytes->p;
    for (;; n += 2, zeros++) {
        const char *zero = n < bytes->n ? memchr(p + n, 0, bytes->n - n) : NULL;
        if (!zero || (size_t)(zero - p) + 2 > bytes->n) return false;
        n = (size_t)(zero - p);
        if (!p[n + 1]) break;
        if ((unsigned char)p[n + 1] != 255) return false;
    }
    *out = (struct str){p, n};
    *bytes = (struct str){p + n + 2, bytes->n - n - 2};
    if (!zeros) return true;
    char *text = arena_alloc(a, n);
    if (!text) return false;
    size_t to = 0;
    for (size_t from = 0; from < n; from++) {
        text[to++] = p[from];
        from += !p[from];
    }
    *out = (struct str){text, to};
    return true;
}

bool rollup_key_read(struct str bytes, struct arena *a, struct rollup_key *out) {
    *out = (struct rollup_key){0};
    if (bytes.n < 1 || (unsigned char)bytes.p[0] >= ROLLUP_VIEWS) return false;
    out->view = (uint8_t)bytes.p[0];
    bytes = (struct str){bytes.p + 1, bytes.n - 1};
    for (int i = 0; i < ROLLUP_TEXTS; i++)
        if (!get_text(&bytes, a, &out->texts[i])) return false;
    if (bytes.n != 2) return false;
    out->kind = (uint8_t)bytes.p[0];
    out->status = (uint8_t)bytes.p[1];
    return true;
}

uint32_t tally_key_of_bytes(struct tally *t, struct str bytes) {
    uint32_t n = t->keys.n, key = strings_intern(&t->keys, bytes);
    if (key == n) *vec_push(&t->last) = (struct tally_last){0};
    return key;
}

static bool is_same(struct str a, struct str b) { return a.p == b.p && a.n == b.n; }

/* Most spans of a batch are of one party after the other. */
static uint32_t party_of(struct tally *t, struct str environment, struct str space, struct str service) {
    struct rollup_half *last = &t->last_half;
    if (t->last_party && is_same(environment, last->environment) && is_same(space, last->space) &&
        is_same(service, last->service))
        return t->last_party;
    buf_clear(&t->scratch);
    put_text(&t->scratch, environment);
    put_text(&t->scratch, space);
    put_text(&t->scratch, service);
    last->environment = environment;
    last->space = space;
    last->service = service;
    return t->last_party = strings_intern(&t->parties, buf_str(&t->scratch));
}

uint32_t tally_key_for(struct tally *t, const struct rollup_request *r, const struct rollup_key *key) {
    struct rollup_key of = rollup_key_for(r, key);
    buf_clear(&t->scratch);
    rollup_key_write(&of, &t->scratch);
    return tally_key_of_bytes(t, buf_str(&t->scratch));
}

static uint32_t limited_key(struct tally *t, const struct rollup_key *asked) {
    struct rollup_key key = *asked;
    if (t->names) rollup_names_admit(t->names, &key);
    buf_clear(&t->scratch);
    rollup_key_write(&key, &t->scratch);
    return tally_key_of_bytes(t, buf_str(&t->scratch));
}

static struct tally_asked *find_asked(const struct tally *t, struct hash128 hash) {
    for (uint32_t at = (uint32_t)hash.low;; at++) {
        struct tally_asked *a = &t->asked[at & t->asked_mask];
        if (!a->answer || hash128_equal(a->hash, hash)) return a;
    }
}

static void grow_asked(struct tally *t) {
    uint32_t room = t->asked ? t->asked_mask + 1 : 0;
    struct tally_asked *old = t->asked;
    if (t->asked_count + 1 <= room / 2) return;
    t->asked_mask = (room ? room * 2 : SLOTS_FIRST) - 1;
    t->asked = mem_new_array(struct tally_asked, (size_t)t->asked_mask + 1);
    for (uint32_t i = 0; i < room; i++)
        if (old[i].answer) *find_asked(t, old[i].hash) = old[i];
    mem_free(old);
}

/* A batch asks for a key every few spans: those of spans are known by what is quick to look at. */
static uint32_t tally_key(struct rollup_sink *sink, const struct rollup_key *key) {
    struct tally *t = (struct tally *)sink;
    if (key->view != ROLLUP_SPANS || key->texts[ROLLUP_UNUSED].n) return limited_key(t, key);
    uint32_t party =
        party_of(t, key->texts[ROLLUP_ENVIRONMENT], key->texts[ROLLUP_NAMESPACE], key->texts[ROLLUP_SERVICE]);
    struct str operation = key->texts[ROLLUP_OPERATION];
    struct hash128 hash = hash_wide(operation.n ? operation.p : "", operation.n);
    uint64_t rest = (uint64_t)party << 16 | (uint64_t)key->kind << 8 | key->status;
    hash.low = hash_keyed(hash.low, rest);
    hash.high = hash_keyed(hash.high, ~rest);
    grow_asked(t);
    struct tally_asked *a = find_asked(t, hash);
    if (a->answer) return a->answer - 1;
    *a = (struct tally_asked){hash, limited_key(t, key) + 1};
    t->asked_count++;
    return a->answer - 1;
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

static uint64_t row_hash(uint32_t key, int64_t time_ns) { return hash_keyed(key, (uint64_t)time_ns); }

static void place_row(struct tally *t, uint32_t number) {
    const struct tally_row *r = &t->rows.v[number];
    uint32_t at = (uint32_t)row_hash(r->key, r->time_ns) & t->slot_mask;
    while (t->slots[at]) at = (at + 1) & t->slot_mask;
    t->slots[at] = number + 1;
}

static void grow_rows(struct tally *t) {
    uint32_t room = t->slots ? t->slot_mask + 1 : 0;
    if (t->rows.n + 1 <= room / 2) return;
    mem_free(t->slots);
    room = room ? room * 2 : SLOTS_FIRST;
    t->slots = mem_new_array(uint32_t, room);
    t->slot_mask = room - 1;
    for (uint32_t i = 0; i < t->rows.n; i++) place_row(t, i);
}

static struct tally_row *find_row(struct tally *t, uint32_t key, int64_t time_ns) {
    grow_rows(t);
    uint32_t at = (uint32_t)row_hash(key, time_ns) & t->slot_mask;
    for (; t->slots[at]; at = (at + 1) & t->slot_mask) {
        struct tally_row *r = &t->rows.v[t->slots[at] - 1];
        if (r->key == key && r->time_ns == time_ns) return r;
    }
    *vec_push(&t->rows) = (struct tally_row){.key = key, .time_ns = time_ns, .last_ns = INT64_MIN};
    t->slots[at] = (uint32_t)t->rows.n;
    return &t->rows.v[t->rows.n - 1];
}

struct tally_row *tally_row_at(struct tally *t, uint32_t key, int64_t time_ns) {
    int64_t time = t->step_ns ? rollup_floor(time_ns, t->step_ns) : t->start_ns;
    struct tally_last *last = &t->last.v[key];
    if (last->row && last->time_ns == time) return &t->rows.v[last->row - 1];
    struct tally_row *r = find_row(t, key, time);
    *last = (struct tally_last){time, (uint32_t)(r - t->rows.v) + 1};
    return r;
}

/* Room for buckets [first, first + n). */
static bool make_room(struct tally *t, struct tally_row *r, uint32_t first, uint32_t n) {
    uint32_t from = r->bucket_count ? MIN(r->bucket_first, first) : first;
    uint32_t to = r->bucket_count ? MAX(r->bucket_first + r->bucket_count, first + n) : first + n;
    if (r->bucket_count && from == r->bucket_first && to - from <= r->bucket_room) {
        r->bucket_count = to - from;
        return true;
    }
    if (!t->step_ns) { /* few rows, of much each */
        from = 0;
        to = ROLLUP_BUCKETS;
    }
    uint32_t room = MIN((to - from) + (to - from) / 2 + 4, (uint32_t)ROLLUP_BUCKETS);
    uint64_t *v = arena_array(&t->memory, uint64_t, room);
    if (!v) return false;
    if (r->bucket_count) memcpy(v + (r->bucket_first - from), r->buckets, r->bucket_count * sizeof *v);
    r->buckets = v;
    r->bucket_first = from;
    r->bucket_count = to - from;
    r->bucket_room = room;
    return true;
}

void tally_buckets_add(struct tally *t, struct tally_row *r, uint32_t first, uint32_t n, const uint64_t *counts) {
    if (!t->buckets || !n) return;
    bool fits = r->bucket_count && first >= r->bucket_first && first + n <= r->bucket_first + r->bucket_count;
    if (!fits && !make_room(t, r, first, n)) return; /* the arena says so */
    uint64_t *restrict to = r->buckets + (first - r->bucket_first);
    for (uint32_t i = 0; i < n; i++) to[i] += counts[i];
}

static void offer_exemplar(struct tally *t, struct tally_row *r, const struct rollup_exemplar *e) {
    if (!t->exemplars || (r->has_exemplar && !rollup_exemplar_is_slower(e, &r->exemplar))) return;
    r->exemplar = *e;
    r->has_exemplar = true;
}

static void tally_add(struct rollup_sink *sink, uint32_t key, const struct rollup_call *c) {
    static const uint64_t one = 1;
    struct tally *t = (struct tally *)sink;
    struct tally_row *r = tally_row_at(t, key, c->start_ns);
    r->calls++;
    r->errors += c->failed;
    r->sum_ns += c->duration_ns;
    r->last_ns = MAX(r->last_ns, c->start_ns);
    tally_buckets_add(t, r, rollup_bucket_of(c->duration_ns), 1, &one);
    bool has_ids = c->span_id != 0; /* halves out of files have none */
    if (!has_ids || (r->has_exemplar && c->duration_ns < r->exemplar.duration_ns)) return;
    struct rollup_exemplar e = {.span_id = c->span_id, .duration_ns = c->duration_ns, .start_ns = c->start_ns};
    memcpy(e.trace_id, c->trace_id, sizeof e.trace_id);
    offer_exemplar(t, r, &e);
}

void tally_add_row(struct tally *t, uint32_t key, const struct tally_row *from) {
    struct tally_row *r = tally_row_at(t, key, from->time_ns);
    r->calls += from->calls;
    r->errors += from->errors;
    r->sum_ns += from->sum_ns;
    r->last_ns = MAX(r->last_ns, from->last_ns);
    tally_buckets_add(t, r, from->bucket_first, from->bucket_count, from->buckets);
    if (from->has_exemplar) offer_exemplar(t, r, &from->exemplar);
}

void tally_add_all(struct tally *t, const struct tally *from, int64_t time_min, int64_t time_max) {
    AUTO_FREE uint32_t *keys = mem_new_array(uint32_t, from->keys.n + 1); /* + 1; 0: not yet asked */
    for (size_t i = 0; i < from->rows.n; i++) {
        const struct tally_row *r = &from->rows.v[i];
        if (r->time_ns < time_min || r->time_ns > time_max) continue;
        if (!keys[r->key]) keys[r->key] = tally_key_of_bytes(t, strings_get(&from->keys, r->key)) + 1;
        tally_add_row(t, keys[r->key] - 1, r);
    }
}

void tally_clear_rows(struct tally *t) {
    if (t->rows.n) memset(t->slots, 0, ((size_t)t->slot_mask + 1) * sizeof *t->slots);
    if (t->last.n) memset(t->last.v, 0, t->last.n * sizeof *t->last.v);
    t->rows.n = 0;
    arena_clear(&t->memory);
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static uint32_t peer_of(struct tally *t, const struct rollup_half *h) {
    if (h->peer.n == 0) return 0;
    if (t->last_peer && is_same(h->peer, t->last_half.peer)) return t->last_peer;
    t->last_half.peer = h->peer;
    return t->last_peer = strings_intern(&t->parties, h->peer);
}

static void tally_half_in(struct rollup_sink *sink, const struct rollup_half *h) {
    struct tally *t = (struct tally *)sink;
    struct tally_half half = {.key = rollup_half_key(h->call.trace_id, h->client_span),
                              .is_server = h->is_server,
                              .is_remembered = h->is_remembered,
                              .is_plain = h->is_plain,
                              .connection = h->connection,
                              .party = party_of(t, h->environment, h->space, h->service),
                              .peer = peer_of(t, h),
                              .call = h->call};
    tally_put_half(t, &half);
}

static void tally_parent_in(struct rollup_sink *sink, const struct rollup_parent *p) {
    struct tally *t = (struct tally *)sink;
    *vec_push(&t->parents) = (struct tally_parent){.key = rollup_half_key(p->trace_id, p->span_id),
                                                   .party = party_of(t, p->environment, p->space, p->service),
                                                   .start_minute = (uint32_t)(p->start_ns / rollup_minute_ns)};
}

void tally_begin_batch(struct tally *t) { t->last_party = t->last_peer = 0; }

static const struct rollup_sink_functions tally_sink = {tally_key, tally_add, tally_half_in, tally_parent_in};

void tally_init(struct tally *t, struct rollup_names *names, int64_t step_ns) {
    *t = (struct tally){.sink = {&tally_sink}, .names = names, .step_ns = step_ns, .buckets = true, .exemplars = true};
    arena_init(&t->memory, SIZE_MAX);
    strings_init(&t->keys);
    strings_init(&t->parties);
    strings_init(&t->pairs);
    strings_intern(&t->parties, (struct str){"", 0});
    buf_init(&t->scratch, SIZE_MAX);
}

void tally_done(struct tally *t) {
    if (t->budget) budget_give(t->budget, t->drawn_bytes);
    arena_done(&t->memory);
    strings_done(&t->keys);
    mem_free(t->asked);
    strings_done(&t->parties);
    strings_done(&t->pairs);
    vec_done(&t->edges);
    vec_done(&t->last);
    vec_done(&t->rows);
    vec_done(&t->clients);
    vec_done(&t->servers);
    vec_done(&t->parents);
    mem_free(t->parent_filter.bits);
    mem_free(t->slots);
    mem_free(t->client_slots);
    mem_free(t->client_next);
    buf_done(&t->scratch);
}

uint64_t tally_bytes(const struct tally *t) {
    uint64_t texts = t->keys.heap_capacity + t->parties.heap_capacity +
                     (t->asked ? ((uint64_t)t->asked_mask + 1) * sizeof *t->asked : 0);
    uint64_t slots =
        (t->slots ? t->slot_mask + 1 : 0) + (t->client_slots ? t->client_mask + 1 + (t->client_mask + 1) / 2 : 0);
    return t->memory.used_bytes + texts + slots * sizeof(uint32_t) + t->rows.capacity * sizeof *t->rows.v +
           (t->clients.capacity + t->servers.capacity) * sizeof(struct tally_half) +
           t->parents.capacity * sizeof *t->parents.v + (t->parent_filter.bits ? t->parent_filter.mask / 8u + 1 : 0) +
           t->last.capacity * sizeof *t->last.v;
}

err tally_draw(struct tally *t) {
    uint64_t bytes = tally_bytes(t);
    if (t->limit_bytes && bytes > t->limit_bytes)
        return err_new(ERR_LIMIT, "the rollups of this range take over %llu MiB: ask for less of it, or larger steps",
                       (unsigned long long)(t->limit_bytes / MIB));
    if (!t->budget || bytes <= t->drawn_bytes) return NULL;
    if (!budget_take(t->budget, bytes - t->drawn_bytes)) return budget_err(t->budget, "rollups are added up");
    t->drawn_bytes = bytes;
    return NULL;
}

void tally_draw_always(struct tally *t) {
    uint64_t bytes = tally_bytes(t);
    if (!t->budget || bytes <= t->drawn_bytes) return;
    budget_take_always(t->budget, bytes - t->drawn_bytes);
    t->drawn_bytes = bytes;
}
