#include <stdarg.h>
#include <stdio.h>

#include "query/promql/eval_priv.h"
#include "query/promql/number.h"

static void keep_note(struct evaluator *ev, enum note_kind kind, const struct promql_node *at, struct str text) {
    struct str *notes = kind == NOTE_WARNING ? ev->warnings : ev->infos;
    size_t *n = kind == NOTE_WARNING ? &ev->warning_n : &ev->info_n;
    if (*n == NOTES_MAX) return;
    AUTO_BUF struct buf b;
    buf_init(&b, NOTE_BYTES_MAX + 64);
    buf_add_text(&b, kind == NOTE_WARNING ? "PromQL warning: " : "PromQL info: ");
    buf_add_str(&b, (struct str){text.p, MIN(text.n, (size_t)NOTE_BYTES_MAX - 64)});
    uint32_t line = 1, column = 1;
    for (uint32_t i = 0; at && i < at->start && i < ev->text.n; i++) {
        column++;
        if (ev->text.p[i] == '\n') line++, column = 1;
    }
    if (at) buf_add_fmt(&b, " (%u:%u)", line, column);
    for (size_t i = 0; i < *n; i++)
        if (str_equal(notes[i], buf_str(&b))) return;
    struct str kept = arena_copy(ev->a, buf_str(&b));
    if (kept.p) notes[(*n)++] = kept;
}

void note(struct evaluator *ev, enum note_kind kind, const struct promql_node *at, const char *format, ...) {
    char text[NOTE_BYTES_MAX];
    va_list ap;
    va_start(ap, format);
    int n = vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    keep_note(ev, kind, at, (struct str){text, (size_t)MAX(0, MIN(n, (int)sizeof text - 1))});
}

static void note_with(struct evaluator *ev, enum note_kind kind, const struct promql_node *at, struct str name,
                      const char *text, const char *between) {
    /* One series after the other says the same of the same metric. */
    if (ev->last_note.at == at && ev->last_note.text == text && str_equal(ev->last_note.name, name)) return;
    ev->last_note.at = at, ev->last_note.text = text, ev->last_note.name = name;
    AUTO_BUF struct buf b;
    buf_init(&b, 8 * KIB);
    buf_add_text(&b, text);
    buf_add_text(&b, between);
    put_go_quoted(&b, name);
    keep_note(ev, kind, at, buf_str(&b));
}

void note_name(struct evaluator *ev, enum note_kind kind, const struct promql_node *at, struct str name,
               const char *text) {
    note_with(ev, kind, at, name, text, " ");
}

void note_maybe_name(struct evaluator *ev, enum note_kind kind, const struct promql_node *at, struct str name,
                     const char *text) {
    if (name.n)
        note_with(ev, kind, at, name, text, " for metric name ");
    else
        note(ev, kind, at, "%s", text);
}

void note_mixed_histograms(struct evaluator *ev, const struct promql_node *at, struct str name, enum native_added why) {
    note_name(ev, NOTE_WARNING, at, name,
              why == NATIVE_MIXED_SCHEMAS
                  ? "vector contains a mix of histograms with exponential and custom buckets schemas for metric name"
                  : "vector contains histograms with incompatible custom buckets for metric name");
}

void note_mixed_kinds(struct evaluator *ev, const struct promql_node *at, struct str name) {
    note_name(ev, NOTE_WARNING, at, name, "encountered a mix of histograms and floats for metric name");
}

void note_histograms_left_out(struct evaluator *ev, const struct promql_node *at, struct str name) {
    note_name(ev, NOTE_INFO, at, name,
              "ignored histograms in a range containing both floats and histograms for metric name");
}

void note_bad_quantile(struct evaluator *ev, const struct promql_node *at, double q) {
    if (q >= 0 && q <= 1) return;
    AUTO_BUF struct buf b;
    buf_init(&b, 64);
    put_go_general(&b, q);
    note(ev, NOTE_WARNING, at, "quantile value should be between 0 and 1, got %s", b.p);
}
