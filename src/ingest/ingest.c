#include "ingest/live.h"
#include "ingest/outcome_priv.h"

#include "base/budget.h"
#include "net/inflate.h"
#include "os/clock.h"
#include "os/thread.h"
#include "signal/metrics/snappy.h"
#include "store/series.h"

enum {
    BODY_MAX_BYTES = 64 << 20,
    SMALL_BODY_BYTES = 1 << 20, /* before and after decompression */
    WARM_BODY_BYTES = 2 << 20,  /* a decoder that saw a larger body is not kept: its columns stay as large */
    POOL_MAX = 64,
};

/* What one body needs while it is decoded; decoders are made by the first body of their kind. */
struct worker {
    struct otlp_decoder *rows;
    struct points_decoder *points;
    struct redactor *redactor; /* NULL: there are no rules */
};

struct ingest {
    struct ingest_options options;
    struct lock lock; /* of the pool and the statistics */
    struct worker pool[POOL_MAX];
    size_t pooled;
    struct ingest_stats stats;
};

struct ingest *ingest_new(const struct ingest_options *options) {
    struct ingest *in = mem_new_of(struct ingest);
    in->options = *options;
    if (!in->options.body_max_bytes) in->options.body_max_bytes = BODY_MAX_BYTES;
    if (!in->options.wall_ns) in->options.wall_ns = clock_wall_ns;
    lock_init(&in->lock);
    return in;
}

static void worker_free(struct worker w) {
    otlp_decoder_free(w.rows);
    points_decoder_free(w.points);
    redactor_free(w.redactor);
}

void ingest_free(struct ingest *in) {
    if (!in) return;
    for (size_t i = 0; i < in->pooled; i++) worker_free(in->pool[i]);
    lock_done(&in->lock);
    mem_free(in);
}

void ingest_get_stats(struct ingest *in, struct ingest_stats *out) {
    lock_take(&in->lock);
    *out = in->stats;
    lock_give(&in->lock);
}

/* ---- workers: the last one given back is the next taken, so its memory is warm ------------------------------------ */

static err take_worker(struct ingest *in, enum ingest_kind kind, struct worker *out) {
    *out = (struct worker){0};
    lock_take(&in->lock);
    if (in->pooled) *out = in->pool[--in->pooled];
    lock_give(&in->lock);
    if (in->options.redact && !out->redactor)
        TRY(redactor_new(in->options.redact, in->options.redact_secret, &out->redactor));
    if (kind == INGEST_METRICS && !out->points) {
        out->points = points_decoder_new();
        if (!in->options.redact) points_decoder_share(out->points); /* rules look at every label */
    }
    if (kind != INGEST_METRICS && !out->rows) out->rows = otlp_decoder_new();
    return NULL;
}

/* Labels that decoders keep are for speed alone: when memory is short they go first. */
static bool is_short(const struct budget *b) { return b && budget_used(b) > b->limit_bytes - b->limit_bytes / 8; }

static void forget_labels(struct ingest *in) {
    lock_take(&in->lock);
    for (size_t i = 0; i < in->pooled; i++)
        if (in->pool[i].points) points_decoder_forget(in->pool[i].points);
    lock_give(&in->lock);
}

static void give_worker(struct ingest *in, struct worker w, size_t body_bytes) {
    bool kept = false;
    if (w.points && is_short(in->options.budget)) points_decoder_forget(w.points);
    lock_take(&in->lock);
    if (body_bytes <= WARM_BODY_BYTES && in->pooled < POOL_MAX) {
        in->pool[in->pooled++] = w;
        kept = true;
    }
    lock_give(&in->lock);
    if (!kept) worker_free(w);
}

/* ---- budget ----------------------------------------------------------------------------------------------------- */

/* What one body holds of the budget while it is decoded. */
struct loan {
    struct budget *budget;
    uint64_t bytes;
};

static err loan_grow(struct loan *l, uint64_t more) {
    if (!l->budget) return NULL;
    if (!budget_take(l->budget, more)) return budget_err(l->budget, "a request");
    l->bytes += more;
    return NULL;
}

static void loan_end(struct loan *l) {
    if (l->budget && l->bytes) budget_give(l->budget, l->bytes);
    l->bytes = 0;
}

/* ---- one body --------------------------------------------------------------------------------------------------- */

static bool is_identity(struct str encoding) { return encoding.n == 0 || str_equal_nocase(encoding, STR("identity")); }

static bool is_snappy(struct str encoding) { return str_equal_nocase(encoding, STR("snappy")); }

static size_t unpacked_claim(struct str encoding, struct str body, size_t max) {
    return is_snappy(encoding) ? MIN(snappy_block_claim(body), max) : inflate_claim(encoding, body, max);
}

static err unpack_up_to(struct str encoding, struct str body, size_t max, struct str *out, void **out_owned) {
    struct buf plain;
    if (!is_snappy(encoding)) return inflate_body(encoding, body, max, out, out_owned);
    buf_init(&plain, max);
    err e = snappy_block_read(body, &plain);
    if (e) {
        buf_done(&plain);
        return e;
    }
    *out = buf_str(&plain);
    *out_owned = plain.p;
    return NULL;
}

static err too_large(const struct ingest *in) {
    return err_new(ERR_LIMIT, "the body is larger than %zu MiB", in->options.body_max_bytes / MIB);
}

/* only_small: sets *out_large, and nothing else, for a body that is not. */
static err unpack(struct ingest *in, struct loan *loan, struct str encoding, struct str body, bool only_small,
                  bool *out_large, struct str *out, void **out_owned) {
    size_t max = in->options.body_max_bytes;
    *out_large = only_small && body.n > SMALL_BODY_BYTES;
    if (*out_large) return NULL;
    if (body.n > max) return too_large(in);
    if (is_identity(encoding)) {
        *out = body;
        return NULL;
    }
    size_t claim =
        MAX(unpacked_claim(encoding, body, max), (size_t)1); /* if it lies, the whole limit is drawn instead */
    *out_large = only_small && claim > SMALL_BODY_BYTES;
    if (*out_large) return NULL;
    size_t room =
        is_snappy(encoding) ? max : claim; /* a block takes what it states or is refused: its claim cannot lie */
    TRY(loan_grow(loan, claim));
    err e = unpack_up_to(encoding, body, room, out, out_owned);
    if (e && err_kind(e) == ERR_LIMIT && room < max) {
        err_free(e);
        *out_large = only_small;
        if (only_small) return NULL;
        TRY(loan_grow(loan, max - claim));
        e = unpack_up_to(encoding, body, max, out, out_owned);
    }
    if (e && err_kind(e) == ERR_LIMIT) {
        err_free(e);
        return too_large(in);
    }
    return e;
}

/* One body between decoding and durability. */
struct flight {
    struct ingest *in;
    enum ingest_kind kind;
    uint64_t bytes;
    bool only_small, is_large; /* is_large: left alone, since only a small one is wanted */
    struct redact_counts redacted;
    struct correlate_counts correlated;
    struct ingest_outcome outcome;
    char detail[240]; /* of the first point that the decoder refused */
    ingest_done_fn done;
    void *context;
    struct batch_blob *kept; /* for live; NULL: there is none */
    char *tenant;            /* of `kept` */
};

static void count_outcome(struct ingest_stats *s, const struct flight *f) {
    const struct ingest_outcome *o = &f->outcome;
    s->rows[f->kind] += o->taken;
    s->invalid_utf8[f->kind] += o->invalid_utf8;
    s->samples += o->samples;
    s->histograms += o->histograms;
    s->exemplars += o->exemplars;
    s->exemplars_rejected += o->exemplars_rejected;
    for (size_t i = 0; i < INGEST_REASONS; i++) s->rejected[f->kind][i] += o->rejected_by[i];
    for (size_t i = 0; i < REDACT_RULES_MAX; i++) s->redacted.changed[i] += f->redacted.changed[i];
    s->redacted.gave_up += f->redacted.gave_up;
    for (size_t i = 0; i < CORRELATE_SOURCES; i++) s->correlated.lifted[i] += f->correlated.lifted[i];
    s->correlated.too_long += f->correlated.too_long;
    s->correlated.bodies_too_large += f->correlated.bodies_too_large;
}

static void land(struct flight *f, err e) {
    struct ingest *in = f->in;
    lock_take(&in->lock);
    struct ingest_stats *s = &in->stats;
    s->bodies[f->kind]++;
    s->bytes[f->kind] += f->bytes;
    if (e)
        s->failed[f->kind][err_kind(e)]++;
    else
        count_outcome(s, f);
    lock_give(&in->lock);
    /* Asked when it is visible, not before: who began to follow meanwhile and then looked at the store has seen it there. */
    if (f->kept && !e && live_is_followed(in->options.live, str_of(f->tenant), (enum signal)f->kind))
        live_publish(in->options.live, str_of(f->tenant), (enum signal)f->kind, f->kept);
    batch_unref(f->kept);
    mem_free(f->tenant);
    f->done(f->context, e, e ? NULL : &f->outcome);
    mem_free(f);
}

static void on_stored(void *context, err e) { land(context, e); }

static void on_points_stored(void *context, err e, const struct points_outcome *stored) {
    struct flight *f = context;
    if (!e) {
        outcome_of_store(&f->outcome, stored);
        outcome_describe(&f->outcome, f->detail, stored->message);
    }
    land(f, e);
}

static struct batch_blob *redacted(struct flight *f, struct redactor *r, struct batch_blob *blob) {
    struct batch rows;
    struct points points;
    if (f->kind == INGEST_METRICS) {
        points_view(blob, &points);
        return redactor_apply_points(r, &points, &f->redacted);
    }
    batch_view(blob, &rows);
    return redactor_apply(r, &rows, &f->redacted);
}

/* The batch by the rules; on an error *blob is left for the caller to end. */
static err redact(struct flight *f, struct worker w, struct loan *loan, struct batch_blob **blob) {
    if (!w.redactor || !*blob) return NULL;
    TRY(loan_grow(loan, 2 * (uint64_t)batch_bytes(*blob).n + 4 * KIB)); /* a second builder, and its blob */
    struct batch_blob *changed = redacted(f, w.redactor, *blob);
    if (!changed) return NULL;
    batch_unref(*blob);
    *blob = changed;
    return NULL;
}

/* After redaction: what was taken away is no id. On an error *blob is left for the caller to end. */
static err correlate(struct flight *f, struct loan *loan, struct batch_blob **blob) {
    const struct correlate_rules *rules = f->in->options.correlate;
    struct batch rows;
    if (!rules || !*blob || f->kind == INGEST_METRICS) return NULL;
    batch_view(*blob, &rows);
    TRY(loan_grow(loan, batch_bytes(*blob).n + 8 * (uint64_t)rows.rows + 4 * KIB));
    correlate_batch(rules, blob, &f->correlated);
    return NULL;
}

static err decode_rows(struct flight *f, struct worker w, const struct ingest_request *r, struct str plain,
                       const struct otlp_limits *limits, struct batch_blob **out) {
    struct otlp_result result = {0};
    TRY((r->format == INGEST_OTLP_JSON ? otlp_decode_json : otlp_decode)(w.rows, (enum signal)r->kind, plain, limits,
                                                                         &result));
    outcome_of_rows(&f->outcome, &result);
    outcome_describe(&f->outcome, "", "");
    *out = result.blob;
    return NULL;
}

static err decode_points_as(struct points_decoder *d, const struct ingest_request *r, struct str plain,
                            const struct otlp_limits *limits, struct points_result *out) {
    switch (r->format) {
    case INGEST_OTLP: return points_decode_otlp(d, plain, limits, out);
    case INGEST_OTLP_JSON: return points_decode_otlp_json(d, plain, limits, out);
    case INGEST_WRITE_1: return points_decode_write(d, 1, plain, limits, out);
    case INGEST_WRITE_2: return points_decode_write(d, 2, plain, limits, out);
    case INGEST_TEXT: return points_decode_import(d, POINTS_TEXT, plain, r->labels, r->label_count, limits, out);
    case INGEST_OPENMETRICS:
        return points_decode_import(d, POINTS_OPENMETRICS, plain, r->labels, r->label_count, limits, out);
    }
    return err_new(ERR_INTERNAL, "a format that is none");
}

static err decode_points(struct flight *f, struct worker w, const struct ingest_request *r, struct str plain,
                         const struct otlp_limits *limits, struct batch_blob **out) {
    struct points_result result = {0};
    TRY(decode_points_as(w.points, r, plain, limits, &result));
    const char *detail = strstr(result.first, ": "); /* before it stands the reason, which is counted */
    if (detail) memcpy(f->detail, detail + 2, strlen(detail + 2) + 1);
    outcome_of_decoding(&f->outcome, &result);
    outcome_describe(&f->outcome, f->detail, "");
    *out = result.blob;
    return NULL;
}

/* Plain bytes to the batch that may be kept. */
static err decode_plain(struct flight *f, struct loan *loan, const struct ingest_request *request, struct str plain,
                        struct batch_blob **out) {
    struct ingest *in = f->in;
    struct worker w;
    struct otlp_limits limits = {.now = in->options.wall_ns(), .budget = loan->budget};
    store_time_limits(in->options.store, &limits.time_min, &limits.time_max);
    limits.granted_bytes = 2 * (uint64_t)plain.n + 4 * KIB; /* the builder and the blob, of most bodies */
    TRY(loan_grow(loan, limits.granted_bytes));
    TRY(take_worker(in, f->kind, &w));
    err e = (f->kind == INGEST_METRICS ? decode_points : decode_rows)(f, w, request, plain, &limits, out);
    if (!e) e = redact(f, w, loan, out);
    if (!e) e = correlate(f, loan, out);
    give_worker(in, w, plain.n);
    if (e) batch_unref(take(out));
    return e;
}

static err decode(struct flight *f, struct loan *loan, const struct ingest_request *request, struct batch_blob **out) {
    struct str plain;
    void *owned = NULL;
    if (f->only_small && f->in->options.redact) { /* patterns may take long */
        f->is_large = true;
        return NULL;
    }
    TRY(unpack(f->in, loan, request->encoding, request->body, f->only_small, &f->is_large, &plain, &owned));
    if (f->is_large) return NULL;
    f->bytes = plain.n;
    err e = decode_plain(f, loan, request, plain, out);
    mem_free(owned);
    return e;
}

static err append(struct flight *f, struct str tenant, struct batch_blob *blob) {
    struct store *store = f->in->options.store;
    return f->kind == INGEST_METRICS ? store_append_points(store, tenant, blob, on_points_stored, f)
                                     : store_append(store, tenant, blob, on_stored, f);
}

/* False if the body is large and only a small one is wanted; then f is gone, too. */
static bool fly(struct flight *f, const struct ingest_request *request) {
    struct ingest *in = f->in;
    struct loan loan = {.budget = in->options.budget};
    struct batch_blob *blob = NULL;
    err e = decode(f, &loan, request, &blob);
    bool flying = false, large = f->is_large;
    if (!e && blob && in->options.live && f->kind != INGEST_METRICS) {
        f->kept = batch_ref(blob);
        f->tenant = str_dup(request->tenant);
    }
    if (!e && blob) {
        e = append(f, request->tenant, blob);
        flying = e == NULL; /* f may be gone already */
    }
    loan_end(&loan); /* a batch that was taken is the store's, which accounts for it */
    if (e && err_kind(e) == ERR_BUSY) forget_labels(in);
    if (large) mem_free(f);
    if (!flying && !large) land(f, e);
    return !large;
}

static struct flight *flight_new(struct ingest *in, const struct ingest_request *request, ingest_done_fn done,
                                 void *context) {
    struct flight *f = mem_new_of(struct flight);
    *f = (struct flight){.in = in, .kind = request->kind, .bytes = request->body.n, .done = done, .context = context};
    return f;
}

void ingest_body(struct ingest *in, const struct ingest_request *request, ingest_done_fn done, void *context) {
    fly(flight_new(in, request, done, context), request);
}

bool ingest_body_if_small(struct ingest *in, const struct ingest_request *request, ingest_done_fn done, void *context) {
    struct flight *f = flight_new(in, request, done, context);
    f->only_small = true;
    return fly(f, request);
}

/* The blob by the rules, in *blob. */
static err redact_made(struct flight *f, struct batch_blob **blob) {
    struct ingest *in = f->in;
    struct loan loan = {.budget = in->options.budget};
    struct worker w;
    if (!in->options.redact) return NULL;
    TRY(take_worker(in, f->kind, &w));
    err e = redact(f, w, &loan, blob);
    give_worker(in, w, f->bytes);
    loan_end(&loan);
    return e;
}

err ingest_rows(struct ingest *in, struct str tenant, enum ingest_kind kind, struct batch_blob *blob,
                ingest_done_fn done, void *context) {
    struct flight *f = mem_new_of(struct flight);
    struct batch rows;
    batch_view(blob, &rows);
    *f = (struct flight){.in = in, .kind = kind, .bytes = batch_bytes(blob).n, .done = done, .context = context};
    f->outcome.taken = rows.rows;
    struct loan loan = {.budget = in->options.budget};
    err e = redact_made(f, &blob);
    if (!e) e = correlate(f, &loan, &blob);
    loan_end(&loan);
    if (!e && in->options.live) {
        f->kept = batch_ref(blob);
        f->tenant = str_dup(tenant);
    }
    if (e)
        batch_unref(blob);
    else
        e = append(f, tenant, blob);
    if (!e) return NULL;
    batch_unref(f->kept);
    mem_free(f->tenant);
    mem_free(f);
    return e;
}

err ingest_points(struct ingest *in, struct str tenant, enum ingest_source source, struct batch_blob *blob,
                  ingest_done_fn done, void *context) {
    struct flight *f = mem_new_of(struct flight);
    *f = (struct flight){
        .in = in, .kind = INGEST_METRICS, .bytes = batch_bytes(blob).n, .done = done, .context = context};
    err e = source == INGEST_DERIVED ? NULL : redact_made(f, &blob);
    if (e)
        batch_unref(blob);
    else
        e = append(f, tenant, blob);
    if (e) mem_free(f);
    return e;
}
