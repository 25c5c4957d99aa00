/* What telemetry takes at rest: sums over what the parts tell of themselves; and in a sample, how many values differ. */
#include "query/storage.h"

#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/vec.h"
#include "query/query_priv.h"

enum { NAMES_MAX = 100000, NAME_BYTES_MAX = 4 << 10, KEY_HEAD_BYTES = 3 };
static const struct str other_name = {"_other", 6};
static const int64_t day_ns = 86400 * (int64_t)1000000000;

struct storage {
    struct query *q;
    const struct query_storage *r;
    struct query_storage_signal *out;
    bool in_memory; /* what is told now */
    struct strings column_keys, service_keys;
    VEC(struct query_storage_column) columns;
    VEC(struct query_storage_service) services;
    VEC(struct query_storage_day) days;
    struct arena scratch; /* of one resource */
    err error;            /* of a callback that cannot return it */
};

/* ---- parts and days --------------------------------------------------------------------------------------------- */

static void add_amount(struct query_amount *to, const struct size_part *p) {
    to->parts++;
    to->rows += p->rows;
    to->bytes += p->bytes;
}

static void add_day(struct storage *s, const struct size_part *p) {
    int64_t start = p->time_min - ((p->time_min % day_ns) + day_ns) % day_ns;
    for (size_t i = s->days.n; i-- > 0;)
        if (s->days.v[i].start == start) {
            add_amount(&s->days.v[i].parts, p);
            return;
        }
    if (!s->error) s->error = query_charge(s->q, sizeof(struct query_storage_day));
    if (s->error) return;
    *vec_push(&s->days) = (struct query_storage_day){start, {0}};
    add_amount(&s->days.v[s->days.n - 1].parts, p);
}

static void on_part(void *context, const struct size_part *p) {
    struct storage *s = context;
    s->in_memory = p->id == 0;
    s->out->time_min = MIN(s->out->time_min, p->time_min);
    s->out->time_max = MAX(s->out->time_max, p->time_max);
    if (s->in_memory) {
        s->out->memory_rows += p->rows;
        s->out->memory_bytes += p->bytes;
        return;
    }
    s->out->groups += p->groups;
    add_amount(&s->out->parts, p);
    for (size_t i = 0; i < s->r->older_count; i++)
        if (p->time_max < s->r->older[i]) add_amount(&s->out->older[i], p);
    add_day(s, p);
}

/* ---- columns and services --------------------------------------------------------------------------------------- */

/* A long name counts by its beginning. */
static struct str name_begin(struct str name) { return (struct str){name.p, MIN(name.n, (size_t)NAME_BYTES_MAX)}; }

/* The number of a name, new or known. Those over NAMES_MAX share the one of `*other`, which then takes the name's place. */
static bool number_of(struct storage *s, struct strings *keys, struct str *key, struct str other, size_t entry_bytes,
                      uint32_t *out) {
    if (s->error) return false;
    if (strings_find(keys, *key, out)) return true;
    if (keys->n >= NAMES_MAX) *key = other;
    if (strings_find(keys, *key, out)) return true;
    s->error = query_charge(s->q, 2 * key->n + entry_bytes);
    if (s->error) return false;
    *out = strings_intern(keys, *key);
    return true;
}

static void on_piece(void *context, const struct size_piece *p) {
    struct storage *s = context;
    AUTO_BUF struct buf key;
    uint32_t i;
    s->out->bytes_by_kind[p->kind] += p->bytes;
    buf_init(&key, MIB);
    buf_add_byte(&key, (char)p->kind);
    buf_add_byte(&key, (char)p->set);
    buf_add_byte(&key, (char)p->type);
    buf_add_str(&key, name_begin(p->name));
    char other[KEY_HEAD_BYTES + 6];
    memcpy(other, key.p, KEY_HEAD_BYTES);
    memcpy(other + KEY_HEAD_BYTES, other_name.p, other_name.n);
    struct str whole = buf_str(&key);
    if (!number_of(s, &s->column_keys, &whole, (struct str){other, sizeof other}, sizeof(struct query_storage_column),
                   &i))
        return;
    struct str name = {whole.p + KEY_HEAD_BYTES, whole.n - KEY_HEAD_BYTES};
    if (i == s->columns.n)
        *vec_push(&s->columns) = (struct query_storage_column){
            .kind = p->kind, .set = p->set, .type = p->type, .name = query_keep(s->q, name)};
    s->columns.v[i].bytes += p->bytes;
    s->columns.v[i].values += p->values;
}

static void on_resource(void *context, const struct batch *b, uint32_t resource, uint64_t rows, uint64_t bytes) {
    struct storage *s = context;
    uint32_t i;
    arena_clear(&s->scratch);
    struct str name = name_begin(query_resource_service(b, resource, &s->scratch));
    if (!number_of(s, &s->service_keys, &name, other_name, sizeof(struct query_storage_service), &i)) return;
    if (i == s->services.n) *vec_push(&s->services) = (struct query_storage_service){.service = query_keep(s->q, name)};
    struct query_storage_service *service = &s->services.v[i];
    if (s->in_memory) {
        service->memory_rows += rows;
    } else {
        service->rows += rows;
        service->bytes += bytes;
    }
}

/* ---- how many values differ: HyperLogLog, small counts by empty registers --------------------------------------- */

enum { REGISTER_BITS = 10, REGISTERS = 1 << REGISTER_BITS };

struct sketch {
    uint64_t values;
    uint8_t registers[REGISTERS];
};

static void sketch_add(struct sketch *s, struct str text) {
    uint64_t hash = hash_bytes(text.p, text.n);
    uint64_t rest = hash << REGISTER_BITS | 1ull << (REGISTER_BITS - 1);
    uint8_t rank = (uint8_t)(__builtin_clzll(rest) + 1), *r = &s->registers[hash >> (64 - REGISTER_BITS)];
    s->values++;
    *r = MAX(*r, rank);
}

static uint64_t sketch_count(const struct sketch *s) {
    double sum = 0;
    int empty = 0;
    for (int i = 0; i < REGISTERS; i++) {
        sum += ldexp(1, -s->registers[i]);
        empty += s->registers[i] == 0;
    }
    double count = 0.7213 / (1 + 1.079 / REGISTERS) * REGISTERS * REGISTERS / sum;
    if (count <= 2.5 * REGISTERS && empty) count = REGISTERS * log((double)REGISTERS / empty);
    return MIN((uint64_t)(count + 0.5), s->values);
}

struct sample {
    size_t columns;
    uint64_t rows;
    struct sketch sketches[SCAN_COLUMNS_MAX];
};

static enum scan_next on_sample(void *context, const struct picked *rows, err *out_error) {
    struct sample *s = context;
    (void)out_error;
    for (size_t c = 0; c < s->columns; c++) {
        const struct vector *v = &rows->chunk->columns[c];
        for (uint32_t k = 0; k < rows->n; k++) {
            uint32_t i = picked_at(rows, k);
            if (v->type == VECTOR_ID16)
                sketch_add(&s->sketches[c], str_span(v->id16 + 16 * (size_t)i, 16));
            else if (v->codes[i] != CODE_ABSENT)
                sketch_add(&s->sketches[c], v->texts[v->codes[i]]);
        }
    }
    s->rows += rows->n;
    return s->rows >= QUERY_SAMPLE_ROWS ? SCAN_STOP : SCAN_GO_ON;
}

/* Attributes of the rows themselves, and texts: numbers as times differ always and mean nothing. */
static bool wants_sample(const struct query_storage_column *c, struct column_ref *out) {
    if (c->set != SET_ROWS) return false;
    if (c->kind == SIZE_ATTRIBUTE) {
        *out = (struct column_ref){.target = TARGET_ATTRIBUTE, .key = c->name};
        return true;
    }
    for (int f = 0; c->kind == SIZE_FIELD && f < FIELDS; f++) {
        bool text = field_rows[f].type == FIELD_STRING || field_rows[f].type == FIELD_ID16;
        if (!text || !str_equal(c->name, str_of(field_rows[f].name))) continue;
        *out = COLUMN_FIELD((enum field)f);
        return true;
    }
    return false;
}

/* From column `first` on as many as one scan takes; returns where it ended. */
static err sample_columns(struct storage *s, enum signal signal, size_t *first, size_t n) {
    struct column_ref wanted[SCAN_COLUMNS_MAX - 4]; /* a matcher may want some of its own */
    size_t of[LENGTH(wanted)];
    struct query_filter all;
    struct matcher m;
    struct sample *sample = arena_new(&s->q->arena, struct sample);
    if (!sample) return arena_err(&s->q->arena);
    for (; *first < n && sample->columns < LENGTH(wanted); ++*first) {
        if (!wants_sample(&s->columns.v[*first], &wanted[sample->columns])) continue;
        of[sample->columns++] = *first;
    }
    if (!sample->columns) return NULL;
    query_filter_init(&all);
    all.time_min = s->r->time_min;
    all.time_max = s->r->time_max;
    TRY(matcher_make(s->q, signal, &all, &m));
    TRY(query_scan(s->q, &m, wanted, sample->columns, on_sample, sample));
    for (size_t i = 0; i < sample->columns; i++) {
        s->columns.v[of[i]].sampled = sample->sketches[i].values;
        s->columns.v[of[i]].distinct = sketch_count(&sample->sketches[i]);
    }
    return NULL;
}

/* ---- the answer ------------------------------------------------------------------------------------------------- */

/* Most bytes first; ties by what they are, so that an answer is the same every time. */
static int by_column_bytes(const void *x, const void *y) {
    const struct query_storage_column *a = x, *b = y;
    if (a->bytes != b->bytes) return a->bytes < b->bytes ? 1 : -1;
    int order = str_compare(a->name, b->name);
    if (order == 0) order = (int)a->kind - (int)b->kind;
    if (order == 0) order = (int)a->set - (int)b->set;
    return order ? order : (int)a->type - (int)b->type;
}

static int by_service_bytes(const void *x, const void *y) {
    const struct query_storage_service *a = x, *b = y;
    if (a->bytes != b->bytes) return a->bytes < b->bytes ? 1 : -1;
    if (a->memory_rows != b->memory_rows) return a->memory_rows < b->memory_rows ? 1 : -1;
    return str_compare(a->service, b->service);
}

static int by_start(const void *x, const void *y) {
    const struct query_storage_day *a = x, *b = y;
    return (a->start > b->start) - (a->start < b->start);
}

/* Sorts a list and puts a copy of its first `max` into the query's memory. */
#define LIST(s, vec, compare, max, out_list, out_count)                                                                \
    do {                                                                                                               \
        if ((vec)->n) qsort((vec)->v, (vec)->n, sizeof *(vec)->v, (compare));                                          \
        *(out_count) = MIN((vec)->n, (max));                                                                           \
        void *copy_ = arena_alloc(&(s)->q->arena, (*(out_count) + 1) * sizeof *(vec)->v);                              \
        if (!copy_) return arena_err(&(s)->q->arena);                                                                  \
        if (*(out_count)) memcpy(copy_, (vec)->v, *(out_count) * sizeof *(vec)->v);                                    \
        *(out_list) = copy_;                                                                                           \
    } while (0)

static err list_all(struct storage *s, enum signal signal) {
    struct query_storage_signal *out = s->out;
    size_t listed = MIN(s->columns.n, s->r->columns_max);
    if (s->columns.n) qsort(s->columns.v, s->columns.n, sizeof *s->columns.v, by_column_bytes);
    for (size_t first = 0; s->r->distinct && first < listed;) TRY(sample_columns(s, signal, &first, listed));
    LIST(s, &s->columns, by_column_bytes, s->r->columns_max, &out->columns, &out->column_count);
    LIST(s, &s->services, by_service_bytes, s->r->services_max, &out->services, &out->service_count);
    LIST(s, &s->days, by_start, SIZE_MAX, &out->days, &out->day_count);
    out->columns_all = s->columns.n;
    out->services_all = s->services.n;
    return query_settle(s->q);
}

static err collect(struct storage *s, enum signal signal) {
    bool whole = s->r->columns_max || s->r->services_max;
    struct size_sink sink = {.part = on_part, .context = s};
    struct scan_request range = query_range(s->q, s->r->time_min, s->r->time_max);
    struct snapshot *sn;
    if (whole) sink.piece = on_piece;
    if (whole) sink.resource = on_resource;
    TRY(query_check(s->q));
    TRY(query_snapshot(s->q, signal, &sn));
    TRY(snapshot_sizes(sn, &range, &sink, &s->q->stats));
    if (s->error) return take(&s->error);
    return list_all(s, signal);
}

static err count_signal(struct query *q, const struct query_storage *r, enum signal signal,
                        struct query_storage_signal *out) {
    struct storage s = {.q = q, .r = r, .out = out};
    *out = (struct query_storage_signal){.time_min = INT64_MAX, .time_max = INT64_MIN};
    strings_init(&s.column_keys);
    strings_init(&s.service_keys);
    arena_init(&s.scratch, q->options.memory_max_bytes);
    err e = collect(&s, signal);
    err_free(s.error);
    arena_done(&s.scratch);
    strings_done(&s.column_keys);
    strings_done(&s.service_keys);
    vec_done(&s.columns);
    vec_done(&s.services);
    vec_done(&s.days);
    return e;
}

err query_storage(struct query *q, const struct query_storage *r, struct query_storage_signal out[SIGNALS]) {
    assert(r->older_count <= QUERY_OLDER_MAX);
    if (r->time_min > r->time_max) return err_new(ERR_INVALID, "the range ends before it starts");
    for (int s = 0; s < SIGNALS; s++)
        if (r->signals[s]) TRY(count_signal(q, r, (enum signal)s, &out[s]));
    return NULL;
}
