/* The analysis of a trace in a few sentences. */
#include "base/text.h"
#include "insight/analysis_priv.h"

static void put_call(struct buf *b, const struct trace_tree *t, uint32_t call) {
    buf_add_str(b, t->services[t->calls[call].service]);
    buf_add_text(b, ": ");
    buf_add_str(b, t->calls[call].operation);
}

static void say_number(struct buf *b, uint64_t n, const char *one, const char *many) {
    buf_add_fmt(b, "%llu %s", (unsigned long long)n, n == 1 ? one : many);
}

static void say_size(struct buf *b, const struct trace_tree *t, const struct analysis *of) {
    buf_add_text(b, of->errors ? "Failed: " : "Without errors: ");
    say_number(b, t->n, "span", "spans");
    buf_add_text(b, " of ");
    say_number(b, t->service_count, "service", "services");
    buf_add_text(b, " in ");
    put_duration_short(b, of->duration);
    if (of->errors) buf_add_fmt(b, ", %u failed", of->errors);
    buf_add_byte(b, '.');
}

static void say_cause(struct buf *b, const struct trace_tree *t, const struct analysis *of) {
    if (of->cause == TREE_NONE) return;
    buf_add_text(b, " The deepest failure is ");
    put_call(b, t, t->spans[of->cause].call);
    if (of->origins > 1) {
        buf_add_text(b, "; ");
        say_number(b, of->origins - 1, "other failure began", "other failures began");
        buf_add_text(b, " elsewhere");
    }
    buf_add_byte(b, '.');
}

static void say_path(struct buf *b, const struct trace_tree *t, const struct analysis *of) {
    const struct analysis_step *most = NULL;
    int64_t whole = t->spans[t->root].duration;
    for (size_t i = 0; i < of->path_n; i++)
        if (!most || of->path[i].self_ns > most->self_ns) most = &of->path[i];
    if (!most || whole <= 0) return;
    buf_add_fmt(b, " %.0f%% of the critical path is ", 100.0 * (double)most->self_ns / (double)whole);
    put_call(b, t, t->spans[most->span].call);
    buf_add_byte(b, '.');
}

static void say_rest(struct buf *b, const struct trace_tree *t, const struct analysis *of) {
    if (of->slow_found) {
        buf_add_byte(b, ' ');
        say_number(b, of->slow_found, "span took", "spans took");
        buf_add_text(b, " longer than the p95 of the day before, most of all ");
        put_call(b, t, t->spans[of->slow[0].span].call);
        buf_add_byte(b, '.');
    }
    if (of->repeat_found) {
        buf_add_byte(b, ' ');
        put_call(b, t, t->spans[of->repeats[0].parent].call);
        buf_add_text(b, " calls ");
        put_call(b, t, of->repeats[0].call);
        buf_add_fmt(b, " %u times.", of->repeats[0].count);
    }
    uint32_t wrong = 0;
    for (uint32_t i = 0; i < t->service_count; i++) wrong += t->clocks[i].ahead_ns != 0;
    if (wrong) {
        buf_add_byte(b, ' ');
        say_number(b, wrong, "clock is", "clocks are");
        buf_add_text(b, " ahead or behind, which is corrected here.");
    }
}

err analysis_say(struct arena *a, const struct trace_tree *t, struct analysis *out) {
    struct buf text;
    buf_init(&text, SIZE_MAX / 2); /* of texts that are in memory */
    say_size(&text, t, out);
    say_cause(&text, t, out);
    say_path(&text, t, out);
    say_rest(&text, t, out);
    out->summary = arena_copy(a, buf_str(&text));
    buf_done(&text);
    return out->summary.p ? NULL : arena_err(a);
}
