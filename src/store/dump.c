/* clew dump: any file of a data directory as text. */
#include "base/json.h"
#include "base/text.h"
#include "signal/batch_build.h"
#include "signal/otlp.h"
#include "store/engine/delete_priv.h"
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
    batch_unref(blob);
    batch_builder_done(&builder);
}

static err dump_record(void *context, const struct log_record *r) {
    struct dump_log *d = context;
    struct batch_blob *blob;
    struct batch view;
    buf_add_fmt(d->out, "record %llu: " STR_FMT "/%s, %zu bytes", (unsigned long long)r->sequence, STR_ARG(r->tenant),
                signal_names[r->signal], r->blob.n);
    err e = batch_open(r->blob, &blob);
    if (e) {
        buf_add_fmt(d->out, ", cannot be read: %s\n", err_text(e));
        err_free(e);
        return NULL;
    }
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

static err dump_segment(struct str bytes, const char *path, uint64_t rows_max, struct buf *out) {
    struct segment_head head;
    struct segment_reading reading;
    struct dump_log d = {out, rows_max};
    TRY(segment_head_read(bytes, path, &head));
    buf_add_fmt(out, "log segment %llu, format 1, from sequence %llu, begun ", (unsigned long long)head.number,
                (unsigned long long)head.first_sequence);
    put_time(out, head.created_ns);
    buf_add_byte(out, '\n');
    TRY(segment_read(bytes, path, &head, dump_record, &d, out, &reading));
    buf_add_fmt(out, "%llu records in %llu of %zu bytes, %llu damaged%s\n", (unsigned long long)reading.records,
                (unsigned long long)reading.end, bytes.n, (unsigned long long)reading.bad,
                reading.torn ? ", then one that was never durable" : "");
    return NULL;
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

static bool begins(struct str bytes, const char magic[8]) { return bytes.n >= 8 && memcmp(bytes.p, magic, 8) == 0; }

static err dump_mapped(struct str bytes, const char *path, uint64_t rows_max, struct buf *out) {
    if (begins(bytes, format_magic_lock)) return dump_lock(bytes, path, out);
    if (begins(bytes, format_magic_manifest)) return dump_manifest(bytes, path, out);
    if (begins(bytes, format_magic_log)) return dump_segment(bytes, path, rows_max, out);
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
