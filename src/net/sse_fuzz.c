/* A stream of events from any bytes: whole and cut in two the same, and no data over the limit. The first byte says where. */
#include "net/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX = 200 };

static void on_event(void *context, const struct sse_event *e) {
    struct buf *out = context;
    if (e->data.n > MAX || e->type.n > MAX || e->id.n > MAX || e->type.n == 0) __builtin_trap();
    if (memchr(e->type.p, '\n', e->type.n) || (e->id.n && memchr(e->id.p, 0, e->id.n))) __builtin_trap();
    buf_add_fmt(out, "%zu:" STR_FMT "%zu:" STR_FMT "%zu:" STR_FMT, e->type.n, STR_ARG(e->type), e->data.n,
                STR_ARG(e->data), e->id.n, STR_ARG(e->id));
}

static bool read_cut(struct str text, size_t cut, struct buf *out) {
    struct sse_reader r;
    cut = MIN(cut, text.n);
    sse_init(&r, MAX, on_event, out);
    err e = sse_read(&r, (struct str){text.p, cut});
    if (!e) e = sse_read(&r, (struct str){text.p + cut, text.n - cut});
    bool good = !e;
    err_free(e);
    sse_done(&r);
    return good;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    struct str text = {(const char *)data + 1, size - 1};
    AUTO_BUF struct buf whole, cut;
    buf_init(&whole, 64 * MIB);
    buf_init(&cut, 64 * MIB);
    bool good = read_cut(text, text.n, &whole);
    if (read_cut(text, data[0], &cut) != good || !str_equal(buf_str(&whole), buf_str(&cut))) __builtin_trap();
    return 0;
}
