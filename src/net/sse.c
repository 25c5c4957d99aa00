#include "net/sse.h"

#include "base/text.h"

void sse_init(struct sse_reader *r, size_t max, void (*on_event)(void *context, const struct sse_event *e),
              void *context) {
    *r = (struct sse_reader){.retry_ms = -1, .on_event = on_event, .context = context};
    buf_init(&r->line, max);
    buf_init(&r->type, max);
    buf_init(&r->data, max + 1); /* with the LF after its last line */
    buf_init(&r->id, max);
}

void sse_done(struct sse_reader *r) {
    buf_done(&r->line);
    buf_done(&r->type);
    buf_done(&r->data);
    buf_done(&r->id);
}

static void set(struct buf *b, struct str value) {
    buf_clear(b);
    buf_add_str(b, value);
}

static void dispatch(struct sse_reader *r) {
    if (r->has_data) {
        r->data.n--; /* the last LF */
        r->on_event(r->context, &(struct sse_event){r->type.n ? buf_str(&r->type) : STR("message"), buf_str(&r->data),
                                                    buf_str(&r->id)});
    }
    buf_clear(&r->type);
    buf_clear(&r->data);
    r->has_data = false;
}

static void take_retry(struct sse_reader *r, struct str value) {
    uint64_t ms = 0;
    err e = parse_u64(value, &ms);
    if (!e && ms <= INT32_MAX) r->retry_ms = (int64_t)ms;
    err_free(e); /* not digits alone: ignored */
}

static void take_field(struct sse_reader *r, struct str name, struct str value) {
    if (str_equal(name, STR("data"))) {
        buf_add_str(&r->data, value);
        buf_add_byte(&r->data, '\n');
        r->has_data = true;
    } else if (str_equal(name, STR("event"))) {
        set(&r->type, value);
    } else if (str_equal(name, STR("id"))) {
        if (str_find(value, 0) < 0) set(&r->id, value);
    } else if (str_equal(name, STR("retry"))) {
        take_retry(r, value);
    }
}

static void take_line(struct sse_reader *r) {
    struct str line = buf_str(&r->line), name, value;
    if (!r->begun && str_starts_with(line, STR("\xef\xbb\xbf"))) line = (struct str){line.p + 3, line.n - 3};
    r->begun = true;
    if (line.n == 0) {
        dispatch(r);
    } else if (line.p[0] != ':') {
        str_cut(line, ':', &name, &value);
        if (str_starts_with(value, STR(" "))) value = (struct str){value.p + 1, value.n - 1};
        take_field(r, name, value);
    }
    buf_clear(&r->line);
}

err sse_read(struct sse_reader *r, struct str bytes) {
    while (bytes.n) {
        size_t n = 0;
        if (r->after_cr && bytes.p[0] == '\n') n = 1;
        r->after_cr = false;
        bytes = (struct str){bytes.p + n, bytes.n - n};
        for (n = 0; n < bytes.n && bytes.p[n] != '\n' && bytes.p[n] != '\r';) n++;
        buf_add(&r->line, bytes.p, n);
        if (r->line.full) return err_new(ERR_LIMIT, "a line of the stream is over %zu bytes", r->line.max);
        if (n == bytes.n) return NULL;
        r->after_cr = bytes.p[n] == '\r';
        take_line(r);
        if (r->data.full) return err_new(ERR_LIMIT, "an event of the stream is over %zu bytes", r->line.max);
        bytes = (struct str){bytes.p + n + 1, bytes.n - n - 1};
    }
    return NULL;
}
