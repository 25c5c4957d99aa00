/* A part looked at whole: every block checked, or everything as text. */
#include "base/json.h"
#include "base/text.h"
#include "signal/batch_build.h"
#include "signal/otlp.h"
#include "store/part/part_read_priv.h"

enum { GROUP_ARENA_MAX = 1 << 30, BODY_MAX = 1 << 28 };

/* ---- check -------------------------------------------------------------------------------------------------------- */

static void finding(struct buf *out, uint64_t *bad, err e) {
    if (!e) return;
    buf_add_fmt(out, "%s\n", err_text(e));
    err_free(e);
    ++*bad;
}

/* What blocks must agree on: each key has as many values as the shapes say. */
static err check_keys(struct group_reader *r, enum set set) {
    if (!r->g->set_rows[set]) return NULL;
    struct key_counts counts;
    TRY(group_open_shapes(r, set));
    TRY(group_count_keys(r, set, &counts));
    for (uint32_t i = 0; i < counts.count; i++) {
        struct column c;
        TRY(group_open_key(r, set, counts.keys[i], counts.values[counts.keys[i]], &c));
    }
    return NULL;
}

/* Texts say at their reading only whether they are whole. */
static err check_texts(struct group_reader *r, const struct part_block *b) {
    struct column c;
    if (b->encoding != ENCODING_OWN && b->encoding != ENCODING_TEXTS) return NULL;
    TRY(column_open_block(r, b, &c));
    struct str *texts = ARENA_ARRAY(r->arena, struct str, c.texts.n);
    return texts_get_some(r, &c.texts, NULL, c.texts.n, texts);
}

static err check_block(struct group_reader *r, const struct part_block *b) {
    struct str bytes;
    TRY(group_check_block(r, b, &bytes));
    return check_texts(r, b);
}

static void check_group(struct part *p, uint32_t group, struct buf *out, uint64_t *bad) {
    AUTO_ARENA struct arena arena;
    struct scan_stats stats = {0};
    struct group_reader r;
    uint64_t before = *bad;
    arena_init(&arena, GROUP_ARENA_MAX);
    group_reader_init(&r, p, group, &arena, &stats);
    for (uint32_t i = 0; i < r.g->block_count; i++) finding(out, bad, check_block(&r, &r.blocks[i]));
    if (*bad > before) return;
    for (int set = SET_ROWS; set <= SET_LINKS; set++) finding(out, bad, check_keys(&r, (enum set)set));
    for (int set = SET_EVENTS; set <= SET_LINKS; set++)
        if (r.g->set_rows[set]) finding(out, bad, group_open_children(&r, (enum set)set));
}

err part_check(const char *path, struct buf *out, uint64_t *out_bad) {
    struct part *p;
    err e = part_open(path, &p);
    if (e) {
        if (err_kind(e) != ERR_CORRUPT) return e;
        finding(out, out_bad, e);
        return NULL;
    }
    for (uint32_t group = 0; group < p->info.groups; group++) check_group(p, group, out, out_bad);
    part_unref(p);
    return NULL;
}

/* ---- dump --------------------------------------------------------------------------------------------------------- */

const char *const part_section_names[SECTIONS] = {"strings",     "skeletons", "keys",  "shapes", "resources and scopes",
                                                  "trace index", "groups",    "blocks"};

static const char *const encoding_names[ENCODINGS] = {
    [ENCODING_INTS] = "ints",
    [ENCODING_BASED] = "ints from the time",
    [ENCODING_RAW8] = "8 bytes",
    [ENCODING_RUNS] = "runs of ids",
    [ENCODING_IDS] = "ids and codes",
    [ENCODING_RUN_TIMES] = "times by run",
    [ENCODING_PARENTS] = "parents",
    [ENCODING_CODES] = "part codes",
    [ENCODING_OWN] = "own texts and codes",
    [ENCODING_TEXTS] = "texts",
    [ENCODING_REST] = "rare keys",
    [ENCODING_ATTRIBUTE] = "those of an attribute",
};

void part_block_name(const struct part *p, const struct part_block *b, struct buf *out) {
    if (b->set != SET_ROWS) buf_add_fmt(out, "%s.", set_names[b->set]);
    if (b->field == COLUMN_REST) {
        buf_add_text(out, "(rare keys)");
    } else if (b->field == COLUMN_ATTRIBUTE) {
        static const char *const types[VALUE_TYPES] = {"empty", "string", "bool", "int", "double", "bytes", "any"};
        put_terminal(out, part_string(&p->strings, p->keys[b->key].name));
        buf_add_fmt(out, " (%s)", types[p->keys[b->key].type]);
    } else {
        buf_add_text(out, field_rows[b->field].name);
    }
}

static void dump_group(const struct part *p, uint32_t group, struct buf *out) {
    const struct part_group *g = &p->groups[group];
    buf_add_fmt(out, "group %u: offset %llu, %llu bytes, %u rows, %u events, %u links, ", group,
                (unsigned long long)g->offset, (unsigned long long)g->size, g->set_rows[SET_ROWS],
                g->set_rows[SET_EVENTS], g->set_rows[SET_LINKS]);
    put_time(out, g->time_min);
    buf_add_text(out, " to ");
    put_time(out, g->time_max);
    buf_add_byte(out, '\n');
    for (uint32_t i = 0; i < g->block_count; i++) {
        const struct part_block *b = &p->blocks[g->block_first + i];
        const char *encoding =
            b->encoding < ENCODINGS && encoding_names[b->encoding] ? encoding_names[b->encoding] : "unknown";
        buf_add_text(out, "  ");
        part_block_name(p, b, out);
        buf_add_fmt(out, ": %s, %u values, %u bytes at +%u, checksum %016llx\n", encoding, b->count, b->size,
                    b->offset * PART_ALIGN_BLOCK, (unsigned long long)b->checksum);
    }
}

static void dump_header(const struct part *p, struct buf *out) {
    const struct part_footer *f = (const void *)(p->map.p + p->map.n - sizeof *f);
    buf_add_fmt(out, "part of %s, id %llu, format %d: %llu rows, %llu bytes, %u groups\n", signal_names[p->info.signal],
                (unsigned long long)p->info.id, PART_VERSION, (unsigned long long)p->info.rows,
                (unsigned long long)p->info.bytes, p->info.groups);
    for (int i = 0; i < SECTIONS; i++)
        buf_add_fmt(out, "section %s: offset %llu, %llu bytes, %llu decompressed\n", part_section_names[i],
                    (unsigned long long)f->sections[i].offset, (unsigned long long)f->sections[i].size,
                    (unsigned long long)f->sections[i].raw_size);
    buf_add_fmt(out, "dictionaries: %u strings, %u skeletons, %u keys, %u shapes, %u resources, %u scopes, %u traces\n",
                p->strings.n, p->skeletons.n, p->key_count, p->shape_count, p->entities.set_rows[SET_RESOURCES],
                p->entities.set_rows[SET_SCOPES], p->traces.n);
}

/* The ids are clew's own and no part of OTLP. */
void rows_dump_ids(const struct batch *b, struct buf *out) {
    for (uint32_t row = 0; row < b->rows; row++) {
        struct str id = batch_text(b, SET_ROWS, FIELD_CORRELATION, row);
        if (!id.n) continue;
        buf_add_fmt(out, "  row %u: correlation id ", row);
        put_terminal(out, id);
        buf_add_byte(out, '\n');
    }
}

/* Up to rows_max rows as OTLP/JSON, a line per group, and their correlation ids. */
static err dump_rows(struct part *p, uint32_t group, uint64_t rows_max, struct buf *out) {
    struct scan_stats stats = {0};
    struct batch_builder b;
    uint32_t n = (uint32_t)MIN(rows_max, (uint64_t)p->groups[group].set_rows[SET_ROWS]);
    AUTO_FREE uint32_t *rows = mem_new_array(uint32_t, n);
    for (uint32_t i = 0; i < n; i++) rows[i] = i;
    batch_builder_init(&b, p->info.signal);
    err e = part_fetch(p, group, rows, n, &b, &stats);
    if (!e && stats.bad_blocks) buf_add_fmt(out, "%s\n", stats.bad_text);
    if (!e && !stats.bad_blocks) {
        struct batch_blob *blob = batch_builder_finish(&b);
        struct batch view;
        struct json_writer json;
        batch_view(blob, &view);
        json_writer_init(&json, out);
        otlp_write_json(&view, &json);
        buf_add_byte(out, '\n');
        rows_dump_ids(&view, out);
        batch_unref(blob);
    }
    batch_builder_done(&b);
    return e;
}

err part_dump(const char *path, uint64_t rows_max, struct buf *out) {
    struct part *p;
    err e = NULL;
    TRY(part_open(path, &p));
    dump_header(p, out);
    for (uint32_t group = 0; group < p->info.groups && !e; group++) {
        dump_group(p, group, out);
        if (!rows_max) continue;
        e = dump_rows(p, group, rows_max, out);
        rows_max -= MIN(rows_max, (uint64_t)p->groups[group].set_rows[SET_ROWS]);
    }
    part_unref(p);
    return e;
}
