/* All ids of a range, their traces, and the rows of these. */
#include "query/correlations.h"

#include "base/hash.h"
#include "base/map.h"
#include "base/vec.h"
#include "query/correlation.h"
#include "query/query_priv.h"

enum { SPAN_FAILED = 2, PAIRS_PER_TRACE = 2, ROWS_FIRST = 4096, CHARGED_PER_TEXT = 64 };
enum { UNKNOWN = UINT32_MAX - 1 }; /* of a code: not looked up yet */

enum {
    COLUMN_ID,
    COLUMN_TRACE,
    PAIR_COLUMNS,
    COLUMN_TIME = PAIR_COLUMNS,
    COLUMN_SPAN,
    COLUMN_SERVICE,
    LOG_COLUMNS,
    COLUMN_PARENT = LOG_COLUMNS,
    COLUMN_DURATION,
    COLUMN_STATUS,
    COLUMN_KIND,
    COLUMN_NAME,
    SPAN_COLUMNS
};
static const size_t column_counts[SIGNALS] = {SPAN_COLUMNS, LOG_COLUMNS};

typedef VEC(uint32_t) codes;

struct lister {
    struct query *q;
    const struct query_correlations *r;
    uint32_t ids_max, traces_max, rows_max;
    struct column_ref columns[SPAN_COLUMNS];
    struct strings ids, texts, traces, pairs; /* a pair: trace and id as bytes */
    VEC(bool) listed;                         /* of ids: what is asked for, not only in the way of others */
    uint32_t listed_count;
    struct query_id_row *rows;
    size_t n, n_all, capacity;
    codes id_of, service_of, name_of; /* of the codes of one chunk */
    enum signal signal;               /* of the scan that runs */
    bool keeps;                       /* it keeps rows of known traces; else it finds ids, and keeps rows of no trace */
    bool has_all_columns, saw_traceless_spans, cut;
};

/* ---- numbers ---------------------------------------------------------------------------------------------------- */

static err charge_text(struct lister *l, struct str text) { return query_charge(l->q, text.n + CHARGED_PER_TEXT); }

static bool has_trace(const unsigned char *trace) {
    static const unsigned char zero[16];
    return memcmp(trace, zero, sizeof zero) != 0;
}

static bool is_searched(const struct lister *l, struct str id) {
    struct str want = l->r->search;
    if (!want.n) return true;
    for (size_t i = 0; i + want.n <= id.n; i++)
        if (str_equal_nocase((struct str){id.p + i, want.n}, want)) return true;
    return false;
}

/* The number of an id, QUERY_NO_ID without one. `lists`: it is one that is asked for, if it is searched and there is room. */
static err number_id(struct lister *l, struct str id, bool lists, uint32_t *out) {
    *out = QUERY_NO_ID;
    if (!id.n || id.n > QUERY_ID_BYTES_MAX) return NULL;
    if (strings_find(&l->ids, id, out) && (!lists || l->listed.v[*out])) return NULL;
    if (lists && (!is_searched(l, id) || l->listed_count == l->ids_max)) {
        l->cut |= l->listed_count == l->ids_max;
        return NULL;
    }
    if (*out == QUERY_NO_ID) {
        TRY(charge_text(l, id));
        *out = strings_intern(&l->ids, id);
        *vec_push(&l->listed) = false;
    }
    l->listed.v[*out] = lists;
    l->listed_count += lists;
    return NULL;
}

static err number_text(struct lister *l, struct str text, uint32_t *out) {
    if (strings_find(&l->texts, text, out)) return NULL;
    *out = QUERY_IDS_TEXTS_MAX;
    if (l->texts.n == QUERY_IDS_TEXTS_MAX) return NULL;
    TRY(charge_text(l, text));
    *out = strings_intern(&l->texts, text);
    return NULL;
}

static void forget_codes(codes *of, const struct vector *v) {
    vec_clear(of);
    vec_reserve(of, v->text_count + 1);
    of->n = v->text_count;
    for (uint32_t i = 0; i < v->text_count; i++) of->v[i] = UNKNOWN;
}

/* The number of a row's text, each code looked up once a chunk. */
static err number_of_code(struct lister *l, codes *of, const struct vector *v, uint32_t i, uint32_t *out) {
    uint32_t code = v->codes[i];
    struct str text = vector_text(v, i);
    bool known = code != CODE_ABSENT && of->v[code] != UNKNOWN;
    if (known) {
        *out = of->v[code];
        return NULL;
    }
    if (of == &l->id_of)
        TRY(number_id(l, text, !l->keeps, out));
    else
        TRY(number_text(l, of == &l->service_of ? service_or_unknown(text) : text, out));
    if (code != CODE_ABSENT) of->v[code] = *out;
    return NULL;
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

/* False: there are as many as may be. */
static err add_row(struct lister *l, const struct query_id_row *row) {
    if (l->n == l->rows_max) {
        l->cut = true;
        return NULL;
    }
    if (l->n == l->capacity) {
        size_t more = MIN(MAX(2 * l->capacity, (size_t)ROWS_FIRST), (size_t)l->rows_max);
        struct query_id_row *rows = arena_alloc(&l->q->arena, more * sizeof *rows);
        if (!rows) return arena_err(&l->q->arena);
        if (l->n) memcpy(rows, l->rows, l->n * sizeof *rows);
        l->rows = rows;
        l->capacity = more;
    }
    l->rows[l->n++] = *row;
    return NULL;
}

static err keep_row(struct lister *l, const struct vector *c, uint32_t i, uint32_t trace, uint32_t id) {
    struct query_id_row row = {.time = time_of(c[COLUMN_TIME].u64[i]),
                               .span_id = c[COLUMN_SPAN].u64[i],
                               .trace = trace,
                               .id = id,
                               .signal = (uint8_t)l->signal};
    TRY(number_of_code(l, &l->service_of, &c[COLUMN_SERVICE], i, &row.service));
    if (l->signal == SIGNAL_SPANS) {
        int64_t duration = (int64_t)c[COLUMN_DURATION].u64[i];
        row.duration = MAX(duration, 0);
        row.parent_id = c[COLUMN_PARENT].u64[i];
        row.kind = (uint8_t)MIN(c[COLUMN_KIND].u64[i], (uint64_t)UINT8_MAX);
        row.failed = c[COLUMN_STATUS].u64[i] == SPAN_FAILED;
        TRY(number_of_code(l, &l->name_of, &c[COLUMN_NAME], i, &row.operation));
    }
    return add_row(l, &row);
}

static struct str pair_of(uint32_t pair[2]) { return (struct str){(const char *)pair, 2 * sizeof *pair}; }

static err admit_pair(struct lister *l, const unsigned char *trace, uint32_t id) {
    struct str text = {(const char *)trace, 16};
    uint32_t pair[2] = {0, id};
    if (!strings_find(&l->traces, text, &pair[0])) {
        if (l->traces.n == l->traces_max) {
            l->cut = true;
            return NULL;
        }
        TRY(charge_text(l, text));
        pair[0] = strings_intern(&l->traces, text);
    }
    uint32_t known;
    if (id == QUERY_NO_ID || strings_find(&l->pairs, pair_of(pair), &known)) return NULL;
    if (l->pairs.n >= PAIRS_PER_TRACE * l->traces_max) {
        l->cut = true;
        return NULL;
    }
    TRY(charge_text(l, pair_of(pair)));
    strings_intern(&l->pairs, pair_of(pair));
    return NULL;
}

/* A row that may carry an id. */
static err find_row(struct lister *l, const struct vector *c, uint32_t i) {
    const unsigned char *trace = c[COLUMN_TRACE].id16 + 16 * (size_t)i;
    uint32_t id;
    TRY(number_of_code(l, &l->id_of, &c[COLUMN_ID], i, &id));
    if (has_trace(trace)) return id != QUERY_NO_ID || l->r->derived ? admit_pair(l, trace, id) : NULL;
    if (id == QUERY_NO_ID) return NULL;
    if (l->has_all_columns) return keep_row(l, c, i, QUERY_NO_TRACE, id);
    l->saw_traceless_spans = true;
    return NULL;
}

static err keep_known(struct lister *l, const struct vector *c, uint32_t i) {
    struct str trace = {(const char *)c[COLUMN_TRACE].id16 + 16 * (size_t)i, 16};
    uint32_t number, id;
    if (!strings_find(&l->traces, trace, &number)) return NULL;
    TRY(number_of_code(l, &l->id_of, &c[COLUMN_ID], i, &id));
    return keep_row(l, c, i, number, id);
}

static enum scan_next on_rows(void *context, const struct picked *rows, err *out_error) {
    struct lister *l = context;
    const struct vector *c = rows->chunk->columns;
    forget_codes(&l->id_of, &c[COLUMN_ID]);
    if (l->has_all_columns) forget_codes(&l->service_of, &c[COLUMN_SERVICE]);
    if (l->has_all_columns && l->signal == SIGNAL_SPANS) forget_codes(&l->name_of, &c[COLUMN_NAME]);
    for (uint32_t k = rows->n; k-- > 0;) { /* the last are the newest: a limit cuts the oldest */
        uint32_t i = picked_at(rows, k);
        if ((*out_error = l->keeps ? keep_known(l, c, i) : find_row(l, c, i))) return SCAN_STOP;
    }
    if (!l->keeps || l->n < l->rows_max) return SCAN_GO_ON;
    l->cut |= rows->chunk->rest_time_max != INT64_MIN;
    return SCAN_STOP;
}

/* ---- scans ------------------------------------------------------------------------------------------------------ */

static err scan(struct lister *l, enum signal signal, const struct query_filter *f, size_t columns) {
    struct matcher m;
    l->signal = signal;
    l->has_all_columns = columns == column_counts[signal];
    TRY(matcher_make(l->q, signal, f, &m));
    return query_scan(l->q, &m, l->columns, columns, on_rows, l);
}

static err find_ids(struct lister *l) {
    struct query_filter f;
    query_filter_init(&f);
    f.time_min = l->r->time_min;
    f.time_max = l->r->time_max;
    f.environment = l->r->environment;
    if (!l->r->derived) {
        f.where_count = 1;
        TRY(predicate_make(&l->q->arena, l->columns[COLUMN_ID], OP_EXISTS, STR(""), &f.where[0]));
    }
    TRY(scan(l, SIGNAL_SPANS, &f, PAIR_COLUMNS));
    if (l->saw_traceless_spans) TRY(scan(l, SIGNAL_SPANS, &f, SPAN_COLUMNS));
    return scan(l, SIGNAL_LOGS, &f, LOG_COLUMNS);
}

static int64_t later(int64_t time, int64_t by) {
    int64_t sum;
    if (__builtin_add_overflow(time, by, &sum)) return by < 0 ? INT64_MIN : INT64_MAX;
    return sum;
}

static err keep_rows(struct lister *l) {
    struct query_filter f;
    query_filter_init(&f);
    f.time_min = later(l->r->time_min, -QUERY_IDS_MARGIN_NS);
    f.time_max = later(l->r->time_max, QUERY_IDS_MARGIN_NS);
    l->keeps = true;
    if (!l->traces.n) return NULL;
    for (int s = 0; s < SIGNALS; s++) TRY(scan(l, (enum signal)s, &f, column_counts[s]));
    return NULL;
}

/* ---- the rows that are given ------------------------------------------------------------------------------------ */

/* Spans that were sent twice go (11). */
static err drop_equal(struct lister *l) {
    size_t mask = 16, n = 0;
    while (mask < 2 * l->n) mask *= 2;
    uint32_t *slots = arena_zero(&l->q->arena, mask * sizeof *slots);
    if (!slots) return arena_err(&l->q->arena);
    mask--;
    for (size_t i = 0; i < l->n; i++) {
        struct query_id_row row = l->rows[i];
        bool again = false;
        size_t at = hash_keyed((uint64_t)row.time ^ hash_u64(row.trace), row.span_id) & mask;
        for (; row.signal == SIGNAL_SPANS && slots[at] && !again; at = (at + 1) & mask) {
            const struct query_id_row *other = &l->rows[slots[at] - 1];
            again = other->trace == row.trace && other->span_id == row.span_id && other->time == row.time;
        }
        if (again) continue;
        l->rows[n++] = row;
        if (row.signal == SIGNAL_SPANS) slots[at] = (uint32_t)n;
    }
    l->n = n;
    return query_check(l->q);
}

/* The copies stand in the arena, in order of their numbers; NULL: it is full. */
static struct str *copy_texts(struct lister *l, const struct strings *from, struct str last) {
    struct str *texts = arena_array(&l->q->arena, struct str, from->n + 1);
    for (uint32_t i = 0; texts && i < from->n; i++) texts[i] = query_keep(l->q, strings_get(from, i));
    if (texts) texts[from->n] = last;
    return texts;
}

/* The id of a trace that has none; QUERY_NO_ID: it is not listed. */
static err derive_id(struct lister *l, uint32_t trace, uint32_t *out) {
    uint32_t pair[2] = {trace};
    struct str id = query_derived_id(l->q, l->r->prefix, (const unsigned char *)strings_get(&l->traces, trace).p);
    TRY(number_id(l, id, true, &pair[1]));
    *out = pair[1];
    if (pair[1] == QUERY_NO_ID || !l->listed.v[pair[1]]) return NULL;
    TRY(charge_text(l, pair_of(pair)));
    strings_intern(&l->pairs, pair_of(pair));
    return NULL;
}

static err derive(struct lister *l) {
    enum { NOT_YET, DONE };
    struct {
        uint32_t state, id;
    } *of = arena_zero(&l->q->arena, ((size_t)l->traces.n + 1) * sizeof *of); /* made once a trace */
    if (!of) return arena_err(&l->q->arena);
    for (size_t i = 0; i < l->n; i++) {
        struct query_id_row *row = &l->rows[i];
        if (row->id != QUERY_NO_ID || row->trace == QUERY_NO_TRACE) continue;
        if (of[row->trace].state == NOT_YET) TRY(derive_id(l, row->trace, &of[row->trace].id));
        of[row->trace].state = DONE;
        row->id = of[row->trace].id;
        row->from = QUERY_ID_DERIVED;
    }
    return NULL;
}

static bool is_listed(const struct lister *l, const struct query_id_row *row) {
    uint32_t pair[2] = {row->trace, row->id}, known;
    if (row->id == QUERY_NO_ID || !l->listed.v[row->id]) return false;
    return row->trace == QUERY_NO_TRACE || strings_find(&l->pairs, pair_of(pair), &known);
}

/* To the front; behind them what else tells of clocks. */
static err keep_listed(struct lister *l, const bool *apart) {
    size_t n = 0, all = 0;
    bool *listed = arena_array(&l->q->arena, bool, l->n + 1);
    if (!listed) return arena_err(&l->q->arena);
    for (size_t i = 0; i < l->n; i++) {
        struct query_id_row row = l->rows[i];
        listed[all] = is_listed(l, &row);
        if (listed[all] || (row.trace != QUERY_NO_TRACE && apart[row.trace])) l->rows[all++] = row;
    }
    for (size_t i = 0; i < all; i++) {
        struct query_id_row row = l->rows[i];
        if (!listed[i]) continue;
        l->rows[i] = l->rows[n];
        l->rows[n++] = row;
    }
    l->n = n;
    l->n_all = all;
    return NULL;
}

static bool *any_of(bool *v, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (v[i]) return v;
    return NULL;
}

static err give(struct lister *l, struct query_correlations_answer *out) {
    struct arena *a = &l->q->arena;
    TRY(drop_equal(l));
    const struct str *ids = copy_texts(l, &l->ids, STR(""));
    bool *apart = arena_array(a, bool, l->traces.n + 1);
    if (!ids || !apart) return arena_err(a);
    TRY(query_id_rows_resolve(l->q, l->rows, l->n, l->traces.n, ids, apart));
    if (l->r->derived && l->r->prefix.n && !l->r->attribute.n) {
        TRY(derive(l));
        ids = copy_texts(l, &l->ids, STR(""));
    }
    TRY(keep_listed(l, apart));
    const struct str *texts = copy_texts(l, &l->texts, STR("_other"));
    unsigned char(*traces)[16] = arena_alloc(a, ((size_t)l->traces.n + 1) * sizeof *traces);
    if (!ids || !texts || !traces) return arena_err(a);
    for (uint32_t i = 0; i < l->traces.n; i++) memcpy(traces[i], strings_get(&l->traces, i).p, sizeof *traces);
    *out = (struct query_correlations_answer){.rows = l->rows,
                                              .n = l->n,
                                              .n_all = l->n_all,
                                              .apart = any_of(apart, l->traces.n),
                                              .ids = ids,
                                              .id_count = l->ids.n,
                                              .texts = texts,
                                              .text_count = l->texts.n,
                                              .traces = (const unsigned char(*)[16])traces,
                                              .trace_count = l->traces.n,
                                              .cut = l->cut};
    return query_settle(l->q);
}

static err list(struct lister *l, struct query_correlations_answer *out) {
    TRY(find_ids(l));
    TRY(keep_rows(l));
    return give(l, out);
}

static uint32_t limit_of(uint32_t asked, uint32_t most) { return asked ? MIN(asked, most) : most; }

err query_correlations(struct query *q, const struct query_correlations *r, struct query_correlations_answer *out) {
    struct lister l = {.q = q,
                       .r = r,
                       .ids_max = limit_of(r->ids_max, QUERY_IDS_MAX),
                       .traces_max = limit_of(r->traces_max, QUERY_IDS_TRACES_MAX),
                       .rows_max = limit_of(r->rows_max, QUERY_IDS_ROWS_MAX),
                       .columns = {[COLUMN_TRACE] = FIELD_COLUMN(FIELD_TRACE_ID),
                                   [COLUMN_TIME] = FIELD_COLUMN(FIELD_TIME),
                                   [COLUMN_SPAN] = FIELD_COLUMN(FIELD_SPAN_ID),
                                   [COLUMN_SERVICE] = RESOURCE_COLUMN("service.name"),
                                   [COLUMN_PARENT] = FIELD_COLUMN(FIELD_PARENT_ID),
                                   [COLUMN_DURATION] = FIELD_COLUMN(FIELD_DURATION),
                                   [COLUMN_STATUS] = FIELD_COLUMN(FIELD_STATUS),
                                   [COLUMN_KIND] = FIELD_COLUMN(FIELD_KIND),
                                   [COLUMN_NAME] = FIELD_COLUMN(FIELD_NAME)}};
    if (r->time_min > r->time_max) return err_new(ERR_INVALID, "the range ends before it starts");
    TRY(query_id_column(q, r->attribute, &l.columns[COLUMN_ID]));
    struct strings *const all[] = {&l.ids, &l.texts, &l.traces, &l.pairs};
    codes *const of[] = {&l.id_of, &l.service_of, &l.name_of};
    for (size_t i = 0; i < LENGTH(all); i++) strings_init(all[i]);
    err e = list(&l, out);
    for (size_t i = 0; i < LENGTH(all); i++) strings_done(all[i]);
    for (size_t i = 0; i < LENGTH(of); i++) vec_done(of[i]);
    vec_done(&l.listed);
    return e;
}
