#include "ingest/forward/sample_priv.h"

#include "base/hash.h"
#include "base/vec.h"

enum { TRACE_ID_BYTES = 16, TRACE_OVERHEAD = 256, BUCKETS_MAX = 1 << 20, REQUEST_MAX = 64 << 20 };

struct trace {
    struct trace *next_in_bucket, *older, *newer; /* older, newer: of its line */
    int line;
    unsigned char id[TRACE_ID_BYTES];
    uint64_t hash;
    int64_t due_ns;
    uint64_t start_ns, end_ns;
    double rate; /* the highest of its services; under 0: none of them is listed */
    bool has_error;
    size_t charged_bytes;
    struct buf request;
    uint32_t rows;
    VEC(uint64_t) records;
};

/* Times only grow: each line is in the order in which its traces are due. */
enum { LINE_OPEN, LINE_ROOTED, LINES };

/* Of a trace: in a ring, the oldest is written over; and in a chain of those whose hashes end alike, by places + 1. */
struct decision {
    uint64_t hash; /* its lowest bit: kept */
    uint32_t next;
};

struct sampler {
    const struct forward_sampling *config;
    struct sampler_sink sink;
    struct trace **buckets, *oldest[LINES], *newest[LINES];
    uint64_t bucket_mask;
    struct decision *decisions;
    uint32_t *chains;
    uint64_t decisions_max, chain_mask, decided;
    struct sampler_counts counts;
    /* of the request that is added */
    uint64_t record;
    int64_t now_ns;
    struct sampler_spans late;
};

void sampler_spans_done(struct sampler_spans *s) {
    buf_done(&s->request);
    mem_free(s->records);
    *s = (struct sampler_spans){0};
}

static uint64_t power_over(uint64_t n) {
    uint64_t p = 1024;
    while (p < n) p *= 2;
    return p;
}

struct sampler *sampler_new(const struct forward_sampling *config, const struct sampler_sink *sink) {
    struct sampler *s = mem_new_of(struct sampler);
    uint64_t buckets = MIN(power_over(config->traces_max), (uint64_t)BUCKETS_MAX);
    s->config = config;
    s->sink = *sink;
    s->bucket_mask = buckets - 1;
    s->buckets = mem_new_array(struct trace *, buckets);
    s->decisions_max = 4 * config->traces_max;
    s->decisions = mem_new_array(struct decision, s->decisions_max);
    s->chain_mask = power_over(s->decisions_max) - 1;
    s->chains = mem_new_array(uint32_t, s->chain_mask + 1);
    return s;
}

static void trace_free(struct trace *t) {
    buf_done(&t->request);
    vec_done(&t->records);
    mem_free(t);
}

void sampler_set(struct sampler *s, const struct forward_sampling *config) { s->config = config; }

void sampler_free(struct sampler *s) {
    if (!s) return;
    for (int line = 0; line < LINES; line++)
        for (struct trace *t = s->oldest[line], *newer; t; t = newer) {
            newer = t->newer;
            trace_free(t);
        }
    sampler_spans_done(&s->late);
    mem_free(s->buckets);
    mem_free(s->decisions);
    mem_free(s->chains);
    mem_free(s);
}

/* ---- decisions --------------------------------------------------------------------------------------------------- */

/* The same in every process: XXH3 without a secret. */
static bool is_within(const unsigned char id[TRACE_ID_BYTES], double rate) {
    double share = (double)(hash_bytes(id, TRACE_ID_BYTES) >> 11) / 9007199254740992.0;
    return share < rate;
}

static bool decide(struct sampler *s, const struct trace *t) {
    const struct forward_sampling *c = s->config;
    if (c->keep_errors && t->has_error) {
        s->counts.kept_error++;
        return true;
    }
    if (c->slow_ns && t->end_ns > t->start_ns && t->end_ns - t->start_ns >= (uint64_t)c->slow_ns) {
        s->counts.kept_slow++;
        return true;
    }
    bool kept = is_within(t->id, t->rate >= 0 ? t->rate : c->rate);
    s->counts.kept_rate += kept;
    s->counts.dropped += !kept;
    return kept;
}

static uint32_t *chain_of(const struct sampler *s, uint64_t hash) { return &s->chains[hash >> 1 & s->chain_mask]; }

static const struct decision *find_decision(const struct sampler *s, uint64_t hash) {
    uint32_t at = *chain_of(s, hash);
    while (at && (s->decisions[at - 1].hash | 1) != (hash | 1)) at = s->decisions[at - 1].next;
    return at ? &s->decisions[at - 1] : NULL;
}

static void remember(struct sampler *s, uint64_t hash, bool kept) {
    uint32_t place = (uint32_t)(s->decided % s->decisions_max);
    struct decision *d = &s->decisions[place];
    if (s->decided++ >= s->decisions_max) { /* the oldest goes */
        uint32_t *at = chain_of(s, d->hash);
        while (*at != place + 1) at = &s->decisions[*at - 1].next;
        *at = d->next;
    }
    uint32_t *chain = chain_of(s, hash);
    *d = (struct decision){(hash & ~1ull) | kept, *chain};
    *chain = place + 1;
}

static void join_line(struct sampler *s, struct trace *t, int line) {
    t->line = line;
    t->newer = NULL;
    t->older = s->newest[line];
    *(t->older ? &t->older->newer : &s->oldest[line]) = t;
    s->newest[line] = t;
}

static void leave_line(struct sampler *s, struct trace *t) {
    *(t->older ? &t->older->newer : &s->oldest[t->line]) = t->newer;
    *(t->newer ? &t->newer->older : &s->newest[t->line]) = t->older;
}

static void unlink_trace(struct sampler *s, struct trace *t) {
    struct trace **at = &s->buckets[t->hash & s->bucket_mask];
    while (*at != t) at = &(*at)->next_in_bucket;
    *at = t->next_in_bucket;
    leave_line(s, t);
    s->counts.traces--;
    s->counts.bytes -= t->charged_bytes;
}

static void end_trace(struct sampler *s, struct trace *t) {
    bool kept = decide(s, t);
    struct sampler_spans spans = {.request = t->request, .rows = t->rows};
    spans.records = t->records.v;
    spans.record_count = t->records.n;
    remember(s, t->hash, kept);
    unlink_trace(s, t);
    mem_free(t);
    *(kept ? &s->counts.rows_kept : &s->counts.rows_dropped) += spans.rows;
    if (!kept) {
        buf_done(&spans.request);
        buf_init(&spans.request, 0);
    }
    s->sink.decided(s->sink.context, kept, &spans);
}

/* The one that is due first; NULL: none is held. */
static struct trace *first_due(const struct sampler *s) {
    struct trace *open = s->oldest[LINE_OPEN], *rooted = s->oldest[LINE_ROOTED];
    return !open || (rooted && rooted->due_ns < open->due_ns) ? rooted : open;
}

void sampler_run(struct sampler *s, int64_t now) {
    for (struct trace *t = first_due(s); t && t->due_ns <= now; t = first_due(s)) end_trace(s, t);
}

int64_t sampler_next_due(const struct sampler *s) {
    const struct trace *t = first_due(s);
    return t ? t->due_ns : INT64_MAX;
}

/* ---- spans ------------------------------------------------------------------------------------------------------- */

static struct trace *find_trace(const struct sampler *s, uint64_t hash, struct str id) {
    struct trace *t = s->buckets[hash & s->bucket_mask];
    while (t && (t->hash != hash || memcmp(t->id, id.p, TRACE_ID_BYTES) != 0)) t = t->next_in_bucket;
    return t;
}

static struct trace *begin_trace(struct sampler *s, uint64_t hash, struct str id) {
    struct trace *t = mem_new_of(struct trace);
    *t = (struct trace){.hash = hash, .due_ns = s->now_ns + s->config->wait_ns, .start_ns = UINT64_MAX, .rate = -1};
    memcpy(t->id, id.p, TRACE_ID_BYTES);
    buf_init(&t->request, 4 * (size_t)REQUEST_MAX);
    struct trace **bucket = &s->buckets[hash & s->bucket_mask];
    t->next_in_bucket = *bucket;
    *bucket = t;
    join_line(s, t, LINE_OPEN);
    s->counts.traces++;
    return t;
}

static void note_span(struct sampler *s, struct trace *t, const struct otlp_span_bytes *span) {
    t->has_error |= span->is_error;
    t->start_ns = MIN(t->start_ns, span->start_ns);
    t->end_ns = MAX(t->end_ns, span->end_ns);
    if (!span->has_parent && t->line == LINE_OPEN && s->now_ns + s->config->wait_ns / 5 < t->due_ns) {
        leave_line(s, t);
        t->due_ns = s->now_ns + s->config->wait_ns / 5;
        join_line(s, t, LINE_ROOTED);
    }
    for (size_t i = 0; i < s->config->service_count; i++)
        if (str_equal(s->config->services[i].name, span->service)) t->rate = MAX(t->rate, s->config->services[i].rate);
}

static void hold_record(struct sampler *s, struct trace *t) {
    if (t->records.n && t->records.v[t->records.n - 1] == s->record) return;
    *vec_push(&t->records) = s->record;
    s->sink.hold(s->sink.context, s->record);
}

static void add_held(struct sampler *s, uint64_t hash, const struct otlp_span_bytes *span) {
    struct trace *t = find_trace(s, hash, span->trace_id);
    if (!t) t = begin_trace(s, hash, span->trace_id);
    note_span(s, t, span);
    hold_record(s, t);
    otlp_put_span(span, &t->request);
    t->rows++;
    size_t charge = t->request.capacity + t->records.capacity * sizeof *t->records.v + TRACE_OVERHEAD;
    s->counts.bytes += charge - t->charged_bytes;
    t->charged_bytes = charge;
    if (t->request.n > REQUEST_MAX / 4) { /* one that never ends goes on in pieces, as it was decided */
        s->counts.early++;
        end_trace(s, t);
    }
    while (s->counts.traces && (s->counts.traces > s->config->traces_max || s->counts.bytes > s->config->bytes_max)) {
        s->counts.early++;
        end_trace(s, first_due(s));
    }
}

static bool on_span(void *context, const struct otlp_span_bytes *span) {
    struct sampler *s = context;
    if (span->trace_id.n != TRACE_ID_BYTES) return true; /* none: requests are checked when they come */
    uint64_t hash = hash_fast(span->trace_id.p, TRACE_ID_BYTES) | 1;
    const struct decision *decision = find_decision(s, hash);
    if (!decision) {
        add_held(s, hash, span);
        return true;
    }
    s->counts.rows_late++;
    if (decision->hash & 1) {
        otlp_put_span(span, &s->late.request);
        s->late.rows++;
        s->counts.rows_kept++;
    } else {
        s->counts.rows_dropped++;
    }
    return true;
}

bool sampler_add(struct sampler *s, struct str request, uint64_t record, int64_t now) {
    s->record = record;
    s->now_ns = now;
    buf_init(&s->late.request, 2 * (size_t)REQUEST_MAX);
    bool good = otlp_spans_each(request, on_span, s);
    if (s->late.rows) {
        struct sampler_spans late = s->late;
        late.records = mem_new_of(uint64_t);
        late.records[0] = record;
        late.record_count = 1;
        s->sink.hold(s->sink.context, record);
        s->sink.decided(s->sink.context, true, &late);
    } else {
        buf_done(&s->late.request);
    }
    s->late = (struct sampler_spans){0};
    return good;
}

void sampler_get_counts(const struct sampler *s, struct sampler_counts *out) { *out = s->counts; }
