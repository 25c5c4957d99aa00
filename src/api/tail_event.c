/* Events of the log tail. JSON has no line ends in it, so data is one line. */
#include "api/api_priv.h"

#include "base/hash.h"
#include "base/text.h"

bool tail_put_log(struct buf *out, const struct batch *b, uint32_t row, uint64_t *out_hash) {
    AUTO_ARENA struct arena scratch;
    struct json_writer w;
    size_t before = out->n, data;
    arena_init(&scratch, TAIL_EVENT_MAX);
    buf_add_text(out, "event: log\nid: ");
    put_time(out, (int64_t)batch_u64(b, SET_ROWS, FIELD_TIME, row));
    buf_add_text(out, "\ndata: ");
    data = out->n;
    json_writer_init(&w, out);
    write_log(&w, b, row, true, &scratch);
    *out_hash = hash_fast(out->p + data, out->n - data);
    buf_add_text(out, "\n\n");
    if (!out->full && out->n - before <= TAIL_EVENT_MAX) return true;
    out->n = before;
    out->full = false;
    return false;
}

void tail_put_lost(struct buf *out, uint64_t rows) {
    buf_add_fmt(out, "event: lost\ndata: {\"rows\":%llu}\n\n", (unsigned long long)rows);
}

void tail_put_end(struct buf *out, struct str reason) {
    struct json_writer w;
    buf_add_text(out, "event: end\ndata: ");
    json_writer_init(&w, out);
    json_object(&w);
    json_member(&w, "reason", str, reason);
    json_object_end(&w);
    buf_add_text(out, "\n\n");
}
