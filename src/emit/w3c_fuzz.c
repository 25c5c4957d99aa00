/* Any text as traceparent, tracestate and baggage: what is taken is within the limits, and says the same when it was written and read again. */
#include "emit/w3c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hold(bool good) {
    if (!good) __builtin_trap();
}

static void parent(struct str text) {
    struct trace_context c = {0}, again = {0};
    char out[TRACEPARENT_BYTES + 1];
    if (!traceparent_read(text, &c)) return;
    traceparent_write(&c, out);
    hold(traceparent_read(str_of(out), &again) && memcmp(&c, &again, sizeof c) == 0);
}

static void state(struct str text) {
    struct tracestate s, again;
    AUTO_BUF struct buf out;
    buf_init(&out, 64 * KIB);
    if (!tracestate_read(text, &s)) return;
    hold(tracestate_write(&s, STR("clew"), STR("1"), &out) && out.n <= TRACESTATE_BYTES_MAX);
    hold(tracestate_read(buf_str(&out), &again) && again.n >= 1 && str_equal(again.v[0].key, STR("clew")));
}

static void bag(struct str text) {
    static struct baggage b, again;
    struct arena a;
    AUTO_BUF struct buf out;
    buf_init(&out, 64 * KIB);
    arena_init(&a, MIB);
    baggage_read(text, &a, &b);
    baggage_write(&b, &out);
    hold(out.n <= BAGGAGE_BYTES_MAX);
    baggage_read(out.n ? buf_str(&out) : STR(""), &a, &again);
    hold(again.n <= b.n);
    for (uint32_t i = 0; i < again.n && again.n == b.n; i++)
        hold(str_equal(b.v[i].key, again.v[i].key) && str_equal(b.v[i].value, again.v[i].value));
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str text = str_span(size ? (const char *)data : "", size);
    parent(text);
    state(text);
    bag(text);
    return 0;
}
