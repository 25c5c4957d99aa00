#include "query/world_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "signal/batch_build.h"

#ifdef WORLD_ENGINE
#include "os/sim/sim.h"

static struct store *open_store(struct store_options *o, uint64_t seed) {
    struct store *store = NULL;
    sim_reset(seed);
    o->dir = "/data";
    o->manual = true;
    ASSERT_OK(store_open(o, &store));
    return store;
}

void world_shake(struct world *w) {
    if (world_below(w, 3) == 0) ASSERT_OK(store_flush(w->store));
    if (world_below(w, 6) == 0) ASSERT_OK(store_merge_all(w->store));
}
#else
static struct store *open_store(struct store_options *o, uint64_t seed) {
    (void)seed;
    return store_model_open(o);
}

void world_shake(struct world *w) { (void)w; }
#endif

void world_open(struct world *w, uint64_t seed) {
    struct store_options options;
    *w = (struct world){.chance = seed * 7919 + 1};
    budget_init(&w->budget, (uint64_t)1 << 32);
    budget_init(&w->store_budget, (uint64_t)1 << 32);
    store_options_default(&options);
    options.retention_ns = 0;
    options.budget = &w->store_budget;
    options.rollup = world_rollup();
    options.rollup_retention_ns = 0;
    w->store = open_store(&options, seed);
}

void world_close(struct world *w) {
    ASSERT_OK(store_close(w->store));
    vec_done(&w->rows);
}

uint32_t world_below(struct world *w, uint32_t n) {
    w->chance = w->chance * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((w->chance >> 33) % n);
}

/* ---- rollups ------------------------------------------------------------------------------------------------------ */

uint64_t world_rolled;

static struct str resource_text(const struct batch *b, uint32_t row, const char *name, const char *otherwise) {
    struct str text = batch_attribute_text(b, SET_RESOURCES, batch_u32(b, SET_ROWS, FIELD_RESOURCE, row), str_of(name));
    return text.n ? text : str_of(otherwise);
}

static void roll_edge(const struct rollup_half *half, enum rollup_view view, struct str other,
                      struct rollup_sink *out) {
    struct rollup_key key = {.view = (uint8_t)view,
                             .kind = view == ROLLUP_EDGE_CLIENT ? ROLLUP_DATABASE : ROLLUP_TO_PEER};
    bool server = view == ROLLUP_EDGE_SERVER;
    key.texts[ROLLUP_ENVIRONMENT] = half->environment;
    key.texts[ROLLUP_CLIENT_NAMESPACE] = server ? STR("") : half->space;
    key.texts[ROLLUP_CLIENT] = server ? other : half->service;
    key.texts[ROLLUP_SERVER_NAMESPACE] = server ? half->space : STR("");
    key.texts[ROLLUP_SERVER] = server ? half->service : other;
    rollup_sink_add(out, rollup_sink_key(out, &key), &half->call);
}

/* Ends of edges; parents of whom others may be children, and children whose kind does not say so. */
static void roll_halves(struct rollup_half *half, uint8_t kind, struct str name, uint64_t parent,
                        struct rollup_sink *out) {
    bool is_database = kind == 3 && str_equal(name, STR("select")), is_client = kind == 3 || kind == 4;
    half->is_server = kind == 2 || kind == 5;
    half->is_remembered = kind == 4;
    half->connection = kind >= 4 ? ROLLUP_MESSAGING : ROLLUP_DIRECT;
    half->client_span = half->is_server ? parent : half->call.span_id;
    if (!is_client || is_database)
        rollup_sink_parent(out, &(struct rollup_parent){half->environment, half->space, half->service,
                                                        half->call.trace_id, half->call.span_id, half->call.start_ns});
    if (is_database)
        roll_edge(half, ROLLUP_EDGE_CLIENT, STR("db"), out);
    else if (half->is_server && !parent)
        roll_edge(half, ROLLUP_EDGE_SERVER, STR("user"), out);
    else if (kind >= 2)
        rollup_sink_half(out, half);
    if (half->is_server || !parent) return;
    half->is_server = half->is_plain = true;
    half->is_remembered = false;
    half->connection = ROLLUP_DIRECT;
    half->client_span = parent;
    half->peer = STR("");
    rollup_sink_half(out, half);
}

static void roll_row(const struct batch *b, uint32_t row, struct rollup_sink *out) {
    struct rollup_key key = {.view = ROLLUP_SPANS,
                             .kind = (uint8_t)batch_u32(b, SET_ROWS, FIELD_KIND, row),
                             .status = (uint8_t)batch_u32(b, SET_ROWS, FIELD_STATUS, row)};
    struct str old = resource_text(b, row, "deployment.environment", "default"),
               name = batch_text(b, SET_ROWS, FIELD_NAME, row);
    int64_t duration = (int64_t)batch_u64(b, SET_ROWS, FIELD_DURATION, row);
    uint64_t parent = batch_u64(b, SET_ROWS, FIELD_PARENT_ID, row);
    struct rollup_half half = {.environment = resource_text(b, row, "deployment.environment.name", ""),
                               .space = resource_text(b, row, "service.namespace", ""),
                               .service = resource_text(b, row, "service.name", "unknown_service"),
                               .peer = batch_attribute_text(b, SET_ROWS, row, STR("peer.service")),
                               .call = {.start_ns = (int64_t)batch_u64(b, SET_ROWS, FIELD_TIME, row),
                                        .duration_ns = duration < 0 ? 0 : (uint64_t)duration,
                                        .failed = key.status == 2,
                                        .span_id = batch_u64(b, SET_ROWS, FIELD_SPAN_ID, row)}};
    if (!half.environment.n) half.environment = old;
    memcpy(half.call.trace_id, batch_id16(b, SET_ROWS, FIELD_TRACE_ID, row), 16);
    key.texts[ROLLUP_ENVIRONMENT] = half.environment;
    key.texts[ROLLUP_NAMESPACE] = half.space;
    key.texts[ROLLUP_SERVICE] = half.service;
    key.texts[ROLLUP_OPERATION] = name;
    key.texts[ROLLUP_UNUSED] = STR("");
    rollup_sink_add(out, rollup_sink_key(out, &key), &half.call);
    roll_halves(&half, key.kind, name, parent, out);
}

static void roll(void *context, const struct batch *b, const uint32_t *rows, uint32_t n, struct rollup_sink *out) {
    (void)context;
    world_rolled++;
    for (uint32_t i = 0; i < n; i++) roll_row(b, rows ? rows[i] : i, out);
}

struct rollup_function world_rollup(void) {
    return (struct rollup_function){.run = roll};
}

/* ---- rows to batches -------------------------------------------------------------------------------------------- */

static void push_text(struct batch_builder *b, uint32_t *keys, uint32_t *n, const char *name, const char *text) {
    if (!text) return;
    keys[(*n)++] = batch_builder_key(b, str_of(name), VALUE_STRING);
    *vec_push(&b->slots) = strings_intern(&b->strings, str_of(text));
}

static uint32_t add_resource(struct batch_builder *b, const struct sample *s) {
    uint32_t keys[8], n = 0, first = (uint32_t)b->slots.n, row = batch_builder_row(b, SET_RESOURCES);
    push_text(b, keys, &n, "service.name", s->service);
    push_text(b, keys, &n, "service.namespace", s->space);
    push_text(b, keys, &n, "deployment.environment.name", s->environment);
    push_text(b, keys, &n, "deployment.environment", s->old_environment);
    batch_builder_attributes(b, SET_RESOURCES, row, keys, n, first);
    return row;
}

static void add_attributes(struct batch_builder *b, uint32_t row, int code, const char *peer, const char *error) {
    uint32_t keys[3], n = 0, first = (uint32_t)b->slots.n;
    char text[16];
    snprintf(text, sizeof text, "%d", code);
    if (code >= 0) {
        keys[n++] = batch_builder_key(b, STR("http.status_code"), code % 2 ? VALUE_STRING : VALUE_INT);
        *vec_push(&b->slots) = code % 2 ? strings_intern(&b->strings, str_of(text)) : (uint64_t)code;
    }
    push_text(b, keys, &n, "peer.service", peer);
    if (error && *error) push_text(b, keys, &n, "error.type", error);
    if (n) batch_builder_attributes(b, SET_ROWS, row, keys, n, first);
}

static void add_row(struct batch_builder *b, const struct sample *s, uint32_t scope) {
    uint32_t resource = add_resource(b, s), row = batch_builder_row(b, SET_ROWS);
    uint32_t name = strings_intern(&b->strings, str_of(s->name));
    batch_builder_set_id16(b, SET_ROWS, FIELD_TRACE_ID, row, s->trace_id);
    batch_builder_set_u64(b, SET_ROWS, FIELD_SPAN_ID, row, s->span_id);
    batch_builder_set_u64(b, SET_ROWS, FIELD_TIME, row, (uint64_t)s->time);
    batch_builder_set_u32(b, SET_ROWS, FIELD_RESOURCE, row, resource);
    batch_builder_set_u32(b, SET_ROWS, FIELD_SCOPE, row, scope);
    if (s->correlation)
        batch_builder_set_u32(b, SET_ROWS, FIELD_CORRELATION, row, strings_intern(&b->strings, str_of(s->correlation)));
    if (s->signal == SIGNAL_SPANS) {
        batch_builder_set_u64(b, SET_ROWS, FIELD_PARENT_ID, row, s->parent_id);
        batch_builder_set_u64(b, SET_ROWS, FIELD_DURATION, row, (uint64_t)s->duration);
        batch_builder_set_u32(b, SET_ROWS, FIELD_NAME, row, name);
        batch_builder_set_u32(b, SET_ROWS, FIELD_KIND, row, s->kind);
        batch_builder_set_u32(b, SET_ROWS, FIELD_STATUS, row, s->status);
        if (s->message)
            batch_builder_set_u32(b, SET_ROWS, FIELD_STATUS_MESSAGE, row,
                                  strings_intern(&b->strings, str_of(s->message)));
    } else {
        batch_builder_set_u64(b, SET_ROWS, FIELD_OBSERVED, row, (uint64_t)s->observed);
        batch_builder_set_u32(b, SET_ROWS, FIELD_SEVERITY, row, s->severity);
        batch_builder_set_u32(b, SET_ROWS, FIELD_BODY, row, name);
        batch_builder_set_u32(b, SET_ROWS, FIELD_BODY_TYPE, row, VALUE_STRING);
    }
    add_attributes(b, row, s->code, s->peer, s->error);
}

static void stored(void *context, err e) {
    ASSERT_OK(e);
    *(bool *)context = true;
}

void world_add(struct world *w, const struct sample *rows, size_t n) {
    struct batch_builder b;
    bool done = false;
    if (n == 0) return;
    batch_builder_init(&b, rows[0].signal);
    uint32_t scope = batch_builder_row(&b, SET_SCOPES);
    for (size_t i = 0; i < n; i++) {
        add_row(&b, &rows[i], scope);
        *vec_push(&w->rows) = rows[i];
    }
    ASSERT_OK(store_append(w->store, STR("default"), batch_builder_finish(&b), stored, &done));
    batch_builder_done(&b);
    while (!done && store_pump(w->store, 0)) continue;
    assert_true(done);
}

/* ---- chance ----------------------------------------------------------------------------------------------------- */

static const char *const services[] = {"cart", "pay", "shop", "unknown_service", "", NULL};
static const char *const environments[] = {"prod", "test", "default", "", NULL, NULL};
static const char *const names[] = {"GET /a", "GET /b", "select", "send mail"};
static const int codes[] = {-1, 200, 404, 503, 501};

static struct sample random_sample(struct world *w, enum signal signal, uint32_t traces, int64_t time_min,
                                   int64_t spread) {
    struct sample s = {.signal = signal, .time = time_min + (int64_t)world_below(w, (uint32_t)spread)};
    uint32_t trace = world_below(w, traces) + 1;
    memcpy(s.trace_id + 5, &trace, sizeof trace);
    memcpy(s.trace_id + 12, &trace, sizeof trace);
    s.span_id = ((uint64_t)trace << 32) + world_below(w, 40) + 1;
    s.parent_id = world_below(w, 4) == 0 ? 0 : ((uint64_t)trace << 32) + world_below(w, 42) + 1;
    s.observed = world_below(w, 3) == 0 ? s.time : s.time + world_below(w, 3);
    s.duration = world_below(w, 20) == 0 ? -5 : (int64_t)1 << world_below(w, 40);
    s.duration += s.duration > 0 ? world_below(w, 3) : 0;
    s.kind = world_below(w, 6);
    s.status = world_below(w, 3);
    s.severity = world_below(w, 26);
    s.service = services[world_below(w, LENGTH(services))];
    s.environment = environments[world_below(w, LENGTH(environments))];
    s.old_environment = environments[world_below(w, LENGTH(environments))];
    s.space = world_below(w, 2) ? "eu" : NULL;
    s.name = names[world_below(w, LENGTH(names))];
    s.code = codes[world_below(w, LENGTH(codes))];
    return s;
}

void world_fill(struct world *w, enum signal signal, uint32_t n, uint32_t traces, int64_t time_min, int64_t spread) {
    struct sample batch[50];
    for (uint32_t done = 0; done < n;) {
        uint32_t size = 1 + world_below(w, LENGTH(batch));
        size = MIN(size, n - done);
        for (uint32_t i = 0; i < size; i++) {
            bool again = w->rows.n > 0 && world_below(w, 10) == 0;
            batch[i] = again ? w->rows.v[world_below(w, (uint32_t)w->rows.n)] : (struct sample){.signal = SIGNALS};
            if (batch[i].signal != signal) batch[i] = random_sample(w, signal, traces, time_min, spread);
        }
        world_add(w, batch, size);
        world_shake(w);
        done += size;
    }
}

/* ---- filters ---------------------------------------------------------------------------------------------------- */

static const char *const wheres[] = {"http.status_code=503", "http.status_code exists",       "http.status_code absent",
                                     "http.status_code>404", "resource.service.namespace=eu", "http.status_code!=200",
                                     "http.status_code~^50"};

static struct str pick(struct world *w, const char *const *texts, size_t n) {
    const char *text = texts[world_below(w, (uint32_t)n)];
    return text && *text && world_below(w, 2) ? str_of(text) : (struct str){NULL, 0};
}

void world_random_filter(struct world *w, struct query *q, enum signal signal, struct world_filter *out) {
    struct query_filter *f = &out->filter;
    query_filter_init(f);
    out->where = NULL;
    int64_t one = w->rows.v[world_below(w, (uint32_t)w->rows.n)].time;
    int64_t other = w->rows.v[world_below(w, (uint32_t)w->rows.n)].time;
    if (world_below(w, 2)) f->time_min = MIN(one, other);
    if (world_below(w, 2)) f->time_max = MAX(one, other);
    f->service = pick(w, services, LENGTH(services));
    f->environment = pick(w, environments, LENGTH(environments));
    if (signal == SIGNAL_SPANS) {
        if (world_below(w, 3) == 0) f->operation = str_of(names[world_below(w, LENGTH(names))]);
        if (world_below(w, 4) == 0) f->status = (int)world_below(w, 3);
        if (world_below(w, 4) == 0) f->kind = (int)world_below(w, 6);
        if (world_below(w, 4) == 0) f->duration_min = (int64_t)1 << world_below(w, 30);
        if (world_below(w, 4) == 0) f->duration_max = (int64_t)1 << (10 + world_below(w, 30));
    } else {
        if (world_below(w, 3) == 0) f->severity_min = (int)world_below(w, 24);
    }
    if (world_below(w, 3) != 0) return;
    out->where = wheres[world_below(w, LENGTH(wheres))];
    ASSERT_OK(query_filter_where(q, f, str_of(out->where)));
}

const char *sample_service(const struct sample *s) {
    return s->service && *s->service ? s->service : "unknown_service";
}
const char *sample_environment(const struct sample *s) {
    if (s->environment && *s->environment) return s->environment;
    return s->old_environment && *s->old_environment ? s->old_environment : "default";
}

static bool where_matches(const char *where, const struct sample *s) {
    if (!where) return true;
    if (where == wheres[0]) return s->code == 503;
    if (where == wheres[1]) return s->code >= 0;
    if (where == wheres[2]) return s->code < 0;
    if (where == wheres[3]) return s->code > 404 && s->code % 2 == 0; /* texts are no numbers */
    if (where == wheres[4]) return s->space != NULL;
    if (where == wheres[5]) return s->code != 200;
    return s->code >= 500;
}

bool sample_matches(const struct world_filter *w, const struct sample *s) {
    const struct query_filter *f = &w->filter;
    if (s->time < f->time_min || s->time > f->time_max) return false;
    if (f->service.p && !str_equal(f->service, str_of(sample_service(s)))) return false;
    if (f->environment.p && !str_equal(f->environment, str_of(sample_environment(s)))) return false;
    if (!where_matches(w->where, s)) return false;
    if (s->signal == SIGNAL_LOGS) return (int)s->severity >= f->severity_min;
    if (f->operation.p && !str_equal(f->operation, str_of(s->name))) return false;
    if (f->status >= 0 && s->status != (uint32_t)f->status) return false;
    if (f->kind >= 0 && s->kind != (uint32_t)f->kind) return false;
    if (f->is_root && s->parent_id) return false;
    return s->duration >= f->duration_min && s->duration <= f->duration_max;
}

void world_query(struct world *w, struct query *q) {
    query_begin(q, &(struct query_options){.store = w->store, .tenant = STR("default"), .budget = &w->budget});
}
