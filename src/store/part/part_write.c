/* Writing a part: ordered rows cut into groups, then dictionaries, index, directory and footer, then the sync. */
#include <zstd.h>

#include "base/hash.h"
#include "store/part/part_write_priv.h"

/* Written first, and again at the end if there is what older builds cannot read. */
static err write_header(struct part_writer *w) {
    struct part_header h = {.magic = PART_MAGIC,
                            .version = PART_VERSION,
                            .features = PART_FEATURE_ENDS | w->features,
                            .signal = w->signal,
                            .group_rows = PART_GROUP_ROWS,
                            .id = w->id};
    h.checksum = hash_bytes(&h, offsetof(struct part_header, checksum));
    return file_write(w->file, &h, sizeof h, 0);
}

err part_writer_init(struct part_writer *w, const char *path, enum signal signal, uint64_t id, uint64_t memory_bytes) {
    *w = (struct part_writer){.path = path, .signal = signal, .id = id, .section_bytes_max = PART_SECTION_BYTES_MAX};
    w->memory_bytes = MIN(MAX(memory_bytes, (uint64_t)PART_MEMORY_MIN), (uint64_t)PART_MEMORY_MAX);
    strings_init(&w->strings);
    strings_init(&w->keys);
    strings_init(&w->shapes);
    strings_init(&w->skeletons);
    strings_intern(&w->strings, STR("")); /* code 0 */
    strings_intern(&w->shapes, STR(""));  /* shape 0: no keys */
    batch_builder_init(&w->entities, signal);
    buf_init(&w->bytes, (size_t)INT32_MAX);
    buf_init(&w->scratch, (size_t)INT32_MAX);
    buf_init(&w->scratch2, (size_t)INT32_MAX);
    w->zstd = ZSTD_createCCtx();
    err e = file_open(path, FILE_CREATE, &w->file);
    if (e) {
        part_writer_done(w);
        return e;
    }
    w->offset = sizeof(struct part_header);
    e = write_header(w);
    if (e) part_writer_done(w);
    return e;
}

static void free_scratch(struct part_writer *w) {
    void *scratch[] = {w->numbers, w->times, w->child_times, w->span_ids, w->refs,  w->distinct, w->wide,
                       w->codes,   w->list,  w->remap,       w->ids,      w->texts, w->run_rows};
    for (size_t i = 0; i < LENGTH(scratch); i++) mem_free(scratch[i]);
}

static void free_texts(struct column_memory *m) {
    text_encoder_free(m->texts);
    m->texts = NULL;
}

static void free_memories(struct part_writer *w) {
    for (int s = 0; s < SETS; s++)
        for (int f = 0; f < FIELDS; f++) free_texts(&w->fields[s][f]);
    for (size_t i = 0; i < w->key_memory.n; i++) {
        for (int s = 0; s < 3; s++) free_texts(&w->key_memory.v[i].memory[s]);
        mem_free(w->key_memory.v[i].column.v);
    }
    vec_done(&w->key_memory);
}

void part_writer_done(struct part_writer *w) {
    if (w->file) { /* not finished: nothing of it may stay */
        file_close(w->file);
        err_free(path_remove(w->path));
    }
    part_writer_sources_done(w);
    free_memories(w);
    free_scratch(w);
    strings_done(&w->strings);
    strings_done(&w->keys);
    strings_done(&w->shapes);
    strings_done(&w->skeletons);
    batch_builder_done(&w->entities);
    vec_done(&w->groups);
    vec_done(&w->blocks);
    vec_done(&w->traces);
    vec_done(&w->touched_keys);
    vec_done(&w->key_cursors);
    vec_done(&w->key_masks);
    vec_done(&w->shape_rows);
    vec_done(&w->touched_shapes);
    vec_done(&w->batches);
    vec_done(&w->children);
    mem_free(w->local);
    buf_done(&w->bytes);
    buf_done(&w->scratch);
    buf_done(&w->scratch2);
    ZSTD_freeCCtx(w->zstd);
    *w = (struct part_writer){0};
}

#define ROOM(array) ((array) = mem_grow((array), n * sizeof *(array)))

void part_writer_room(struct part_writer *w, uint32_t n) {
    if (n <= w->capacity) return;
    n = MAX(n, (uint32_t)PART_GROUP_ROWS);
    n = MAX(n, w->capacity + w->capacity / 2);
    ROOM(w->numbers);
    ROOM(w->times);
    ROOM(w->child_times);
    ROOM(w->span_ids);
    ROOM(w->refs);
    ROOM(w->distinct);
    ROOM(w->wide);
    ROOM(w->codes);
    ROOM(w->list);
    ROOM(w->remap);
    ROOM(w->texts);
    ROOM(w->run_rows);
    w->ids = mem_grow(w->ids, (size_t)n * 16);
    w->capacity = n;
}

void part_writer_sources(struct part_writer *w, const struct batch *batches, size_t count) {
    part_writer_sources_done(w);
    w->sources = mem_new_array(struct part_source, count);
    w->source_count = (uint32_t)count;
    for (size_t i = 0; i < count; i++) {
        const struct batch *b = &batches[i];
        uint32_t resources = b->set_rows[SET_RESOURCES], scopes = b->set_rows[SET_SCOPES];
        /* one piece of memory for all: what the ids of the batch are in the part */
        size_t ids = b->key_count + (size_t)b->shape_count + resources + scopes;
        struct part_source *s = &w->sources[i];
        s->b = b;
        s->strings = mem_new(b->string_count * sizeof *s->strings + ids * sizeof *s->keys);
        s->keys = (uint32_t *)(s->strings + b->string_count);
        s->shapes = s->keys + b->key_count;
        s->entities[0] = s->shapes + b->shape_count;
        s->entities[1] = s->entities[0] + resources;
    }
}

void part_writer_sources_done(struct part_writer *w) {
    for (uint32_t i = 0; i < w->source_count; i++) {
        batch_copy_cache_done(&w->sources[i].cache);
        mem_free(w->sources[i].strings);
    }
    mem_free(w->sources);
    w->sources = NULL;
    w->source_count = 0;
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

/* Groups of equal size, none over PART_GROUP_ROWS nor, by the batches' mean, over so many bytes: no small rest. */
static size_t choose_groups(const struct batch *batches, size_t count, size_t rows, uint64_t group_bytes) {
    size_t bytes = 0, all = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += batches[i].blob ? batch_bytes(batches[i].blob).n : 0;
        all += batches[i].rows;
    }
    size_t by_rows = (rows + PART_GROUP_ROWS - 1) / PART_GROUP_ROWS;
    size_t by_bytes = (size_t)((double)bytes / (double)all * (double)rows / (double)group_bytes) + 1;
    return MIN(MAX(by_rows, by_bytes), rows);
}

static uint32_t count_children(const struct batch *b, uint32_t row, enum field end) {
    return batch_u32(b, SET_ROWS, end, row) - (row ? batch_u32(b, SET_ROWS, end, row - 1) : 0);
}

/* How many of n rows a group takes, so that its bytes, events and links stay few; one row's are always taken. The bytes of a row
 * are taken to be those of its batch by the mean, up to twice as many as choose_groups hoped for. */
static uint32_t count_fitting(const struct part_writer *w, const struct row_ref *rows, uint32_t n) {
    uint64_t children = 0;
    double bytes = 0;
    for (uint32_t i = 0; i < n; i++) {
        const struct batch *b = w->sources[rows[i].batch].b;
        if (b->blob) bytes += (double)batch_bytes(b->blob).n / b->rows;
        if (w->signal == SIGNAL_SPANS && b->set_rows[SET_EVENTS])
            children += count_children(b, rows[i].row, FIELD_EVENT_END);
        if (w->signal == SIGNAL_SPANS && b->set_rows[SET_LINKS])
            children += count_children(b, rows[i].row, FIELD_LINK_END);
        if (i > 0 && (children > writer_group_children(w) || bytes > 2 * (double)writer_group_bytes(w))) return i;
    }
    return n;
}

uint64_t part_source_bytes(const struct batch *b) {
    enum { ROW = 80, ID = 32, STRING = 32, KEY = 256, SHAPE = 64, ENTITY = 256 };
    uint64_t entities = (uint64_t)b->set_rows[SET_RESOURCES] + b->set_rows[SET_SCOPES];
    uint64_t bytes = b->blob ? batch_bytes(b->blob).n : 0;
    if (b->columns[SET_ROWS][FIELD_CORRELATION].mask) bytes += (uint64_t)b->rows * ID;
    return bytes + bytes / 2 + (uint64_t)b->rows * ROW + (uint64_t)b->string_count * STRING +
           (uint64_t)b->key_count * KEY + (uint64_t)b->shape_count * SHAPE + entities * ENTITY;
}

err part_writer_add_batches(struct part_writer *w, const struct batch *batches, size_t count, int64_t time_min,
                            int64_t time_max, const struct row_filter *drop) {
    row_refs rows = {0};
    part_order_rows(batches, count, time_min, time_max, drop, &rows);
    err e = rows.n ? NULL : err_new(ERR_NOT_FOUND, "no rows to write");
    if (!e) {
        part_writer_sources(w, batches, count);
        size_t groups = choose_groups(batches, count, rows.n, writer_group_bytes(w)), first = 0;
        for (size_t g = 0; g < groups && !e; g++) {
            size_t end = rows.n * (g + 1) / groups;
            while (first < end && !e) {
                uint32_t n = count_fitting(w, rows.v + first, (uint32_t)(end - first));
                e = part_writer_add_group(w, rows.v + first, n);
                first += n;
            }
        }
    }
    vec_done(&rows);
    return e;
}

static void sum_up(const struct part_writer *w, struct part_footer *f) {
    *f = (struct part_footer){.time_min = INT64_MAX, .time_max = INT64_MIN, .groups = (uint32_t)w->groups.n};
    for (size_t i = 0; i < w->groups.n; i++) {
        const struct part_group *g = &w->groups.v[i];
        f->rows += g->set_rows[SET_ROWS];
        f->small_groups += part_group_is_small(g);
        f->time_min = MIN(f->time_min, g->time_min);
        f->time_max = MAX(f->time_max, g->time_max);
    }
    memcpy(f->magic, PART_END_MAGIC, sizeof f->magic);
}

err part_writer_finish(struct part_writer *w, struct part_info *out) {
    struct part_footer f;
    sum_up(w, &f);
    TRY(part_write_sections(w, &f));
    f.file_size = w->offset + sizeof f;
    f.checksum = hash_bytes(&f, offsetof(struct part_footer, checksum));
    TRY(file_write(w->file, &f, sizeof f, w->offset));
    if (w->features) TRY(write_header(w));
    TRY(file_sync(w->file));
    file_close(w->file);
    w->file = NULL;
    *out = (struct part_info){.signal = w->signal,
                              .id = w->id,
                              .rows = f.rows,
                              .bytes = f.file_size,
                              .groups = f.groups,
                              .small_groups = f.small_groups,
                              .time_min = f.time_min,
                              .time_max = f.time_max};
    return NULL;
}

err part_write(const char *path, enum signal signal, uint64_t id, const struct batch *batches, size_t count,
               int64_t time_min, int64_t time_max, const struct row_filter *drop, uint64_t memory_bytes,
               struct part_info *out) {
    struct part_writer w;
    TRY_WRAP(part_writer_init(&w, path, signal, id, memory_bytes), "writing part %s", path);
    err e = part_writer_add_batches(&w, batches, count, time_min, time_max, drop);
    if (!e) e = part_writer_finish(&w, out);
    part_writer_done(&w);
    return err_wrap(e, "writing part %s", path);
}
