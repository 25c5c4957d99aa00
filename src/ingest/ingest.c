#include "ingest/live.h"
#include "ingest/ingest.h"

#include "base/budget.h"
#include "net/inflate.h"
#include "os/clock.h"
#include "os/thread.h"
#include "store/store.h"

enum {
    BODY_MAX_BYTES = 64 << 20,
    SMALL_BODY_BYTES = 1 << 20, /* before and after decompression */
    WARM_BODY_BYTES = 2 << 20,  /* a decoder that saw a larger body is not kept: its columns stay as large */
    POOL_MAX = 64,
};

/* What one body needs while it is decoded. */
struct worker {
    struct otlp_decoder *decoder;
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
    otlp_decoder_free(w.decoder);
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

static err take_worker(struct ingest *in, struct worker *out) {
    *out = (struct worker){0};
    lock_take(&in->lock);
    if (in->pooled) *out = in->pool[--in->pooled];
    lock_give(&in->lock);
    if (out->decoder) return NULL;
    if (in->options.redact) TRY(redactor_new(in->options.redact, in->options.redact_secret, &out->redactor));
    out->decoder = otlp_decoder_new();
    return NULL;
}

static void give_worker(struct ingest *in, struct worker w, size_t body_bytes) {
    bool kept = false;
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
        MAX(inflate_claim(encoding, body, max), (size_t)1); /* if it lies, the whole limit is drawn instead */
    *out_large = only_small && claim > SMALL_BODY_BYTES;
    if (*out_large) return NULL;
    TRY(loan_grow(loan, claim));
    err e = inflate_body(encoding, body, claim, out, out_owned);
    if (e && err_kind(e) == ERR_LIMIT && claim < max) {
        err_free(e);
        *out_large = only_small;
        if (only_small) return NULL;
        TRY(loan_grow(loan, max - claim));
        e = inflate_body(encoding, body, max, out, out_owned);
    }
    if (e && err_kind(e) == ERR_LIMIT) {
        err_free(e);
        return too_large(in);
    }
    return e;
}

static void describe(struct ingest_outcome *o) {
    struct buf text;
    buf_init(&text, sizeof o->message - 1);
    for (size_t i = 0; i < OTLP_REASONS; i++)
        if (o->rejected_by[i])
            buf_add_fmt(&text, "%s%u: %s", text.n ? "; " : "", o->rejected_by[i], otlp_reason_texts[i]);
    if (o->invalid_utf8)
        buf_add_fmt(&text, "%s%u strings are not UTF-8; kept as they are", text.n ? "; " : "", o->invalid_utf8);
    if (text.n) memcpy(o->message, text.p, text.n);
    o->message[text.n] = 0;
    buf_done(&text);
}

/* One body between decoding and durability. */
struct flight {
    struct ingest *in;
    enum signal signal;
    uint64_t bytes;
    bool only_small, is_large; /* is_large: left alone, since only a small one is wanted */
    struct redact_counts redacted;
    struct ingest_outcome outcome;
    ingest_done_fn done;
    void *context;
    struct batch_blob *kept; /* for live; NULL: there is none */
    char *tenant;            /* of `kept` */
};

static void land(struct flight *f, err e) {
    struct ingest *in = f->in;
    lock_take(&in->lock);
    struct ingest_stats *s = &in->stats;
    s->bodies[f->signal]++;
    s->bytes[f->signal] += f->bytes;
    if (e) {
        s->failed[f->signal][err_kind(e)]++;
    } else {
        s->rows[f->signal] += f->outcome.taken;
        s->invalid_utf8[f->signal] += f->outcome.invalid_utf8;
        for (size_t i = 0; i < OTLP_REASONS; i++) s->rejected[f->signal][i] += f->outcome.rejected_by[i];
        for (size_t i = 0; i < REDACT_RULES_MAX; i++) s->redacted.changed[i] += f->redacted.changed[i];
        s->redacted.gave_up += f->redacted.gave_up;
    }
    lock_give(&in->lock);
    /* Asked when it is visible, not before: who began to follow meanwhile and then looked at the store has seen it there. */
    if (f->kept && !e && live_is_followed(in->options.live, str_of(f->tenant), f->signal))
        live_publish(in->options.live, str_of(f->tenant), f->signal, f->kept);
    batch_unref(f->kept);
    mem_free(f->tenant);
    f->done(f->context, e, e ? NULL : &f->outcome);
    mem_free(f);
}

static void on_stored(void *context, err e) { land(context, e); }

/* The batch by the rules; on an error *blob is left for the caller to end. */
static err redact(struct flight *f, struct worker w, struct loan *loan, struct batch_blob **blob) {
    struct batch b;
    if (!w.redactor || !*blob) return NULL;
    TRY(loan_grow(loan, 2 * (uint64_t)batch_bytes(*blob).n + 4 * KIB)); /* a second builder, and its blob */
    batch_view(*blob, &b);
    struct batch_blob *changed = redactor_apply(w.redactor, &b, &f->redacted);
    if (!changed) return NULL;
    batch_unref(*blob);
    *blob = changed;
    return NULL;
}

/* Plain bytes to the batch that may be kept. */
static err decode_plain(struct flight *f, struct loan *loan, enum otlp_format format, struct str plain,
                        struct otlp_result *out) {
    struct ingest *in = f->in;
    struct worker w;
    struct otlp_limits limits = {.now = in->options.wall_ns(), .budget = loan->budget};
    store_time_limits(in->options.store, &limits.time_min, &limits.time_max);
    limits.granted_bytes = 2 * (uint64_t)plain.n + 4 * KIB; /* the builder and the blob, of most bodies */
    TRY(loan_grow(loan, limits.granted_bytes));
    TRY(take_worker(in, &w));
    err e = (format == OTLP_JSON ? otlp_decode_json : otlp_decode)(w.decoder, f->signal, plain, &limits, out);
    if (!e) e = redact(f, w, loan, &out->blob);
    give_worker(in, w, plain.n);
    if (e) batch_unref(take(&out->blob));
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
    struct otlp_result result = {0};
    err e = decode_plain(f, loan, request->format, plain, &result);
    mem_free(owned);
    TRY(e);
    f->outcome.taken = result.rows;
    f->outcome.invalid_utf8 = result.invalid_utf8;
    for (size_t i = 0; i < OTLP_REASONS; i++) {
        f->outcome.rejected_by[i] = result.rejected[i];
        f->outcome.rejected += result.rejected[i];
    }
    describe(&f->outcome);
    *out = result.blob;
    return NULL;
}

/* False if the body is large and only a small one is wanted; then f is gone, too. */
static bool fly(struct flight *f, const struct ingest_request *request) {
    struct ingest *in = f->in;
    struct loan loan = {.budget = in->options.budget};
    struct batch_blob *blob = NULL;
    err e = decode(f, &loan, request, &blob);
    bool flying = false, large = f->is_large;
    if (!e && blob && in->options.live) {
        f->kept = batch_ref(blob);
        f->tenant = str_dup(request->tenant);
    }
    if (!e && blob) {
        e = store_append(in->options.store, request->tenant, blob, on_stored, f);
        flying = e == NULL; /* f may be gone already */
    }
    loan_end(&loan); /* a batch that was taken is the store's, which accounts for it */
    if (large) mem_free(f);
    if (!flying && !large) land(f, e);
    return !large;
}

static struct flight *flight_new(struct ingest *in, const struct ingest_request *request, ingest_done_fn done,
                                 void *context) {
    struct flight *f = mem_new_of(struct flight);
    *f = (struct flight){
        .in = in, .signal = request->signal, .bytes = request->body.n, .done = done, .context = context};
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
