#include "insight/errors.h"

#include <openssl/sha.h>
#include <stdlib.h>

#include "algo/message.h"
#include "base/map.h"
#include "base/vec.h"
#include "insight/analysis.h"

enum { PATTERN_BYTES_MAX = 512, TREND_LEAST = 5, LAST_SIXTH = QUERY_FAILURE_BUCKETS * 5 / 6 };

const char *const error_trend_names[ERROR_TRENDS] = {
    [ERROR_STEADY] = "steady",
    [ERROR_NEW] = "new",
    [ERROR_INCREASING] = "increasing",
    [ERROR_DECREASING] = "decreasing",
};

/* Failures of a group that passed through the spans of a failure, by its index. */
struct passage {
    uint32_t group;
    struct error_caller through;
};

struct grouper {
    struct arena *a;
    struct strings fingerprints;
    struct strings seen; /* groups in environments */
    struct error_group *v;
    uint64_t *most; /* of each group: failures of its most frequent part */
    struct buf text;
    VEC(struct passage) passages;
    uint64_t passed_through;
};

/* ---- fingerprints ----------------------------------------------------------------------------------------------- */

static void add_hex(char *out, const unsigned char *bytes, size_t n) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digits[bytes[i] >> 4];
        out[2 * i + 1] = digits[bytes[i] & 15];
    }
    out[2 * n] = 0;
}

/* In g->text; the pattern is what stands from *pattern on, that many bytes. */
static void write_print(struct grouper *g, const struct query_failure *f, size_t *pattern, size_t *pattern_bytes) {
    struct buf cut;
    buf_init(&cut, PATTERN_BYTES_MAX);
    message_normalise(f->message, &cut);
    buf_clear(&g->text);
    buf_add_str(&g->text, f->error);
    buf_add_byte(&g->text, '|');
    *pattern = g->text.n;
    *pattern_bytes = cut.n;
    buf_add_str(&g->text, buf_str(&cut));
    buf_add_byte(&g->text, '|');
    buf_add_str(&g->text, f->space);
    buf_add_byte(&g->text, '/');
    buf_add_str(&g->text, f->service);
    buf_add_byte(&g->text, '|');
    buf_add_str(&g->text, f->operation);
    buf_done(&cut);
}

/* ---- groups ----------------------------------------------------------------------------------------------------- */

static int newer_first(const void *x, const void *y) {
    const struct query_failure_sample *a = x, *b = y;
    return a->time > b->time ? -1 : a->time < b->time;
}

static void add_samples(struct query_failure *to, const struct query_failure *from) {
    struct query_failure_sample all[2 * QUERY_FAILURE_SAMPLES];
    uint32_t n = to->sample_count, kept = 0;
    memcpy(all, to->samples, n * sizeof *all);
    memcpy(all + n, from->samples, from->sample_count * sizeof *all);
    n += from->sample_count;
    qsort(all, n, sizeof *all, newer_first);
    for (uint32_t i = 0; i < n && kept < QUERY_FAILURE_SAMPLES; i++) {
        bool known = false;
        for (uint32_t k = 0; k < kept; k++) known = known || !memcmp(to->samples[k].trace_id, all[i].trace_id, 16);
        if (!known) to->samples[kept++] = all[i];
    }
    to->sample_count = kept;
}

static void add_failure(struct error_group *to, uint64_t *most, const struct query_failure *f) {
    struct query_failure *sum = &to->of;
    to->variants++;
    if (f->count > *most) {
        *most = f->count;
        sum->message = f->message;
        sum->environment = f->environment;
        sum->kind = f->kind;
    }
    sum->count += f->count;
    sum->passed_through += f->passed_through;
    sum->first = MIN(sum->first, f->first);
    sum->last = MAX(sum->last, f->last);
    for (int i = 0; i < QUERY_FAILURE_BUCKETS; i++) sum->buckets[i] += f->buckets[i];
    add_samples(sum, f);
}

static void count_environment(struct grouper *g, uint32_t group, struct str environment) {
    buf_clear(&g->text);
    buf_add(&g->text, &group, sizeof group);
    buf_add_str(&g->text, environment);
    uint32_t known = g->seen.n;
    if (strings_intern(&g->seen, buf_str(&g->text)) == known) g->v[group].environments++;
}

static err group_failure(struct grouper *g, const struct query_failure *f, uint32_t *out) {
    unsigned char digest[SHA256_DIGEST_LENGTH];
    char print[ERROR_FINGERPRINT_DIGITS + 1];
    size_t pattern, bytes;
    write_print(g, f, &pattern, &bytes);
    SHA256((const unsigned char *)g->text.p, g->text.n, digest);
    add_hex(print, digest, ERROR_FINGERPRINT_DIGITS / 2);
    uint32_t known = g->fingerprints.n, at = strings_intern(&g->fingerprints, str_of(print));
    *out = at;
    if (at < known) {
        add_failure(&g->v[at], &g->most[at], f);
        return NULL;
    }
    struct error_group *made = &g->v[at];
    *made = (struct error_group){.of = *f, .variants = 1};
    memcpy(made->fingerprint, print, sizeof print);
    made->pattern = arena_copy(g->a, (struct str){g->text.p + pattern, bytes});
    g->most[at] = f->count;
    return made->pattern.p ? NULL : arena_err(g->a);
}

/* ---- callers ---------------------------------------------------------------------------------------------------- */

static int by_group_and_caller(const void *x, const void *y) {
    const struct passage *a = x, *b = y;
    if (a->group != b->group) return a->group < b->group ? -1 : 1;
    int order = str_compare(a->through.service, b->through.service);
    return order ? order : str_compare(a->through.operation, b->through.operation);
}

static int most_passages_first(const void *x, const void *y) {
    const struct error_caller *a = x, *b = y;
    if (a->count != b->count) return a->count > b->count ? -1 : 1;
    int order = str_compare(a->service, b->service);
    return order ? order : str_compare(a->operation, b->operation);
}

static void note_callers(struct grouper *g, uint32_t group, const struct query_failures_answer *in,
                         const struct query_failure *f) {
    g->passed_through += f->passed_through;
    for (uint32_t i = 0; i < f->caller_count; i++) {
        const struct query_failure *through = &in->failures[f->callers[i].failure];
        *vec_push(&g->passages) = (struct passage){group, {through->service, through->operation, f->callers[i].count}};
    }
}

/* Variants of one operation are one caller. */
static err list_callers(struct grouper *g) {
    struct passage *v = g->passages.v;
    size_t n = g->passages.n, made = 0;
    struct error_caller *all = arena_array(g->a, struct error_caller, n + 1);
    if (!all) return arena_err(g->a);
    if (n) qsort(v, n, sizeof *v, by_group_and_caller);
    for (size_t i = 0, end; i < n; i = end) {
        struct error_group *group = &g->v[v[i].group];
        struct error_caller one = {v[i].through.service, v[i].through.operation, 0};
        if (!group->callers) group->callers = all + made;
        for (end = i; end < n && by_group_and_caller(&v[end], &v[i]) == 0; end++) one.count += v[end].through.count;
        all[made++] = one;
        group->callers_found++;
        if (end < n && v[end].group == v[i].group) continue;
        qsort(all + made - group->callers_found, group->callers_found, sizeof *all, most_passages_first);
        group->caller_n = (uint32_t)MIN(group->callers_found, (uint64_t)ERROR_CALLERS_MAX);
    }
    return NULL;
}

/* ---- trend and order ---------------------------------------------------------------------------------------------- */

static enum error_trend trend_of(const struct query_failure *f) {
    uint64_t early = 0, late = 0, before_last = 0;
    for (int i = 0; i < QUERY_FAILURE_BUCKETS; i++) {
        *(i < QUERY_FAILURE_BUCKETS / 2 ? &early : &late) += f->buckets[i];
        if (i < LAST_SIXTH) before_last += f->buckets[i];
    }
    if (!before_last) return ERROR_NEW;
    if (early + late < TREND_LEAST) return ERROR_STEADY;
    if (late >= 2 * early) return ERROR_INCREASING;
    return early >= 2 * late ? ERROR_DECREASING : ERROR_STEADY;
}

static int most_first(const void *x, const void *y) {
    const struct error_group *a = x, *b = y;
    if (a->of.count != b->of.count) return a->of.count > b->of.count ? -1 : 1;
    return strcmp(a->fingerprint, b->fingerprint);
}

static err group_all(struct grouper *g, const struct query_failures_answer *in, size_t limit,
                     struct error_groups *out) {
    g->v = arena_array(g->a, struct error_group, in->n + 1);
    g->most = arena_array(g->a, uint64_t, in->n + 1);
    if (!g->v || !g->most) return arena_err(g->a);
    for (size_t i = 0; i < in->n; i++) {
        uint32_t group;
        if (!in->failures[i].count) continue; /* it only passed on what others began */
        TRY(group_failure(g, &in->failures[i], &group));
        note_callers(g, group, in, &in->failures[i]);
        count_environment(g, group, in->failures[i].environment);
    }
    TRY(list_callers(g));
    uint32_t n = g->fingerprints.n;
    for (uint32_t i = 0; i < n; i++) g->v[i].trend = trend_of(&g->v[i].of);
    if (n) qsort(g->v, n, sizeof *g->v, most_first);
    *out = (struct error_groups){.groups = g->v,
                                 .n = MIN((size_t)n, limit),
                                 .found = n,
                                 .total = in->total,
                                 .other = in->other,
                                 .unfolded = in->unfolded,
                                 .passed_through = g->passed_through,
                                 .time_min = in->time_min,
                                 .time_max = in->time_max};
    return NULL;
}

err errors_make(struct arena *a, const struct query_failures_answer *in, size_t limit, struct error_groups *out) {
    struct grouper g = {.a = a};
    strings_init(&g.fingerprints);
    strings_init(&g.seen);
    buf_init(&g.text, SIZE_MAX / 2); /* of texts that are in memory */
    err e = group_all(&g, in, limit, out);
    strings_done(&g.fingerprints);
    strings_done(&g.seen);
    buf_done(&g.text);
    vec_done(&g.passages);
    return e;
}

/* What the newest sample's last exception says. */
static err name_exceptions(struct query *q, struct error_groups *out) {
    for (size_t i = 0; i < MIN(out->n, (size_t)ERROR_EXCEPTIONS_MAX); i++) {
        struct batch b;
        bool found;
        if (!out->groups[i].of.sample_count) continue;
        TRY(query_failure_span(q, &out->groups[i].of.samples[0], &b, &found));
        if (!found) continue;
        struct analysis_error e = analysis_exception_of(&b, 0, &q->arena);
        out->groups[i].exception_type = e.type;
        out->groups[i].exception_message = e.message;
    }
    return NULL;
}

err errors_read(struct query *q, const struct query_filter *f, struct str fingerprint, size_t limit,
                struct error_groups *out) {
    struct query_failures_answer failures;
    struct error_groups made;
    TRY(query_failures(q, f, &failures));
    TRY(errors_make(&q->arena, &failures, fingerprint.n ? SIZE_MAX : limit, &made));
    if (fingerprint.n) {
        size_t i = 0;
        while (i < made.n && !str_equal(str_of(made.groups[i].fingerprint), fingerprint)) i++;
        made.n = made.found = i < made.n;
        made.groups += made.n ? i : 0;
    }
    TRY(name_exceptions(q, &made));
    *out = made;
    return NULL;
}
