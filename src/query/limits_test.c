/* What ends a question early: its asker, its flag, its deadline, its memory, everyone's memory, a costly expression. Every kind of
 * question meets every one of them at every place, gives back what it drew, and answers right or not at all. */
#include "query/aggregate.h"
#include "query/complete.h"
#include "query/contexts.h"
#include "query/correlation.h"
#include "query/correlations.h"
#include "query/failures.h"
#include "query/trace_list.h"
#include "query/trace_values.h"
#include "query/world_test_priv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"

/* ---- the questions ---------------------------------------------------------------------------------------------- */

/* Asks, and mixes what is answered into *out. */
typedef err (*ask_fn)(struct query *q, const struct query_filter *f, uint64_t *out);

static uint64_t mix_text(uint64_t h, struct str s) { return hash_bytes_seed(s.n ? s.p : "", s.n, h + s.n); }

static err ask_traces(struct query *q, const struct query_filter *f, enum query_order order, uint64_t *out) {
    struct query_traces r = {.filter = *f, .order = order, .limit = 7};
    struct query_traces_answer found;
    TRY(query_traces(q, &r, &found));
    uint64_t h = found.n;
    for (size_t i = 0; i < found.n; i++) {
        h = hash_bytes_seed(found.traces[i].trace_id, 16, h);
        h = hash_mix(h, hash_u64(found.traces[i].spans) + (uint64_t)found.traces[i].duration);
        h = mix_text(mix_text(h, found.traces[i].root_service), found.traces[i].root_name);
    }
    *out = h;
    return NULL;
}
static err ask_newest_traces(struct query *q, const struct query_filter *f, uint64_t *out) {
    return ask_traces(q, f, QUERY_NEWEST, out);
}
static err ask_longest_traces(struct query *q, const struct query_filter *f, uint64_t *out) {
    return ask_traces(q, f, QUERY_LONGEST, out);
}

static err ask_stats(struct query *q, const struct query_filter *f, uint64_t *out) {
    struct query_trace_stats r = {.filter = *f, .top = 100, .services = 100};
    struct query_trace_stats_answer s;
    TRY(query_trace_stats(q, &r, &s));
    uint64_t h = hash_mix(s.traces, s.total.spans);
    for (size_t i = 0; i < s.bucket_count; i++) h = hash_mix(h, s.buckets[i].stats.spans + 1);
    for (size_t i = 0; i < s.top_count; i++) h = mix_text(h, s.top[i].name);
    *out = h;
    return NULL;
}

static err ask_operations(struct query *q, const struct query_filter *f, uint64_t *out) {
    struct query_operations_answer found;
    TRY(query_operations(q, f, 100, &found));
    uint64_t h = found.n;
    for (size_t i = 0; i < found.n; i++) h = mix_text(h, found.operations[i].name) + found.operations[i].stats.spans;
    *out = h;
    return NULL;
}

static err ask_services_of(struct query *q, const struct query_filter *f, bool count, uint64_t *out) {
    struct query_services_answer found;
    TRY(query_services(q, f->time_min, f->time_max, (struct str){NULL, 0}, count, &found));
    uint64_t h = found.n;
    for (size_t i = 0; i < found.n; i++)
        h = mix_text(h, found.services[i].name) + found.services[i].spans.spans + 3 * found.services[i].logs;
    *out = h;
    return NULL;
}
static err ask_services(struct query *q, const struct query_filter *f, uint64_t *out) {
    return ask_services_of(q, f, false, out);
}
static err ask_counted_services(struct query *q, const struct query_filter *f, uint64_t *out) {
    return ask_services_of(q, f, true, out);
}

static const unsigned char one_trace[16] = {0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 3}; /* world_fill's third */
static err ask_trace(struct query *q, const struct query_filter *f, uint64_t *out) {
    struct query_trace_answer t;
    (void)f;
    TRY(query_trace(q, one_trace, &t));
    *out = hash_mix(t.n, t.summary.spans + (uint64_t)t.summary.duration);
    for (size_t i = 0; i < t.n; i++) *out = hash_mix(*out, t.spans[i].depth + (uint64_t)t.spans[i].self_time);
    return NULL;
}

static err ask_logs(struct query *q, const struct query_filter *f, enum query_order order, uint64_t *out) {
    struct query_logs r = {.filter = *f, .order = order, .limit = 30};
    struct query_logs_answer found;
    TRY(query_logs(q, &r, &found));
    *out = found.n;
    for (size_t i = 0; i < found.n; i++) *out += batch_row_hash(&found.batch, found.rows[i]); /* ties in any order */
    return NULL;
}
static err ask_newest_logs(struct query *q, const struct query_filter *f, uint64_t *out) {
    return ask_logs(q, f, QUERY_NEWEST, out);
}
static err ask_oldest_logs(struct query *q, const struct query_filter *f, uint64_t *out) {
    return ask_logs(q, f, QUERY_OLDEST, out);
}
static err ask_log_count(struct query *q, const struct query_filter *f, uint64_t *out) {
    return query_log_count(q, f, out);
}
static err ask_log_histogram(struct query *q, const struct query_filter *f, uint64_t *out) {
    struct query_log_histogram_answer h;
    TRY(query_log_histogram(q, f, 0, &h));
    *out = h.total;
    for (size_t i = 0; i < h.n; i++)
        for (size_t k = 0; k < SEVERITY_CLASSES; k++) *out = hash_mix(*out + 1, h.buckets[i].counts[k] + k);
    return NULL;
}

static err ask_groups(struct query *q, const struct query_filter *f, enum signal signal, const char *by,
                      uint64_t *out) {
    struct query_breakdown r = {.signal = signal, .filter = *f, .by_count = 1, .top = 2, .trend = true};
    struct query_breakdown_answer found;
    TRY(query_by_parse(q, signal, str_of(by), &r.by[0]));
    TRY(query_breakdown(q, &r, &found));
    *out = hash_mix(found.values + 1, found.other.stats.spans + 5 * found.without.stats.spans);
    for (size_t i = 0; i < found.n; i++)
        *out += hash_mix(mix_text(3, found.groups[i].values[0].text), found.groups[i].stats.spans);
    return NULL;
}
static err ask_span_groups(struct query *q, const struct query_filter *f, uint64_t *out) {
    return ask_groups(q, f, SIGNAL_SPANS, "environment", out);
}
static err ask_log_groups(struct query *q, const struct query_filter *f, uint64_t *out) {
    return ask_groups(q, f, SIGNAL_LOGS, "http.status_code", out);
}

static err ask_aggregate(struct query *q, const struct query_filter *f, bool rollups, uint64_t *out) {
    struct query_aggregate r = {.filter = *f, .by_service = true, .by_operation = true, .limit = 5, .rollups = rollups};
    struct query_aggregate_answer found;
    TRY(query_aggregate(q, &r, &found));
    *out = hash_mix(found.found + 1, found.other.spans + 5 * found.total.spans);
    for (size_t i = 0; i < found.n; i++)
        *out += mix_text(mix_text(3, found.rows[i].service), found.rows[i].operation) + found.rows[i].stats.spans;
    return NULL;
}
static err ask_counted_aggregate(struct query *q, const struct query_filter *f, uint64_t *out) {
    return ask_aggregate(q, f, false, out);
}
static err ask_rolled_aggregate(struct query *q, const struct query_filter *f, uint64_t *out) {
    struct query_filter longer = *f;
    longer.time_min = MAX(f->time_min, 0);
    longer.time_max = MAX(f->time_max, longer.time_min + QUERY_ROLLED_MIN_NS);
    return ask_aggregate(q, &longer, true, out);
}

static err ask_series(struct query *q, const struct query_filter *f, uint64_t *out) {
    struct query_service_series r = {.time_min = MAX(f->time_min, 0), .environment = f->environment, .limit = 5};
    struct query_service_series_answer found;
    r.time_max = MIN(f->time_max, r.time_min + QUERY_ROLLED_MIN_NS);
    r.time_max = MAX(r.time_max, r.time_min);
    TRY(query_service_series(q, &r, &found));
    *out = found.found;
    for (size_t i = 0; i < found.n; i++)
        for (size_t k = 0; k < found.bucket_count; k++)
            *out = hash_mix(mix_text(*out, found.services[i].service), found.services[i].buckets[k].spans + k);
    return NULL;
}

static err ask_failures(struct query *q, const struct query_filter *f, uint64_t *out) {
    struct query_failures_answer found;
    TRY(query_failures(q, f, &found));
    *out = hash_mix(found.total + 1, found.n);
    for (size_t i = 0; i < found.n; i++)
        *out += hash_mix(mix_text(3, found.failures[i].operation),
                         found.failures[i].count + 7 * found.failures[i].passed_through);
    return NULL;
}

static err ask_attributes(struct query *q, const struct query_filter *f, uint64_t *out) {
    struct query_attributes r = {
        .signal = SIGNAL_SPANS, .time_min = f->time_min, .time_max = f->time_max, .prefix = STR(""), .limit = 100};
    struct query_attributes_answer found;
    TRY(query_attributes(q, &r, &found));
    *out = found.n;
    for (size_t i = 0; i < found.n; i++) *out = mix_text(*out, found.attributes[i].key) + found.attributes[i].values;
    return NULL;
}

static err ask_values(struct query *q, const struct query_filter *f, uint64_t *out) {
    struct query_values r = {.signal = SIGNAL_SPANS,
                             .filter = *f,
                             .column = {.target = TARGET_ANY, .key = STR("http.status_code")},
                             .prefix = STR(""),
                             .limit = 100};
    struct query_values_answer found;
    TRY(query_values(q, &r, &found));
    *out = found.rows;
    for (size_t i = 0; i < found.n; i++) *out = mix_text(*out, found.values[i].text) + found.values[i].rows;
    return NULL;
}

/* Traces as rows, and what an attribute is in each of them. */
static err ask_list(struct query *q, const struct query_filter *f, uint64_t *out) {
    struct query_trace_list found;
    const struct column_ref code = {.target = TARGET_ANY, .key = STR("http.status_code")};
    TRY(query_trace_list(q, f, 100, &found));
    unsigned char(*ids)[16] = arena_alloc(&q->arena, 16 * (found.n + 1));
    struct str *values = arena_array(&q->arena, struct str, found.n + 1);
    if (!ids || !values) return arena_err(&q->arena);
    for (size_t i = 0; i < found.n; i++) memcpy(ids[i], found.rows[i].trace_id, 16);
    TRY(query_trace_values(q, f, code, ids[0], found.n, values));
    *out = found.n;
    for (size_t i = 0; i < found.n; i++)
        *out = mix_text(mix_text(*out, found.rows[i].root_name), values[i]) + found.rows[i].spans;
    return NULL;
}

static err ask_ids(struct query *q, const struct query_filter *f, uint64_t *out) {
    struct query_correlations r = {
        .time_min = f->time_min, .time_max = f->time_max, .attribute = STR("http.status_code")};
    struct query_correlations_answer found;
    TRY(query_correlations(q, &r, &found));
    *out = found.n;
    for (size_t i = 0; i < found.n; i++) *out = mix_text(*out, found.ids[found.rows[i].id]);
    return NULL;
}

static err ask_id(struct query *q, const struct query_filter *f, uint64_t *out) {
    struct query_correlation r = {
        .id = STR("503"), .time_min = f->time_min, .time_max = f->time_max, .attribute = STR("http.status_code")};
    struct query_correlation_answer found;
    TRY(query_correlation(q, &r, &found));
    *out = hash_mix(found.span_count, found.log_count);
    for (size_t i = 0; i < found.span_count; i++) *out = mix_text(*out, found.span_rows[i].id);
    return NULL;
}

static err ask_contexts(struct query *q, const struct query_filter *f, uint64_t *out) {
    struct query_contexts r = {.time_min = f->time_min, .time_max = f->time_max};
    struct query_contexts_answer found;
    TRY(query_contexts(q, &r, &found));
    *out = found.n;
    for (size_t i = 0; i < found.n; i++) *out = mix_text(*out, found.texts[found.rows[i].service]);
    return NULL;
}

static const struct question {
    const char *name;
    ask_fn ask;
    bool cuts; /* with less memory it may show less, and says so */
} questions[] = {
    {"newest traces", ask_newest_traces, true},
    {"longest traces", ask_longest_traces, true},
    {"statistics", ask_stats, false},
    {"operations", ask_operations, false},
    {"services", ask_services, false},
    {"counted services", ask_counted_services, false},
    {"one trace", ask_trace, true},
    {"newest logs", ask_newest_logs, false},
    {"oldest logs", ask_oldest_logs, false},
    {"log count", ask_log_count, false},
    {"log histogram", ask_log_histogram, false},
    {"groups of spans", ask_span_groups, false},
    {"groups of logs", ask_log_groups, false},
    {"a counted aggregate", ask_counted_aggregate, false},
    {"a rolled aggregate", ask_rolled_aggregate, false},
    {"services over time", ask_series, false},
    {"failures", ask_failures, false},
    {"names of attributes", ask_attributes, false},
    {"values of an attribute", ask_values, false},
    {"traces as rows", ask_list, false},
    {"all ids", ask_ids, false},
    {"one id", ask_id, false},
    {"contexts", ask_contexts, false},
};

/* ---- the world -------------------------------------------------------------------------------------------------- */

static struct world w;

static int open_world(void **state) {
    (void)state;
    world_open(&w, 11);
    world_fill(&w, SIGNAL_SPANS, 300, 12, 1000000000000, 3000000000);
    world_fill(&w, SIGNAL_LOGS, 300, 12, 1000000000000, 400);
    return 0;
}
static int close_world(void **state) {
    (void)state;
    world_close(&w);
    return 0;
}

static struct query_filter everything(void) {
    struct query_filter f;
    query_filter_init(&f);
    f.time_min = 1000000000000;
    f.time_max = 1003000000000;
    return f;
}

/* How it ends under these options; *out_left: something was left out, and says so. */
static err end_of(const struct question *question, const struct query_options *given, uint64_t *out, bool *out_left) {
    struct query q;
    struct query_options options = *given;
    struct query_filter f = everything();
    options.store = w.store;
    options.budget = &w.budget;
    query_begin(&q, &options);
    *out = 0;
    err e = question->ask(&q, &f, out);
    *out_left = query_gave_up(&q) || question->ask == ask_trace;
    query_end(&q);
    assert_int_equal(budget_used(&w.budget), 0);
    return e;
}

static uint64_t right_answer(const struct question *question) {
    uint64_t answer;
    bool left;
    budget_init(&w.budget, (uint64_t)1 << 32);
    ASSERT_OK(end_of(question, &(struct query_options){0}, &answer, &left));
    return answer;
}

static void assert_ends(const struct question *question, err e, enum err_kind kind, const char *part) {
    if (!e) fail_msg("%s: no error", question->name);
    if (err_kind(e) != kind || !strstr(err_text(e), part)) fail_msg("%s: %s", question->name, err_text(e));
    err_free(e);
}

/* ---- who asked -------------------------------------------------------------------------------------------------- */

struct asker {
    int left; /* looks until it is gone */
};

static bool has_gone(const void *context) {
    struct asker *a = (struct asker *)(uintptr_t)context;
    return a->left-- <= 0;
}

static void a_question_ends_whenever_its_asker_goes(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(questions); i++) {
        uint64_t right = right_answer(&questions[i]), answer;
        bool left;
        int looks = 0;
        for (;; looks++) {
            struct asker asker = {looks};
            err e = end_of(&questions[i], &(struct query_options){.is_abandoned = has_gone, .asker = &asker}, &answer,
                           &left);
            if (!e) break;
            assert_ends(&questions[i], e, ERR_CANCELLED, "cancelled");
            assert_true(looks < 100000);
        }
        assert_true(answer == right);
        if (looks < 2) fail_msg("%s looked %d times", questions[i].name, looks);
    }
}

static void a_question_ends_when_the_flag_is_set(void **state) {
    (void)state;
    atomic_bool cancel = true;
    for (size_t i = 0; i < LENGTH(questions); i++) {
        uint64_t answer;
        bool left;
        err e = end_of(&questions[i], &(struct query_options){.cancel = &cancel}, &answer, &left);
        assert_ends(&questions[i], e, ERR_CANCELLED, "the query was cancelled");
    }
}

#ifndef WORLD_ENGINE /* the simulated clock stands still */
static void a_question_that_is_late_is_no_answer(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(questions); i++) {
        uint64_t answer;
        bool left;
        err e = end_of(&questions[i], &(struct query_options){.timeout_ns = 1}, &answer, &left);
        assert_ends(&questions[i], e, ERR_CANCELLED, "longer than its 0 ms");
    }
}
#endif

/* ---- memory ----------------------------------------------------------------------------------------------------- */

/* From far too little to enough: ERR_LIMIT, then the right answer; between them only answers that say what they lack. */
static void a_question_keeps_to_its_memory(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(questions); i++) {
        uint64_t right = right_answer(&questions[i]), answer = 0;
        bool left = false, refused = false;
        for (size_t bytes = 256; bytes < 64 * MIB; bytes += bytes / 8) {
            err e = end_of(&questions[i], &(struct query_options){.memory_max_bytes = bytes}, &answer, &left);
            if (e) {
                refused = true;
                if (err_kind(e) != ERR_LIMIT) fail_msg("%s, %zu bytes: %s", questions[i].name, bytes, err_text(e));
                err_free(e);
            } else if (answer != right && !(questions[i].cuts && left)) {
                fail_msg("%s, %zu bytes: another answer", questions[i].name, bytes);
            }
        }
        assert_true(answer == right);
        if (!refused) fail_msg("%s needs no memory", questions[i].name);
    }
}

static void a_question_meets_the_budget_of_all(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(questions); i++) {
        uint64_t right = right_answer(&questions[i]), answer = 0, limit = 0;
        bool left;
        for (err e = NULL;; limit += MIB / 2) {
            budget_init(&w.budget, limit);
            e = end_of(&questions[i], &(struct query_options){0}, &answer, &left);
            if (!e) break;
            assert_ends(&questions[i], e, ERR_BUSY, "memory.limit");
            assert_true(atomic_load(&w.budget.peak_bytes) <= limit && limit < 64 * MIB);
        }
        assert_true(answer == right);
        if (limit == 0 && questions[i].ask != ask_services) fail_msg("%s draws nothing", questions[i].name);
    }
    budget_init(&w.budget, (uint64_t)1 << 32);
}

/* ---- names without end ------------------------------------------------------------------------------------------ */

enum { LONG_NAME = 50000, LONG_NAMES = 100 };

static void fill_with_long_names(struct world *to, bool as_services) {
    static char texts[LONG_NAMES][LONG_NAME];
    for (size_t i = 0; i < LONG_NAMES; i++) {
        memset(texts[i], 'a' + (int)(i % 26), LONG_NAME - 1);
        texts[i][0] = (char)('a' + i / 26);
        struct sample s = {.signal = SIGNAL_SPANS,
                           .span_id = i + 1,
                           .trace_id = {1},
                           .time = 1000000000001,
                           .service = as_services ? texts[i] : "cart",
                           .name = as_services ? "op" : texts[i],
                           .code = -1};
        world_add(to, &s, 1);
    }
}

/* Names of groups are memory too: 100 of 50,000 bytes do not fit a MiB, however they come. */
static void names_are_charged(void **state) {
    (void)state;
    static const ask_fn asks[2][3] = {{ask_stats, ask_operations, NULL},
                                      {ask_stats, ask_services, ask_counted_services}};
    for (int as_services = 0; as_services < 2; as_services++) {
        world_open(&w, 1);
        fill_with_long_names(&w, as_services);
        for (size_t i = 0; i < 3 && asks[as_services][i]; i++) {
            struct question question = {"long names", asks[as_services][i], false};
            uint64_t answer;
            bool left;
            err e = end_of(&question, &(struct query_options){.memory_max_bytes = MIB}, &answer, &left);
            assert_ends(&question, e, ERR_LIMIT, "MiB");
            ASSERT_OK(end_of(&question, &(struct query_options){.memory_max_bytes = 64 * MIB}, &answer, &left));
        }
        world_close(&w);
    }
}

/* One that does not fit is told, whatever comes after it. */
static void a_service_that_is_left_out_is_told(void **state) {
    (void)state;
    static char text[70000];
    struct query q;
    struct query_services_answer found;
    memset(text, 's', sizeof text - 1);
    world_open(&w, 1);
    for (int i = 0; i < 3; i++) {
        struct sample s = {
            .signal = SIGNAL_SPANS, .span_id = 1, .trace_id = {1}, .time = 5 + i, .name = "op", .code = -1};
        s.service = i == 1 ? text : i == 0 ? "first" : "last";
        world_add(&w, &s, 1);
    }
    for (int counted = 0; counted < 2; counted++) {
        world_query(&w, &q);
        err e = query_services(&q, 0, 100, (struct str){NULL, 0}, counted, &found);
        assert_true(e && err_kind(e) == ERR_LIMIT && strstr(err_text(e), "64 KiB"));
        err_free(e);
        query_end(&q);
    }
    world_close(&w);
}

/* ---- a trace too large ------------------------------------------------------------------------------------------ */

/* Its first rows alone are more than the memory holds: the others are found, and the answer says that it is partial. */
static void a_huge_trace_is_left_out_of_a_search(void **state) {
    (void)state;
    struct query q;
    struct query_traces r = {.order = QUERY_NEWEST, .limit = 20};
    struct query_traces_answer found;
    world_open(&w, 1);
    fill_with_long_names(&w, false);
    for (unsigned char i = 2; i < 12; i++) {
        struct sample s = {
            .signal = SIGNAL_SPANS, .span_id = 1, .trace_id = {i}, .time = 1000000000000, .name = "small", .code = -1};
        world_add(&w, &s, 1);
    }
    for (int enough = 0; enough < 2; enough++) {
        query_begin(&q, &(struct query_options){.store = w.store, .memory_max_bytes = enough ? 64 * MIB : 2 * MIB});
        r.filter = everything();
        ASSERT_OK(query_traces(&q, &r, &found));
        assert_int_equal(found.n, 10 + enough);
        assert_int_equal(query_gave_up(&q), !enough);
        for (size_t i = 0; i < found.n; i++) assert_true(found.traces[i].trace_id[0] > 1 || enough);
        query_end(&q);
    }
    world_close(&w);
}

/* ---- expressions ------------------------------------------------------------------------------------------------ */

enum { COSTLY_TEXTS = 40 };

static void fill_with_costly_texts(struct world *to, uint32_t n) {
    static char text[64];
    memset(text, 'a', 60);
    text[60] = 'b';
    for (uint32_t i = 0; i < n; i++) {
        struct sample s = {.signal = SIGNAL_LOGS, .time = 1000000000000 + i, .service = text, .name = "n", .code = -1};
        world_add(to, &s, 1);
    }
    struct sample good = {.signal = SIGNAL_LOGS, .time = 1000000000000, .service = "aa", .name = "n", .code = -1};
    world_add(to, &good, 1);
}

static err count_matches(struct query *q, const char *where, uint64_t *out) {
    struct query_filter f = everything();
    ASSERT_OK(query_filter_where(q, &f, str_of(where)));
    return query_log_count(q, &f, out);
}

static void an_expression_that_gives_up_makes_the_answer_partial(void **state) {
    (void)state;
    struct query q;
    uint64_t n;
    world_open(&w, 1);
    fill_with_costly_texts(&w, 2);
    for (int costly = 0; costly < 2; costly++) {
        query_begin(&q, &(struct query_options){.store = w.store, .timeout_ns = 600 * (int64_t)1000000000});
        ASSERT_OK(count_matches(&q, costly ? "service.name~^(a{0,90}){0,90}$" : "service.name~^a+$", &n));
        assert_int_equal(n, 1);
        assert_int_equal(query_gave_up(&q), costly);
        query_end(&q);
    }
    world_close(&w);
}

#ifndef WORLD_ENGINE
static void an_expression_that_is_late_ends_the_question(void **state) {
    (void)state;
    struct query q;
    uint64_t n = 99;
    world_open(&w, 1);
    fill_with_costly_texts(&w, COSTLY_TEXTS);
    query_begin(&q, &(struct query_options){.store = w.store, .timeout_ns = 2000000});
    err e = count_matches(&q, "service.name~^(a+)+$", &n);
    assert_true(e && err_kind(e) == ERR_CANCELLED && n == 99);
    err_free(e);
    query_end(&q);
    world_close(&w);
}
#endif

#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, open_world, close_world)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_WORLD(a_question_ends_whenever_its_asker_goes),
        IN_WORLD(a_question_ends_when_the_flag_is_set),
#ifndef WORLD_ENGINE
        IN_WORLD(a_question_that_is_late_is_no_answer),
        cmocka_unit_test(an_expression_that_is_late_ends_the_question),
#endif
        IN_WORLD(a_question_keeps_to_its_memory),
        IN_WORLD(a_question_meets_the_budget_of_all),
        cmocka_unit_test(names_are_charged),
        cmocka_unit_test(a_service_that_is_left_out_is_told),
        cmocka_unit_test(a_huge_trace_is_left_out_of_a_search),
        cmocka_unit_test(an_expression_that_gives_up_makes_the_answer_partial),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
