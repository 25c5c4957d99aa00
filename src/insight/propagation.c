#include "insight/propagation.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/map.h"
#include "base/vec.h"

enum { NONE = UINT32_MAX, KIND_SERVER = 2, KIND_CLIENT = 3, KIND_PRODUCER = 4, KIND_CONSUMER = 5 };
enum { TRIES_MAX = 64, LIKELY_MIN = 3, EDGES_MAX = 10000, CANDIDATES_MAX = 20000, CHECKED_MAX = 50 };

const char *const propagation_kind_names[PROPAGATION_KINDS] = {
    [PROPAGATION_LOST_TRACE] = "lost_trace",
    [PROPAGATION_MISSING_PARENT] = "missing_parent",
    [PROPAGATION_LOST_ID] = "lost_id",
    [PROPAGATION_LOG_WITHOUT_TRACE] = "log_without_trace",
    [PROPAGATION_LOG_WITHOUT_ID] = "log_without_id",
};
const char *const propagation_certainty_names[PROPAGATION_CERTAINTIES] = {"possible", "likely", "certain"};

struct trace {
    uint64_t missing; /* the first parent that is not there */
    uint32_t id;      /* the first correlation id that came with one of its spans; QUERY_NO_CONTEXT: none */
    bool has_root, misses, misses_several, is_under_way;
};

/* Calls of one service to another. */
struct edge {
    uint32_t caller, service;
    uint64_t calls, unanswered, lost, proved;
    uint64_t with_id, lost_id;
    uint64_t served, outside; /* calls that tell of clocks; which say that they are apart */
    int64_t ahead_ns;         /* the service's clock of the caller's, if most of them say so */
    bool by_message;          /* of the lost, some */
    struct propagation_sample samples[2][PROPAGATION_SAMPLES]; /* of lost traces, of lost ids */
    uint32_t sample_count[2];
};

/* By how much one answered call says that the callee's clock is ahead. */
struct offset {
    uint32_t edge;
    int64_t ahead_ns;
};

/* What has no other end so far: a call, or the first span of a trace. */
struct half {
    uint32_t service; /* that is called: of a call which names nobody it is NONE */
    uint32_t id, row;
    int64_t time, ahead_ns; /* ahead: of a call, the clock of the service that it names */
    bool used;
};

struct maker {
    struct arena *a;
    const struct query_contexts_answer *in;
    uint32_t *slots; /* (trace, span id) → row + 1 */
    size_t mask;
    struct trace *traces;
    bool *is_answered, *is_again;         /* rows */
    struct propagation_service *services; /* by number of their text */
    struct strings service_ids;           /* (trace, service): its spans there came with an id */
    struct strings edge_keys;
    VEC(struct edge) edges;
    VEC(struct offset) offsets;
    VEC(struct half) calls, roots;
    VEC(struct propagation_finding) findings;
    struct propagation_sample (*missing)[PROPAGATION_SAMPLES], (*log_id)[PROPAGATION_SAMPLES]; /* by service */
    uint32_t *missing_count, *log_id_count;                                                    /* samples there are */
    uint64_t *logs_in_id, *logs_without_id;                                                    /* by service */
    struct propagation p;
};

/* ---- rows ------------------------------------------------------------------------------------------------------- */

static size_t slot_of(const struct maker *m, uint32_t trace, uint64_t span) {
    size_t at = hash_keyed(trace, span) & m->mask;
    for (; m->slots[at]; at = (at + 1) & m->mask) {
        const struct query_context_row *row = &m->in->rows[m->slots[at] - 1];
        if (row->trace == trace && row->span_id == span) break;
    }
    return at;
}

static uint32_t find_span(const struct maker *m, uint32_t trace, uint64_t span) {
    uint32_t found = span && trace != QUERY_NO_CONTEXT ? m->slots[slot_of(m, trace, span)] : 0;
    return found ? found - 1 : NONE;
}

static struct str pair_of(uint32_t pair[2]) { return (struct str){(const char *)pair, 2 * sizeof *pair}; }

static bool has_id_there(const struct maker *m, uint32_t trace, uint32_t service) {
    uint32_t pair[2] = {trace, service}, known;
    return strings_find(&m->service_ids, pair_of(pair), &known);
}

static void note_ids(struct maker *m, const struct query_context_row *row) {
    uint32_t pair[2] = {row->trace, row->service};
    if (row->id == QUERY_NO_CONTEXT || row->trace == QUERY_NO_CONTEXT) return;
    strings_intern(&m->service_ids, pair_of(pair));
    if (m->traces[row->trace].id == QUERY_NO_CONTEXT) m->traces[row->trace].id = row->id;
}

static err index_rows(struct maker *m) {
    const struct query_contexts_answer *in = m->in;
    m->mask = 16;
    while (m->mask < 2 * in->span_count) m->mask *= 2;
    m->slots = arena_zero(m->a, m->mask * sizeof *m->slots);
    m->traces = arena_array(m->a, struct trace, (size_t)in->trace_count + 1);
    m->is_answered = arena_array(m->a, bool, in->span_count + 1);
    m->is_again = arena_array(m->a, bool, in->span_count + 1);
    size_t services = (size_t)in->text_count + 1;
    m->services = arena_array(m->a, struct propagation_service, services);
    m->missing = arena_zero(m->a, services * sizeof *m->missing);
    m->log_id = arena_zero(m->a, services * sizeof *m->log_id);
    m->missing_count = arena_array(m->a, uint32_t, services);
    m->log_id_count = arena_array(m->a, uint32_t, services);
    m->logs_in_id = arena_array(m->a, uint64_t, services);
    m->logs_without_id = arena_array(m->a, uint64_t, services);
    TRY(arena_err(m->a));
    m->mask--;
    for (uint32_t i = 0; i < in->trace_count; i++) m->traces[i].id = QUERY_NO_CONTEXT;
    for (uint32_t i = 0; i < in->span_count; i++) {
        const struct query_context_row *row = &in->rows[i];
        size_t at = slot_of(m, row->trace, row->span_id);
        m->is_again[i] = m->slots[at] && in->rows[m->slots[at] - 1].time == row->time;
        if (!m->slots[at] || row->time < in->rows[m->slots[at] - 1].time) m->slots[at] = i + 1;
        note_ids(m, row);
    }
    return NULL;
}

/* ---- edges ------------------------------------------------------------------------------------------------------ */

/* NULL: there are as many as may be. */
static struct edge *edge(struct maker *m, uint32_t caller, uint32_t service) {
    uint32_t pair[2] = {caller, service}, at;
    if (strings_find(&m->edge_keys, pair_of(pair), &at)) return &m->edges.v[at];
    m->p.cut |= m->edges.n == EDGES_MAX;
    if (m->edges.n == EDGES_MAX) return NULL;
    strings_intern(&m->edge_keys, pair_of(pair));
    struct edge *e = vec_push(&m->edges);
    *e = (struct edge){.caller = caller, .service = service};
    return e;
}

static struct propagation_sample sample_of(const struct maker *m, const struct query_context_row *row,
                                           const struct query_context_row *other) {
    struct propagation_sample s = {.span_id = row->span_id, .other_span_id = other ? other->span_id : row->parent_id};
    if (row->trace != QUERY_NO_CONTEXT) memcpy(s.trace_id, m->in->traces[row->trace], 16);
    if (other && other->trace != QUERY_NO_CONTEXT) memcpy(s.other_trace_id, m->in->traces[other->trace], 16);
    return s;
}

/* Of different traces. */
static void add_sample(struct propagation_sample *v, uint32_t *n, struct propagation_sample s) {
    if (*n == PROPAGATION_SAMPLES) return;
    if (*n && memcmp(v[*n - 1].trace_id, s.trace_id, 16) == 0) return;
    v[(*n)++] = s;
}

static int64_t minus(int64_t a, int64_t b) {
    int64_t out;
    return __builtin_sub_overflow(a, b, &out) ? 0 : out;
}

/* A server that worked longer than its caller still begins while that is there. */
static void look_at_clocks(struct maker *m, struct edge *e, const struct query_context_row *parent,
                           const struct query_context_row *row) {
    if (row->kind != KIND_SERVER || parent->kind == KIND_PRODUCER || parent->kind == KIND_CONSUMER) return;
    int64_t lead = minus(row->time, parent->time), longer = minus(row->duration, parent->duration);
    int64_t over = longer > 0 ? minus(lead, parent->duration) : minus(lead, -longer);
    e->served++;
    if (lead >= -PROPAGATION_SKEW_NS && over <= PROPAGATION_SKEW_NS) return;
    e->outside++;
    *vec_push(&m->offsets) = (struct offset){(uint32_t)(e - m->edges.v), minus(lead, -(longer / 2))};
}

static int by_offset(const void *x, const void *y) {
    const struct offset *a = x, *b = y;
    if (a->edge != b->edge) return a->edge < b->edge ? -1 : 1;
    return (a->ahead_ns > b->ahead_ns) - (a->ahead_ns < b->ahead_ns);
}

/* The median. */
static void set_clocks(struct maker *m) {
    if (m->offsets.n) qsort(m->offsets.v, m->offsets.n, sizeof *m->offsets.v, by_offset);
    for (size_t i = 0; i < m->offsets.n; i += m->edges.v[m->offsets.v[i].edge].outside) {
        struct edge *e = &m->edges.v[m->offsets.v[i].edge];
        if (2 * e->outside > e->served) e->ahead_ns = m->offsets.v[i + e->outside / 2].ahead_ns;
    }
}

static void add_call(struct maker *m, const struct query_context_row *parent, const struct query_context_row *row) {
    struct edge *e = edge(m, parent->service, row->service);
    if (!e) return;
    e->calls++;
    look_at_clocks(m, e, parent, row);
    if (!has_id_there(m, row->trace, parent->service)) return;
    e->with_id++;
    if (has_id_there(m, row->trace, row->service)) return;
    e->lost_id++;
    add_sample(e->samples[1], &e->sample_count[1], sample_of(m, row, NULL));
}

/* ---- spans ------------------------------------------------------------------------------------------------------ */

static bool is_root(const struct query_context_row *row) {
    return row->parent_id == 0 && (row->kind == KIND_SERVER || row->kind == KIND_CONSUMER);
}
static bool is_caller(const struct query_context_row *row) {
    return row->kind == KIND_CLIENT || row->kind == KIND_PRODUCER;
}

/* A clock that is ahead by minutes does not keep its traces from being judged. */
static bool is_under_way(const struct maker *m, const struct query_context_row *row) {
    int64_t end, ago;
    if (!m->in->now_ns || __builtin_add_overflow(row->time, row->duration, &end)) return false;
    if (__builtin_sub_overflow(m->in->now_ns, end, &ago)) return false;
    return ago < PROPAGATION_UNDER_WAY_NS && ago > -PROPAGATION_UNDER_WAY_NS;
}

static void look_at_span(struct maker *m, uint32_t i) {
    const struct query_context_row *row = &m->in->rows[i];
    struct propagation_service *s = &m->services[row->service];
    uint32_t parent = find_span(m, row->trace, row->parent_id);
    if (parent != NONE && m->in->rows[parent].service != row->service) {
        m->is_answered[parent] = true;
        if (row->is_judged) add_call(m, &m->in->rows[parent], row);
    }
    if (row->trace != QUERY_NO_CONTEXT) {
        struct trace *t = &m->traces[row->trace];
        bool missing = row->parent_id && parent == NONE;
        t->has_root |= row->parent_id == 0;
        t->is_under_way |= is_under_way(m, row);
        t->misses_several |= missing && t->misses && t->missing != row->parent_id;
        if (missing) t->missing = row->parent_id;
        t->misses |= missing;
    }
    if (!row->is_judged) return;
    s->spans++;
    s->roots += row->parent_id == 0;
    s->spans_with_id += row->id != QUERY_NO_CONTEXT;
    m->p.spans++;
}

static void look_for_parent(struct maker *m, uint32_t i) {
    const struct query_context_row *row = &m->in->rows[i];
    struct propagation_service *s = &m->services[row->service];
    if (!row->is_judged || !row->parent_id || row->trace == QUERY_NO_CONTEXT) return;
    if (find_span(m, row->trace, row->parent_id) != NONE) return;
    const struct trace *t = &m->traces[row->trace];
    if (t->is_under_way) return;
    if (!t->has_root && !t->misses_several) {
        s->outside_parents++;
        return;
    }
    s->missing_parents++;
    add_sample(m->missing[row->service], &m->missing_count[row->service], sample_of(m, row, NULL));
}

static void look_at_log(struct maker *m, const struct query_context_row *row) {
    struct propagation_service *s = &m->services[row->service];
    s->logs++;
    s->logs_with_id += row->id != QUERY_NO_CONTEXT;
    m->p.logs++;
    if (row->trace == QUERY_NO_CONTEXT) {
        s->logs_without_trace++;
        return;
    }
    if (!has_id_there(m, row->trace, row->service)) return;
    m->logs_in_id[row->service]++;
    if (row->id != QUERY_NO_CONTEXT) return;
    m->logs_without_id[row->service]++;
    add_sample(m->log_id[row->service], &m->log_id_count[row->service], sample_of(m, row, NULL));
}

/* ---- calls of which the other side knows nothing ------------------------------------------------------------------ */

/* The service that a span says it calls: by its name, or as the first label of a host's. */
static uint32_t named_service(const struct maker *m, const struct strings *names, uint32_t peer) {
    uint32_t found;
    if (peer == QUERY_NO_CONTEXT) return NONE;
    struct str text = m->in->texts[peer], head, rest;
    if (strings_find(names, text, &found)) return found;
    str_cut(text, ':', &head, &rest);
    if (strings_find(names, head, &found)) return found;
    str_cut(head, '.', &head, &rest);
    return strings_find(names, head, &found) ? found : NONE;
}

static uint32_t id_of(const struct maker *m, const struct query_context_row *row) {
    if (row->id != QUERY_NO_CONTEXT || row->trace == QUERY_NO_CONTEXT) return row->id;
    return m->traces[row->trace].id;
}

static int by_service(const void *x, const void *y) {
    const struct half *a = x, *b = y;
    if (a->service != b->service) return a->service < b->service ? -1 : 1;
    if (a->time != b->time) return a->time < b->time ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}
static int by_id(const void *x, const void *y) {
    const struct half *a = x, *b = y;
    if (a->id != b->id) return a->id < b->id ? -1 : 1;
    if (a->time != b->time) return a->time < b->time ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

/* Whether the root may be what the call began, if clocks are off by as much as `slack` beside what is known of them. */
static bool may_begin(const struct maker *m, const struct half *by, const struct half *what, int64_t slack) {
    const struct query_context_row *call = &m->in->rows[by->row], *root = &m->in->rows[what->row];
    int64_t after;
    if (call->trace == root->trace || call->service == root->service) return false;
    if (__builtin_sub_overflow(root->time, call->time, &after)) return false;
    if (__builtin_sub_overflow(after, by->ahead_ns, &after) || after < -slack) return false;
    int64_t late = slack > PROPAGATION_SKEW_NS ? slack : 0;
    if (call->kind == KIND_PRODUCER) return root->kind == KIND_CONSUMER && minus(after, late) <= PROPAGATION_QUEUE_NS;
    return root->kind == KIND_SERVER && minus(after, late) <= call->duration &&
           root->duration - PROPAGATION_SKEW_NS <= call->duration;
}

/* The first of `roots`, in their order, that is not less than `wanted`. */
static size_t lower_bound(const struct maker *m, const struct half *wanted, int (*order)(const void *, const void *)) {
    size_t from = 0, to = m->roots.n;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (order(&m->roots.v[middle], wanted) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

/* The first root from `at` on that is free; the way there gets shorter for who comes next. */
static size_t next_free(uint32_t *next, size_t at) {
    size_t to = at;
    while (next[to] != to) to = next[to];
    while (next[at] != to) {
        size_t after = next[at];
        next[at] = (uint32_t)to;
        at = after;
    }
    return to;
}

static void note_pair(struct maker *m, struct half *call, struct half *root, bool in_time) {
    const struct query_context_row *from = &m->in->rows[call->row], *to = &m->in->rows[root->row];
    struct edge *e = edge(m, from->service, to->service);
    root->used = call->used = true;
    if (!e) return;
    if (call->service == NONE) { /* it named nobody: not counted as a call of this pair so far */
        e->calls++;
        e->unanswered++;
    }
    e->lost++;
    e->by_message |= from->kind == KIND_PRODUCER;
    e->proved += in_time && call->id != QUERY_NO_CONTEXT && call->id == root->id;
    add_sample(e->samples[0], &e->sample_count[0], sample_of(m, from, to));
}

static int64_t earliest(const struct half *call, int64_t slack) {
    int64_t from;
    if (__builtin_add_overflow(call->time, call->ahead_ns, &from)) return 0;
    return from < slack ? 0 : from - slack;
}

/* Pairs each call with the first root after it that is free; of one service, or of one id. By more slack than usual only those of one id that say
 * whom they call. */
static err pair_halves(struct maker *m, bool by_one_id, int64_t slack) {
    bool in_time = slack == PROPAGATION_SKEW_NS;
    int (*order)(const void *, const void *) = by_one_id ? by_id : by_service;
    uint32_t *next = arena_array(m->a, uint32_t, m->roots.n + 1);
    if (!next) return arena_err(m->a);
    if (m->roots.n) qsort(m->roots.v, m->roots.n, sizeof *m->roots.v, order);
    for (uint32_t i = 0; i <= m->roots.n; i++) next[i] = i < m->roots.n && m->roots.v[i].used ? i + 1 : i;
    for (size_t i = 0; i < m->calls.n; i++) {
        struct half *call = &m->calls.v[i], wanted = *call;
        if (call->used || (by_one_id ? call->id == QUERY_NO_CONTEXT : call->service == NONE)) continue;
        if (!in_time && call->service == NONE) continue;
        wanted.time = earliest(call, slack);
        wanted.row = 0;
        size_t at = next_free(next, lower_bound(m, &wanted, order));
        for (int tries = 0; at < m->roots.n && tries < TRIES_MAX; at = next_free(next, at + 1), tries++) {
            struct half *root = &m->roots.v[at];
            if (by_one_id ? root->id != call->id : root->service != call->service) break;
            if (call->service != NONE && call->service != root->service) continue;
            if (!may_begin(m, call, root, slack)) continue;
            note_pair(m, call, root, in_time);
            next[at] = (uint32_t)at + 1;
            break;
        }
    }
    return NULL;
}

static err find_lost_traces(struct maker *m, const struct strings *names, const uint32_t *text_of) {
    for (uint32_t i = 0; i < m->in->span_count; i++) {
        const struct query_context_row *row = &m->in->rows[i];
        struct half half = {.service = row->service, .id = id_of(m, row), .row = i, .time = row->time};
        if (m->is_again[i] || !row->is_judged) continue;
        if (is_root(row)) *vec_push(&m->roots) = half;
        if (!is_caller(row) || m->is_answered[i]) continue;
        uint32_t name = named_service(m, names, row->peer);
        half.service = name == NONE ? NONE : text_of[name];
        if (half.service == row->service) continue;
        if (half.service != NONE) {
            struct edge *e = edge(m, row->service, half.service);
            if (!e) continue;
            e->calls++;
            e->unanswered++;
            half.ahead_ns = e->ahead_ns;
        }
        *vec_push(&m->calls) = half;
    }
    if (m->calls.n) qsort(m->calls.v, m->calls.n, sizeof *m->calls.v, by_service);
    TRY(pair_halves(m, true, PROPAGATION_SKEW_NS)); /* first what is sure */
    TRY(pair_halves(m, false, PROPAGATION_SKEW_NS));
    return pair_halves(m, true, PROPAGATION_CLOCK_NS);
}

/* ---- findings --------------------------------------------------------------------------------------------------- */

static void add_finding(struct maker *m, struct propagation_finding f, const struct propagation_sample *samples,
                        uint32_t n) {
    if (!f.count) return;
    m->p.cut |= m->findings.n == CANDIDATES_MAX;
    if (m->findings.n == CANDIDATES_MAX) return;
    if (n) memcpy(f.samples, samples, n * sizeof *samples);
    f.sample_count = n;
    *vec_push(&m->findings) = f;
}

static enum propagation_certainty certainty_of(const struct edge *e) {
    if (2 * e->proved >= e->lost) return PROPAGATION_CERTAIN;
    return e->lost >= LIKELY_MIN && 2 * e->lost >= e->unanswered ? PROPAGATION_LIKELY : PROPAGATION_POSSIBLE;
}

static void add_edge_findings(struct maker *m, const struct edge *e) {
    struct propagation_finding f = {.kind = PROPAGATION_LOST_TRACE,
                                    .certainty = certainty_of(e),
                                    .caller = m->services[e->caller].name,
                                    .service = m->services[e->service].name,
                                    .caller_language = m->services[e->caller].language,
                                    .language = m->services[e->service].language,
                                    .by_message = e->by_message,
                                    .count = e->lost,
                                    .of = e->calls};
    add_finding(m, f, e->samples[0], e->sample_count[0]);
    f.kind = PROPAGATION_LOST_ID;
    f.certainty = PROPAGATION_CERTAIN;
    f.by_message = false;
    f.count = e->lost_id;
    f.of = e->with_id;
    add_finding(m, f, e->samples[1], e->sample_count[1]);
}

static void add_service_findings(struct maker *m, uint32_t i) {
    const struct propagation_service *s = &m->services[i];
    struct propagation_finding f = {.kind = PROPAGATION_MISSING_PARENT,
                                    .service = s->name,
                                    .caller_language = STR(""),
                                    .language = s->language,
                                    .count = s->missing_parents,
                                    .of = s->spans};
    bool often = f.count >= LIKELY_MIN && 20 * f.count >= f.of; /* 5 % */
    f.certainty = often ? PROPAGATION_LIKELY : PROPAGATION_POSSIBLE;
    add_finding(m, f, m->missing[i], m->missing_count[i]);
    f.certainty = PROPAGATION_CERTAIN;
    f.kind = PROPAGATION_LOG_WITHOUT_TRACE;
    f.count = s->spans ? s->logs_without_trace : 0;
    f.of = s->logs;
    add_finding(m, f, NULL, 0); /* there is no trace to show */
    f.kind = PROPAGATION_LOG_WITHOUT_ID;
    f.count = m->logs_without_id[i];
    f.of = m->logs_in_id[i];
    add_finding(m, f, m->log_id[i], m->log_id_count[i]);
}

static int by_weight(const void *x, const void *y) {
    const struct propagation_finding *a = x, *b = y;
    if (a->certainty != b->certainty) return a->certainty > b->certainty ? -1 : 1;
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    if (a->kind != b->kind) return a->kind < b->kind ? -1 : 1;
    int order = str_compare(a->service, b->service);
    return order ? order : str_compare(a->caller, b->caller);
}
static int by_name(const void *x, const void *y) {
    return str_compare(((const struct propagation_service *)x)->name, ((const struct propagation_service *)y)->name);
}

static err give(struct maker *m, const struct strings *names, const uint32_t *text_of) {
    for (size_t i = 0; i < m->edges.n; i++) add_edge_findings(m, &m->edges.v[i]);
    for (uint32_t k = 0; k < names->n; k++) add_service_findings(m, text_of[k]);
    size_t n = MIN(m->findings.n, (size_t)PROPAGATION_FINDINGS_MAX);
    struct propagation_service *services = arena_array(m->a, struct propagation_service, names->n + 1);
    struct propagation_finding *findings = arena_array(m->a, struct propagation_finding, n + 1);
    if (!services || !findings) return arena_err(m->a);
    if (n) qsort(m->findings.v, m->findings.n, sizeof *m->findings.v, by_weight);
    if (n) memcpy(findings, m->findings.v, n * sizeof *findings);
    for (uint32_t k = 0; k < names->n; k++) services[k] = m->services[text_of[k]];
    if (names->n) qsort(services, names->n, sizeof *services, by_name);
    m->p.services = services;
    m->p.n = names->n;
    m->p.findings = findings;
    m->p.finding_count = n;
    m->p.cut |= m->in->cut || n < m->findings.n;
    m->p.time_min = m->in->time_min;
    m->p.time_max = m->in->time_max;
    return NULL;
}

/* Services by the order in which they are met; text_of[k]: the text of the k-th. */
static void name_services(struct maker *m, const struct query_facts_answer *facts, struct strings *names,
                          uint32_t *text_of) {
    for (size_t i = 0; i < m->in->n; i++) {
        uint32_t text = m->in->rows[i].service;
        struct propagation_service *s = &m->services[text];
        if (s->name.p) continue;
        s->name = m->in->texts[text];
        s->language = STR("");
        text_of[names->n] = text;
        strings_intern(names, s->name);
    }
    for (size_t i = 0; i < facts->n; i++) {
        uint32_t k;
        const struct query_service_facts *f = &facts->services[i];
        if (f->language.n && strings_find(names, f->name, &k)) m->services[text_of[k]].language = f->language;
    }
}

static err make(struct maker *m, const struct query_facts_answer *facts, struct strings *names) {
    uint32_t *text_of = arena_array(m->a, uint32_t, m->in->text_count + 1);
    if (!text_of) return arena_err(m->a);
    TRY(index_rows(m));
    name_services(m, facts, names, text_of);
    for (uint32_t i = 0; i < m->in->span_count; i++)
        if (!m->is_again[i]) look_at_span(m, i);
    for (uint32_t i = 0; i < m->in->span_count; i++)
        if (!m->is_again[i]) look_for_parent(m, i);
    set_clocks(m);
    for (size_t i = m->in->span_count; i < m->in->n; i++) look_at_log(m, &m->in->rows[i]);
    TRY(find_lost_traces(m, names, text_of));
    return give(m, names, text_of);
}

err propagation_make(struct arena *a, const struct query_contexts_answer *in, const struct query_facts_answer *facts,
                     struct propagation *out) {
    struct maker m = {.a = a, .in = in};
    struct strings names;
    strings_init(&names);
    strings_init(&m.service_ids);
    strings_init(&m.edge_keys);
    err e = make(&m, facts, &names);
    if (!e) *out = m.p;
    strings_done(&names);
    strings_done(&m.service_ids);
    strings_done(&m.edge_keys);
    vec_done(&m.edges);
    vec_done(&m.offsets);
    vec_done(&m.calls);
    vec_done(&m.roots);
    vec_done(&m.findings);
    return e;
}

/* ---- a closer look ---------------------------------------------------------------------------------------------- */

/* Whether a sample turns out to be none: a consumer that is joined by a span link, a parent that is there but began long before. */
static err is_sound(struct query *q, const struct propagation_finding *f, const struct propagation_sample *s,
                    bool *out_sound) {
    struct query_spans found;
    bool link = f->kind == PROPAGATION_LOST_TRACE;
    unsigned char span[8];
    memcpy(span, &s->other_span_id, sizeof span);
    *out_sound = false;
    err e = query_trace_span(q, link ? s->other_trace_id : s->trace_id, span, &found);
    if (e && err_kind(e) == ERR_NOT_FOUND) {
        err_free(e);
        *out_sound = true;
        return NULL;
    }
    if (e) return e;
    for (uint32_t i = 0; link && i < found.n; i++) {
        uint32_t row = found.rows[i], from = row ? batch_u32(&found.batch, SET_ROWS, FIELD_LINK_END, row - 1) : 0;
        *out_sound |= batch_u32(&found.batch, SET_ROWS, FIELD_LINK_END, row) == from;
    }
    return NULL;
}

/* Findings none of whose samples is one go. */
static err look_closer(struct query *q, struct propagation *p) {
    struct propagation_finding *v = arena_array(&q->arena, struct propagation_finding, p->finding_count + 1);
    size_t n = 0, looked = 0;
    if (!v) return arena_err(&q->arena);
    for (size_t i = 0; i < p->finding_count; i++) {
        const struct propagation_finding *f = &p->findings[i];
        bool doubtful = f->kind == PROPAGATION_MISSING_PARENT || f->by_message, sound = !doubtful || !f->sample_count;
        if (doubtful && looked++ >= CHECKED_MAX) sound = true;
        for (uint32_t k = 0; k < f->sample_count && !sound; k++) TRY(is_sound(q, f, &f->samples[k], &sound));
        if (sound) v[n++] = *f;
    }
    p->findings = v;
    p->finding_count = n;
    return NULL;
}

err propagation_read(struct query *q, const struct query_contexts *r, struct propagation *out) {
    struct query_contexts_answer in;
    struct query_facts_answer facts;
    TRY(query_contexts(q, r, &in));
    TRY(query_facts(q, r->time_min, r->time_max, r->environment, &facts));
    TRY(query_charge(q, in.n * sizeof(struct half) * 3 / 2)); /* each row is one at most */
    TRY(propagation_make(&q->arena, &in, &facts, out));
    TRY(look_closer(q, out));
    return query_charge(q, 0);
}
