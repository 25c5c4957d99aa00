/* clew dump: any file of a data directory as text. */
#include "base/json.h"
#include "base/text.h"
#include "signal/batch_build.h"
#include "signal/otlp.h"
#include "signal/metrics/points_decode.h"
#include "store/engine/delete_priv.h"
#include "store/engine/series_table_priv.h"
#include "store/journal/log_priv.h"
#include "store/journal/manifest_priv.h"
#include "store/part/part_priv.h"
#include "store/store.h"

static err dump_lock(struct str bytes, const char *path, struct buf *out) {
    struct format_head head;
    TRY(format_head_read(bytes, format_magic_lock, path, &head));
    buf_add_fmt(out, "lock of a data directory, format %u\n", head.version);
    return NULL;
}

/* ---- manifest --------------------------------------------------------------------------------------------------- */

static err dump_edit(void *context, uint64_t offset, struct str edit) {
    struct buf *out = context;
    buf_add_fmt(out, "edit at byte %llu, %zu bytes\n", (unsigned long long)offset, edit.n);
    edit_dump(edit, out);
    return NULL;
}

static err dump_manifest(struct str bytes, const char *path, struct buf *out) {
    struct manifest_reading reading = {0};
    buf_add_text(out, "manifest, format 1\n");
    TRY(manifest_read(bytes, path, dump_edit, out, out, &reading));
    buf_add_fmt(out, "%llu edits in %llu bytes%s\n", (unsigned long long)reading.edits, (unsigned long long)reading.end,
                reading.torn ? ", then one that was never durable" : "");
    return NULL;
}

/* ---- log -------------------------------------------------------------------------------------------------------- */

struct dump_log {
    struct buf *out;
    uint64_t rows_left;
    struct said_log said; /* of this segment */
};

static void dump_rows(struct dump_log *d, const struct batch *b) {
    struct batch_copy_cache cache = {0};
    struct batch_builder builder;
    batch_builder_init(&builder, b->signal);
    for (uint32_t i = 0; i < b->rows && d->rows_left; i++, d->rows_left--) batch_builder_copy(&builder, b, i, &cache);
    batch_copy_cache_done(&cache);
    struct batch_blob *blob = batch_builder_finish(&builder);
    struct batch rows;
    struct json_writer json;
    batch_view(blob, &rows);
    json_writer_init(&json, d->out);
    otlp_write_json(&rows, &json);
    buf_add_byte(d->out, '\n');
    rows_dump_ids(&rows, d->out);
    batch_unref(blob);
    batch_builder_done(&builder);
}

/* Points of Prometheus have no form of their own that is text: their series and times. */
static void dump_points(struct dump_log *d, const struct points *p) {
    struct json_writer json;
    if (p->origin == POINTS_OTLP && p->n <= d->rows_left) {
        json_writer_init(&json, d->out);
        points_write_otlp_json(p, &json);
        buf_add_byte(d->out, '\n');
        d->rows_left -= p->n;
        return;
    }
    for (uint32_t i = 0; i < p->n && d->rows_left && p->origin == POINTS_PROMETHEUS; i++, d->rows_left--) {
        struct str labels = points_labels_of(p, point_series(p, i)), name, value;
        buf_add_fmt(d->out, "  %lld ms", (long long)point_time(p, i));
        while (points_label_next(&labels, &name, &value)) {
            buf_add_byte(d->out, ' ');
            put_terminal(d->out, name);
            buf_add_byte(d->out, '=');
            put_terminal(d->out, value);
        }
        buf_add_byte(d->out, '\n');
    }
}

static err dump_points_record(struct dump_log *d, const struct log_record *r) {
    AUTO_FREE uint32_t *numbers = NULL;
    struct batch_blob *blob;
    struct points p;
    uint32_t lost;
    said_log_add(&d->said, r);
    TRY(said_log_open(&d->said, r, &blob, &numbers, &lost));
    points_view(blob, &p);
    buf_add_fmt(d->out, ", %u points of %u series%s%s", p.n, p.series_count,
                p.origin == POINTS_OTLP ? ", OpenTelemetry's" : "",
                r->flags & RECORD_FRESH ? ", the first of a head" : "");
    if (lost) buf_add_fmt(d->out, ", %u of them named in earlier segments", lost);
    buf_add_text(d->out, ", arrived ");
    put_time(d->out, r->arrived_ns);
    buf_add_byte(d->out, '\n');
    if (d->rows_left) dump_points(d, &p);
    batch_unref(blob);
    return NULL;
}

static err dump_rows_record(struct dump_log *d, const struct log_record *r) {
    struct batch_blob *blob;
    struct batch view;
    TRY(batch_open(r->blob, &blob));
    batch_view(blob, &view);
    buf_add_fmt(d->out, ", %u rows from ", view.rows);
    put_time(d->out, view.time_min);
    buf_add_text(d->out, " to ");
    put_time(d->out, view.time_max);
    buf_add_byte(d->out, '\n');
    if (d->rows_left) dump_rows(d, &view);
    batch_unref(blob);
    return NULL;
}

static err dump_record(void *context, const struct log_record *r) {
    struct dump_log *d = context;
    buf_add_fmt(d->out, "record %llu: " STR_FMT "/%s, %zu bytes", (unsigned long long)r->sequence, STR_ARG(r->tenant),
                table_name(r->signal), r->blob.n);
    err e = r->signal == TABLE_SERIES ? dump_points_record(d, r) : dump_rows_record(d, r);
    if (e) buf_add_fmt(d->out, ", cannot be read: %s\n", err_text(e));
    err_free(e);
    return NULL;
}

static err dump_segment(struct str bytes, const char *path, uint64_t rows_max, struct buf *out) {
    struct segment_head head;
    struct segment_reading reading;
    struct dump_log d = {.out = out, .rows_left = rows_max};
    TRY(segment_head_read(bytes, path, &head));
    buf_add_fmt(out, "log segment %llu, format 1, from sequence %llu, begun ", (unsigned long long)head.number,
                (unsigned long long)head.first_sequence);
    put_time(out, head.created_ns);
    buf_add_byte(out, '\n');
    err e = segment_read(bytes, path, &head, dump_record, &d, out, &reading);
    said_log_done(&d.said);
    TRY(e);
    buf_add_fmt(out, "%llu records in %llu of %zu bytes, %llu damaged%s\n", (unsigned long long)reading.records,
                (unsigned long long)reading.end, bytes.n, (unsigned long long)reading.bad,
                reading.torn ? ", then one that was never durable" : "");
    return NULL;
}

/* ---- what is said about metrics --------------------------------------------------------------------------------- */

static void dump_saying(void *context, const struct series_metadata *m) {
    static const char *const types[METRIC_TYPES] = {
        [METRIC_TYPE_UNKNOWN] = "unknown", [METRIC_TYPE_COUNTER] = "counter",
        [METRIC_TYPE_GAUGE] = "gauge",     [METRIC_TYPE_HISTOGRAM] = "histogram",
        [METRIC_TYPE_SUMMARY] = "summary", [METRIC_TYPE_GAUGEHISTOGRAM] = "gaugehistogram",
        [METRIC_TYPE_INFO] = "info",       [METRIC_TYPE_STATESET] = "stateset",
    };
    struct buf *out = context;
    put_terminal(out, m->name);
    buf_add_fmt(out, ": %s", types[m->type]);
    if (m->unit.n) {
        buf_add_text(out, ", in ");
        put_terminal(out, m->unit);
    }
    buf_add_text(out, ": ");
    put_terminal(out, m->help);
    buf_add_byte(out, '\n');
}

static err dump_texts(struct str bytes, const char *path, struct buf *out) {
    buf_add_text(out, "what is said about metrics, format 1\n");
    return metric_texts_scan(bytes, path, dump_saying, out);
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

static err dump_rollups(const char *path, uint64_t rows_max, struct buf *out) {
    struct rollup_file *f;
    TRY(rollup_file_open(path, &f));
    rollup_file_dump(f, rows_max, out);
    rollup_file_unref(f);
    return NULL;
}

static bool begins(struct str bytes, const char magic[8]) { return bytes.n >= 8 && memcmp(bytes.p, magic, 8) == 0; }

static err dump_mapped(struct str bytes, const char *path, uint64_t rows_max, struct buf *out) {
    if (begins(bytes, format_magic_lock)) return dump_lock(bytes, path, out);
    if (begins(bytes, format_magic_manifest)) return dump_manifest(bytes, path, out);
    if (begins(bytes, format_magic_log)) return dump_segment(bytes, path, rows_max, out);
    if (begins(bytes, format_magic_texts)) return dump_texts(bytes, path, out);
    if (begins(bytes, ROLLUP_MAGIC)) return dump_rollups(path, rows_max, out);
    if (series_part_begins(bytes)) return series_part_dump(path, rows_max, out);
    return part_dump(path, rows_max, out);
}

err store_dump(const char *path, uint64_t rows_max, struct buf *out) {
    struct file *file;
    struct str map;
    TRY(segment_map(path, &file, &map));
    err e = dump_mapped(map, path, rows_max, out);
    segment_unmap(file, map);
    return e;
}
