/* A sink that writes down what it is told, a line each, for the tests of this room, its fuzz target and its bench. */
#pragma once

#include "base/text.h"
#include "base/vec.h"
#include "ingest/rollup/rollup.h"

struct str_range {
    size_t from, to;
};
struct written_sink {
    struct rollup_sink sink;
    struct buf keys;             /* their lines, one after the other */
    VEC(struct str_range) lines; /* of keys, by number */
    struct buf *out;             /* NULL: only counted */
    uint64_t keys_asked, calls[ROLLUP_VIEWS], halves, plain, parents, failed, duration_ns;
    VEC(uint8_t) views; /* by number of key */
};

static inline void write_texts(struct buf *out, const struct str *texts) {
    for (int i = 0; i < ROLLUP_TEXTS; i++) {
        if (i) buf_add_byte(out, '|');
        buf_add_str(out, texts[i]);
    }
}

static uint32_t written_key(struct rollup_sink *s, const struct rollup_key *key) {
    static const char *const views[] = {"spans", "server", "client"};
    struct written_sink *w = (struct written_sink *)s;
    size_t from = w->keys.n;
    buf_add_fmt(&w->keys, "%s ", views[key->view]);
    write_texts(&w->keys, key->texts);
    buf_add_fmt(&w->keys, " %u %u", key->kind, key->status);
    *vec_push(&w->lines) = (struct str_range){from, w->keys.n};
    *vec_push(&w->views) = key->view;
    w->keys_asked++;
    return (uint32_t)w->lines.n - 1;
}

static void written_add(struct rollup_sink *s, uint32_t key, const struct rollup_call *c) {
    struct written_sink *w = (struct written_sink *)s;
    w->calls[w->views.v[key]]++;
    w->failed += c->failed;
    w->duration_ns += c->duration_ns;
    if (!w->out) return;
    struct str_range line = w->lines.v[key];
    buf_add(w->out, w->keys.p + line.from, line.to - line.from);
    buf_add_fmt(w->out, " %lld+%llu%s\n", (long long)c->start_ns, (unsigned long long)c->duration_ns,
                c->failed ? " failed" : "");
}

static void written_half(struct rollup_sink *s, const struct rollup_half *h) {
    struct written_sink *w = (struct written_sink *)s;
    w->halves += !h->is_plain;
    w->plain += h->is_plain;
    if (!w->out) return;
    buf_add_fmt(w->out, "%s%s%s " STR_FMT "|" STR_FMT "|" STR_FMT " %u of %llx peer=" STR_FMT " %lld+%llu%s\n",
                h->is_plain ? "plain " : "", h->is_server ? "called" : "caller", h->is_remembered ? " remembered" : "",
                STR_ARG(h->environment), STR_ARG(h->space), STR_ARG(h->service), h->connection,
                (unsigned long long)h->client_span, STR_ARG(h->peer), (long long)h->call.start_ns,
                (unsigned long long)h->call.duration_ns, h->call.failed ? " failed" : "");
}

static void written_parent(struct rollup_sink *s, const struct rollup_parent *p) {
    struct written_sink *w = (struct written_sink *)s;
    w->parents++;
    if (!w->out) return;
    buf_add_fmt(w->out, "parent %llx " STR_FMT "|" STR_FMT "|" STR_FMT "\n", (unsigned long long)p->span_id,
                STR_ARG(p->environment), STR_ARG(p->space), STR_ARG(p->service));
}

static const struct rollup_sink_functions written_functions = {written_key, written_add, written_half, written_parent};

static inline void written_init(struct written_sink *w, struct buf *out) {
    *w = (struct written_sink){.sink = {&written_functions}, .out = out};
    buf_init(&w->keys, (size_t)1 << 30);
}

static inline void written_done(struct written_sink *w) {
    vec_done(&w->lines);
    vec_done(&w->views);
    buf_done(&w->keys);
}
