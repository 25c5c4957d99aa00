#include "ingest/forward/queue_priv.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/text.h"
#include "base/vec.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"

enum { PATH_BYTES = 4096, NAME_DIGITS = 16 };

/* A record that is not done. */
struct slot {
    uint64_t sequence, segment, body_at;
    int64_t time_ns;
    uint32_t bytes, rows, holds;
    uint8_t kind;
    bool given, done;
};

struct segment {
    uint64_t first, used_bytes, nonce;
    uint32_t undone, of_kind[QUEUE_KINDS]; /* records: all of them, by kind */
};

struct disk_queue {
    struct disk_queue_options options;
    char *dir;
    struct file *lock_file, *mark_file, *file; /* file: of the last segment, if it is of this life */
    struct lock lock;                          /* of all below */
    VEC(struct segment) segments;              /* by first sequence */
    VEC(struct slot) slots;                    /* by sequence, from head on */
    size_t head, cursors[QUEUE_KINDS];         /* indexes in slots; cursors: the next to be looked at */
    uint64_t next_sequence;                    /* of the thread that appends */
    uint64_t published;                        /* the last that may be given out: those after it are being written */
    uint64_t marked;
    bool opened;
    struct disk_queue_stats stats;
};

static void segment_path(const struct disk_queue *q, uint64_t first, char out[PATH_BYTES]) {
    snprintf(out, PATH_BYTES, "%s/%016llx.seg", q->dir, (unsigned long long)first);
}

static struct segment *find_segment(struct disk_queue *q, uint64_t first) {
    for (size_t i = q->segments.n; i-- > 0;)
        if (q->segments.v[i].first == first) return &q->segments.v[i];
    return NULL;
}

static struct slot *find_slot(struct disk_queue *q, uint64_t sequence) {
    size_t low = q->head, high = q->slots.n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (q->slots.v[middle].sequence < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    return low < q->slots.n && q->slots.v[low].sequence == sequence ? &q->slots.v[low] : NULL;
}

/* ---- what is done ------------------------------------------------------------------------------------------------ */

static void remove_segment(struct disk_queue *q, size_t i) {
    char path[PATH_BYTES];
    struct segment *s = &q->segments.v[i];
    segment_path(q, s->first, path);
    if (q->file && i + 1 == q->segments.n) {
        file_close(q->file);
        q->file = NULL;
    }
    err e = path_remove(path);
    if (e) log_warn("a segment that is done stays", F_TEXT("path", path), F_ERR(e));
    err_free(e);
    q->stats.bytes -= s->used_bytes;
    memmove(s, s + 1, (q->segments.n - i - 1) * sizeof *s);
    q->segments.n--;
}

/* Slots that are done at the front go. */
static void move_head(struct disk_queue *q) {
    while (q->head < q->slots.n && q->slots.v[q->head].done) q->head++;
    for (int k = 0; k < QUEUE_KINDS; k++) q->cursors[k] = MAX(q->cursors[k], q->head);
    if (q->head < 1024 || q->head < q->slots.n / 2) return;
    memmove(q->slots.v, q->slots.v + q->head, (q->slots.n - q->head) * sizeof *q->slots.v);
    q->slots.n -= q->head;
    for (int k = 0; k < QUEUE_KINDS; k++) q->cursors[k] -= q->head;
    q->head = 0;
}

/* Slots that are done behind one that is not, as of a signal that the target does not take, go where they are most of all. */
static void close_gaps(struct disk_queue *q) {
    size_t n = q->head, cursors[QUEUE_KINDS];
    uint64_t undone = 0;
    for (int k = 0; k < QUEUE_KINDS; k++) undone += q->stats.records[k];
    if (q->slots.n - q->head < 2 * undone) return;
    for (int k = 0; k < QUEUE_KINDS; k++) cursors[k] = SIZE_MAX;
    for (size_t i = q->head; i < q->slots.n; i++) {
        for (int k = 0; k < QUEUE_KINDS; k++)
            if (i >= q->cursors[k]) cursors[k] = MIN(cursors[k], n);
        if (!q->slots.v[i].done) q->slots.v[n++] = q->slots.v[i];
    }
    q->slots.n = n;
    for (int k = 0; k < QUEUE_KINDS; k++) q->cursors[k] = MIN(cursors[k], n);
}

/* Without moving the head, for who goes through the slots. */
static void end_slot(struct disk_queue *q, struct slot *s) {
    if (s->done) return;
    s->done = true;
    q->stats.records[s->kind]--;
    q->stats.rows[s->kind] -= s->rows;
    if (!s->given) q->stats.waiting[s->kind] -= s->rows;
    struct segment *segment = find_segment(q, s->segment);
    if (segment) segment->of_kind[s->kind]--;
    if (!segment || --segment->undone) return;
    size_t i = (size_t)(segment - q->segments.v);
    if (!q->file || i + 1 < q->segments.n) remove_segment(q, i); /* the one that is written goes when it is full */
}

static void drop_oldest(struct disk_queue *q) {
    struct segment *s = &q->segments.v[0];
    uint64_t first = s->first;
    if (!s->undone) {
        remove_segment(q, 0);
        return;
    }
    if (q->segments.n == 1) {
        file_close(q->file);
        q->file = NULL;
    }
    for (size_t i = q->head; i < q->slots.n && q->slots.v[i].segment <= first; i++) {
        struct slot *slot = &q->slots.v[i];
        if (slot->done || slot->segment != first) continue;
        q->stats.dropped[slot->kind] += slot->rows;
        end_slot(q, slot); /* the last one removes the file */
    }
    move_head(q);
}

static uint64_t done_until(const struct disk_queue *q) {
    return q->head < q->slots.n ? q->slots.v[q->head].sequence - 1 : q->published;
}

struct mark {
    char magic[8];
    uint32_t version, features;
    uint64_t done, check;
};
static const char mark_magic[8] = "clewcd\r\n";

err disk_queue_mark(struct disk_queue *q) {
    lock_take(&q->lock);
    struct mark m = {.version = QUEUE_VERSION, .done = done_until(q)};
    bool moved = m.done != q->marked;
    lock_give(&q->lock);
    if (!moved) return NULL;
    memcpy(m.magic, mark_magic, sizeof m.magic);
    m.check = hash_bytes(&m, offsetof(struct mark, check));
    TRY(file_write(q->mark_file, &m, sizeof m, 0));
    lock_take(&q->lock);
    q->marked = m.done;
    lock_give(&q->lock);
    return NULL;
}

/* 0: none, or not to be read: then all that is there is sent again. */
static err read_mark(struct disk_queue *q, const char *path, uint64_t *out) {
    struct mark m;
    size_t n;
    *out = 0;
    TRY(file_read(q->mark_file, &m, sizeof m, 0, &n));
    if (n == 0) return NULL;
    bool good = n == sizeof m && memcmp(m.magic, mark_magic, sizeof m.magic) == 0 &&
                m.check == hash_bytes(&m, offsetof(struct mark, check));
    if (!good) {
        log_warn("what is done cannot be read: what is in the queue is sent, maybe again", F_TEXT("path", path));
        q->stats.damaged++;
        return NULL;
    }
    if (m.version != QUEUE_VERSION || m.features)
        return err_new(ERR_CONFLICT, "%s is of a newer clew: start that one, or name another folder with --data", path);
    *out = m.done;
    return NULL;
}

/* ---- opening ----------------------------------------------------------------------------------------------------- */

struct opening {
    struct disk_queue *q;
    struct segment *segment;
    uint64_t last;
    VEC(uint64_t) firsts;
    bool full;
};

static err on_name(void *context, const char *name, bool is_dir) {
    struct opening *o = context;
    unsigned char bytes[NAME_DIGITS / 2];
    struct str s = str_of(name);
    if (is_dir || s.n != NAME_DIGITS + 4 || !str_ends_with(s, STR(".seg"))) return NULL;
    err e = parse_hex((struct str){s.p, NAME_DIGITS}, bytes, sizeof bytes);
    uint64_t first = 0;
    for (size_t i = 0; i < sizeof bytes; i++) first = first << 8 | bytes[i];
    if (!e && first) *vec_push(&o->firsts) = first;
    err_free(e);
    return NULL;
}

static void on_record(void *context, const struct queue_record *r, uint64_t body_at) {
    struct opening *o = context;
    struct disk_queue *q = o->q;
    o->last = MAX(o->last, r->sequence);
    if (r->sequence <= q->marked) return;
    if (q->slots.n && r->sequence <= q->slots.v[q->slots.n - 1].sequence) return;
    if (q->slots.n == 2 * (size_t)QUEUE_RECORDS_MAX) { /* no queue of ours has so many */
        o->full = true;
        return;
    }
    *vec_push(&q->slots) = (struct slot){.sequence = r->sequence,
                                         .segment = o->segment->first,
                                         .body_at = body_at,
                                         .time_ns = r->time_ns,
                                         .bytes = (uint32_t)r->body.n,
                                         .rows = r->rows,
                                         .kind = r->kind};
    o->segment->undone++;
    o->segment->of_kind[r->kind]++;
    q->stats.records[r->kind]++;
    q->stats.rows[r->kind] += r->rows;
    q->stats.waiting[r->kind] += r->rows;
}

/* A head that cannot be read: of a segment that was being made, it is nothing; else the file is kept for a person to look at. */
static err set_aside(struct disk_queue *q, const char *path, size_t bytes, err e) {
    char aside[PATH_BYTES + 16];
    if (bytes <= QUEUE_HEAD_BYTES) {
        err_free(e);
        return path_remove(path);
    }
    snprintf(aside, sizeof aside, "%s.damaged", path);
    log_error("a segment of the queue cannot be read and is set aside", F_TEXT("path", aside), F_ERR(e));
    err_free(e);
    q->stats.damaged++;
    q->stats.damaged_bytes += bytes;
    return path_rename(path, aside);
}

static void tell_damage(struct disk_queue *q, const char *path, const struct queue_reading *r, uint64_t tail_bytes) {
    if (tail_bytes) log_info("what was not finished is cut off", F_TEXT("path", path), F_U64("bytes", tail_bytes));
    if (!r->damaged) return;
    log_error("records of the queue are damaged and skipped", F_TEXT("path", path), F_U64("places", r->damaged),
              F_U64("bytes", r->damaged_bytes));
    q->stats.damaged += r->damaged;
    q->stats.damaged_bytes += r->damaged_bytes;
}

static err read_segment(struct opening *o, uint64_t first, bool is_last) {
    struct disk_queue *q = o->q;
    struct queue_segment_head head;
    struct queue_reading reading = {0};
    char path[PATH_BYTES];
    struct str bytes;
    AUTO_CLOSE struct file *f = NULL;
    segment_path(q, first, path);
    TRY(file_open(path, FILE_WRITE, &f));
    TRY(file_map(f, &bytes));
    err e = queue_segment_head_read(bytes, path, &head);
    if (!e && head.first != first) e = err_new(ERR_CORRUPT, "%s is the segment of another sequence", path);
    if (e) {
        size_t n = bytes.n;
        file_unmap(f, bytes);
        o->last = MAX(o->last, first);
        return err_kind(e) == ERR_CORRUPT ? set_aside(q, path, n, e) : e;
    }
    o->last = MAX(o->last, first);
    o->segment = vec_push(&q->segments);
    *o->segment = (struct segment){.first = first, .nonce = head.nonce};
    queue_segment_read(bytes, &head, is_last, on_record, o, &reading);
    uint64_t tail = bytes.n - reading.end;
    file_unmap(f, bytes);
    tell_damage(q, path, &reading, tail);
    if (tail && is_last) {
        TRY(file_resize(f, reading.end));
        TRY(file_sync(f));
    }
    o->segment->used_bytes = is_last ? reading.end : reading.end + tail;
    q->stats.bytes += o->segment->used_bytes;
    if (!o->segment->undone) remove_segment(q, q->segments.n - 1);
    return NULL;
}

static err read_segments(struct disk_queue *q) {
    struct opening o = {.q = q, .last = q->marked};
    err e = path_list(q->dir, on_name, &o);
    for (size_t i = 1; i < o.firsts.n; i++) /* by name they are in order already, but a path_list may change */
        for (size_t k = i; k > 0 && o.firsts.v[k - 1] > o.firsts.v[k]; k--) {
            uint64_t other = o.firsts.v[k];
            o.firsts.v[k] = o.firsts.v[k - 1];
            o.firsts.v[k - 1] = other;
        }
    for (size_t i = 0; i < o.firsts.n && !e; i++) e = read_segment(&o, o.firsts.v[i], i + 1 == o.firsts.n);
    vec_done(&o.firsts);
    if (!e && o.full)
        e = err_new(ERR_LIMIT, "%s holds more than %d records: name another folder with --data", q->dir,
                    2 * QUEUE_RECORDS_MAX);
    q->next_sequence = o.last + 1;
    q->published = o.last;
    return e;
}

/* The folder's own name is durable, too. */
static err make_folder(const char *dir) {
    TRY(path_make_dir(dir));
    AUTO_FREE char *parent = str_dup(str_of(dir));
    size_t n = strlen(parent);
    while (n > 1 && parent[n - 1] == '/') n--;
    while (n && parent[n - 1] != '/') n--;
    while (n > 1 && parent[n - 1] == '/') n--;
    parent[n] = 0;
    return path_sync_dir(n ? parent : ".");
}

static err open_files(struct disk_queue *q) {
    char path[PATH_BYTES];
    uint64_t marked;
    TRY(make_folder(q->dir));
    snprintf(path, sizeof path, "%s/lock", q->dir);
    err e = file_open(path, FILE_WRITE, &q->lock_file);
    if (e && err_kind(e) == ERR_NOT_FOUND) {
        err_free(e);
        e = file_open(path, FILE_CREATE, &q->lock_file);
    }
    TRY(e);
    TRY_WRAP(file_lock(q->lock_file), "another collector has this queue: name another folder with --data");
    snprintf(path, sizeof path, "%s/done", q->dir);
    e = file_open(path, FILE_WRITE, &q->mark_file);
    if (e && err_kind(e) == ERR_NOT_FOUND) {
        err_free(e);
        e = file_open(path, FILE_CREATE, &q->mark_file);
    }
    TRY(e);
    TRY(read_mark(q, path, &marked));
    q->marked = marked;
    TRY(read_segments(q));
    q->marked = UINT64_MAX; /* so that it is written, and (2) holds from here on */
    q->opened = true;
    TRY(disk_queue_mark(q));
    TRY(file_sync(q->mark_file));
    return path_sync_dir(q->dir);
}

err disk_queue_open(const struct disk_queue_options *options, struct disk_queue **out) {
    struct disk_queue *q = mem_new_of(struct disk_queue);
    q->options = *options;
    q->dir = str_dup(str_of(options->dir));
    if (!q->options.segment_bytes)
        q->options.segment_bytes = MIN(MAX(options->bytes_max / 16, (uint64_t)64 * KIB), (uint64_t)64 * MIB);
    q->next_sequence = 1;
    lock_init(&q->lock);
    err e = strlen(q->dir) > PATH_BYTES - 64 ? err_new(ERR_INVALID, "the folder's path is too long") : open_files(q);
    if (e) {
        disk_queue_close(q);
        return err_wrap(e, "opening the queue");
    }
    *out = q;
    return NULL;
}

void disk_queue_close(struct disk_queue *q) {
    if (!q) return;
    if (q->opened) err_free(disk_queue_mark(q));
    file_close(q->file);
    file_close(q->mark_file);
    file_close(q->lock_file);
    vec_done(&q->segments);
    vec_done(&q->slots);
    lock_done(&q->lock);
    mem_free(q->dir);
    mem_free(q);
}

/* ---- appending --------------------------------------------------------------------------------------------------- */

static struct segment *current(struct disk_queue *q) { return &q->segments.v[q->segments.n - 1]; }

/* Ends the segment that is written; what is in it counts. */
static void end_current(struct disk_queue *q) {
    if (!q->file) return;
    file_close(q->file);
    q->file = NULL;
    if (!current(q)->undone) remove_segment(q, q->segments.n - 1);
}

/* Its head is durable, and its name, before a record is written. */
static err begin_segment(struct disk_queue *q) {
    struct queue_segment_head head;
    char path[PATH_BYTES];
    AUTO_CLOSE struct file *f = NULL;
    uint64_t first = q->next_sequence++; /* (2): also of one that cannot be made; its first record has a later one */
    queue_segment_head_make(&head, first, random_u64(), clock_wall_ns());
    segment_path(q, first, path);
    TRY(file_open(path, FILE_CREATE, &f));
    err e = file_write(f, &head, sizeof head, 0);
    if (!e) e = file_sync(f);
    if (!e) e = path_sync_dir(q->dir);
    if (e) {
        err_free(path_remove(path));
        return e;
    }
    lock_take(&q->lock);
    q->file = take(&f);
    *vec_push(&q->segments) = (struct segment){.first = first, .used_bytes = sizeof head, .nonce = head.nonce};
    q->stats.bytes += sizeof head;
    lock_give(&q->lock);
    return NULL;
}

/* Room for so many bytes and records, or ERR_BUSY. */
static err make_room(struct disk_queue *q, uint64_t bytes, size_t n) {
    uint64_t most = q->options.bytes_max;
    if (bytes + QUEUE_HEAD_BYTES > most)
        return err_new(ERR_LIMIT, "%llu bytes are more than the queue may hold", (unsigned long long)bytes);
    lock_take(&q->lock);
    if (q->file && current(q)->used_bytes + bytes > q->options.segment_bytes) end_current(q);
    bool full = false, gaps = true;
    while (!full) {
        uint64_t more = bytes + (q->file ? 0 : QUEUE_HEAD_BYTES);
        bool fits = q->stats.bytes + more <= most && q->slots.n - q->head + n <= QUEUE_RECORDS_MAX;
        if (fits) break;
        if (q->stats.bytes + more <= most && gaps) {
            gaps = false;
            close_gaps(q);
            continue;
        }
        if (q->file && !current(q)->undone)
            end_current(q);
        else if (q->options.drop_oldest && q->segments.n)
            drop_oldest(q);
        else
            full = true;
    }
    lock_give(&q->lock);
    return full ? err_new(ERR_BUSY, "the queue is full: the target has not taken what came before") : NULL;
}

static err write_records(struct disk_queue *q, const struct queue_record *records, size_t n, bool *out_unsure) {
    static const char zeros[8];
    struct queue_record_head *heads = mem_new_array(struct queue_record_head, n);
    struct file_piece *pieces = mem_new_array(struct file_piece, 3 * n);
    const struct segment *s = current(q);
    for (size_t i = 0; i < n; i++) {
        const struct queue_record *r = &records[i];
        queue_record_head_make(&heads[i], r, s->nonce);
        pieces[3 * i] = (struct file_piece){&heads[i], sizeof heads[i]};
        pieces[3 * i + 1] = (struct file_piece){r->body.p, r->body.n};
        pieces[3 * i + 2] = (struct file_piece){zeros, (8 - r->body.n % 8) % 8};
    }
    err e = file_write_pieces(q->file, pieces, 3 * n, s->used_bytes);
    *out_unsure = false;
    if (!e) {
        e = file_sync(q->file);
        *out_unsure = e != NULL;
    }
    mem_free(heads);
    mem_free(pieces);
    return e;
}

static void publish(struct disk_queue *q, const struct queue_record *records, size_t n, uint64_t bytes) {
    struct segment *s = current(q);
    uint64_t at = s->used_bytes;
    for (size_t i = 0; i < n; i++) {
        const struct queue_record *r = &records[i];
        *vec_push(&q->slots) = (struct slot){.sequence = r->sequence,
                                             .segment = s->first,
                                             .body_at = at + QUEUE_RECORD_BYTES,
                                             .time_ns = r->time_ns,
                                             .bytes = (uint32_t)r->body.n,
                                             .rows = r->rows,
                                             .kind = r->kind};
        at += queue_record_size(r->body.n);
        s->of_kind[r->kind]++;
        q->stats.records[r->kind]++;
        q->stats.rows[r->kind] += r->rows;
        q->stats.waiting[r->kind] += r->rows;
    }
    if (n) q->published = records[n - 1].sequence;
    s->undone += (uint32_t)n;
    s->used_bytes += bytes;
    q->stats.bytes += bytes;
    q->stats.syncs++;
}

/* With room for them. *out_freed: nothing of the segment was to be kept, so it went, and its bytes with it. */
static err append_to_current(struct disk_queue *q, struct queue_record *records, size_t n, uint64_t bytes,
                             bool *out_freed) {
    bool unsure;
    *out_freed = false;
    if (!q->file) TRY_WRAP(begin_segment(q), "beginning a segment of the queue");
    for (size_t i = 0; i < n; i++) records[i].sequence = q->next_sequence++;
    err e = write_records(q, records, n, &unsure);
    lock_take(&q->lock);
    if (!e) {
        publish(q, records, n, bytes);
    } else {
        err bad = file_resize(q->file, current(q)->used_bytes);
        *out_freed = !current(q)->undone && current(q)->used_bytes > QUEUE_HEAD_BYTES;
        if (unsure || bad || *out_freed) end_current(q); /* (4) */
        err_free(bad);
    }
    lock_give(&q->lock);
    return e;
}

err disk_queue_append(struct disk_queue *q, struct queue_record *records, size_t n) {
    uint64_t bytes = 0;
    bool freed;
    for (size_t i = 0; i < n; i++) {
        if (records[i].body.n > QUEUE_BODY_MAX) return err_new(ERR_LIMIT, "a request of %zu bytes", records[i].body.n);
        bytes += queue_record_size(records[i].body.n);
    }
    TRY(make_room(q, bytes, n));
    err e = append_to_current(q, records, n, bytes, &freed);
    if (e && freed && err_kind(e) == ERR_UNAVAILABLE) { /* the disk was full of what is done */
        err_free(e);
        e = append_to_current(q, records, n, bytes, &freed);
    }
    return err_wrap(e, "writing to the queue");
}

/* ---- giving out -------------------------------------------------------------------------------------------------- */

static struct slot *peek(struct disk_queue *q, uint8_t kind) {
    size_t *i = &q->cursors[kind];
    for (*i = MAX(*i, q->head); *i < q->slots.n; (*i)++) {
        struct slot *s = &q->slots.v[*i];
        if (s->kind == kind && !s->done && !s->given) return s;
    }
    return NULL;
}

static void tell(const struct slot *s, struct queue_record *out, uint32_t *out_bytes) {
    *out = (struct queue_record){s->sequence, s->time_ns, s->rows, s->kind, {NULL, 0}};
    *out_bytes = s->bytes;
}

bool disk_queue_peek(struct disk_queue *q, uint8_t kind, struct queue_record *out, uint32_t *out_bytes) {
    lock_take(&q->lock);
    const struct slot *s = peek(q, kind);
    if (s) tell(s, out, out_bytes);
    lock_give(&q->lock);
    return s != NULL;
}

bool disk_queue_next(struct disk_queue *q, uint8_t kind, int64_t now_ns, struct queue_record *out,
                     uint32_t *out_bytes) {
    struct slot *s;
    lock_take(&q->lock);
    while ((s = peek(q, kind)) && q->options.age_max_ns && now_ns - s->time_ns > q->options.age_max_ns) {
        q->stats.expired[kind] += s->rows;
        end_slot(q, s);
        move_head(q);
    }
    if (s) {
        s->given = true;
        q->stats.waiting[kind] -= s->rows;
        s->holds = 1;
        tell(s, out, out_bytes);
    }
    lock_give(&q->lock);
    return s != NULL;
}

/* A body and its head, both read again and compared with what was written. */
static err read_body(const struct disk_queue *q, const struct slot *s, uint64_t nonce, struct buf *out) {
    struct queue_record_head h;
    char path[PATH_BYTES];
    size_t n = 0;
    AUTO_CLOSE struct file *f = NULL;
    segment_path(q, s->segment, path);
    TRY(file_open(path, FILE_READ, &f));
    TRY(file_read(f, &h, sizeof h, s->body_at - sizeof h, &n));
    bool good = n == sizeof h && h.sequence == s->sequence && h.body_bytes == s->bytes &&
                h.check == hash_bytes_seed(&h, offsetof(struct queue_record_head, check), nonce);
    if (!buf_reserve(out, s->bytes)) return err_new(ERR_LIMIT, "a record of %u bytes is over the limit", s->bytes);
    if (good) TRY(file_read(f, out->p + out->n, s->bytes, s->body_at, &n));
    if (!good || n != s->bytes || hash_bytes(out->p + out->n, n) != h.body_check)
        return err_new(ERR_CORRUPT, "%s: the record at byte %llu (sequence %llu, %u rows) is damaged", path,
                       (unsigned long long)(s->body_at - sizeof h), (unsigned long long)s->sequence, s->rows);
    out->n += n;
    return NULL;
}

err disk_queue_read(struct disk_queue *q, uint64_t sequence, struct buf *out) {
    struct slot slot = {0};
    uint64_t nonce = 0;
    lock_take(&q->lock);
    const struct slot *s = find_slot(q, sequence);
    bool found = s && !s->done;
    if (found) {
        slot = *s;
        const struct segment *segment = find_segment(q, s->segment);
        nonce = segment ? segment->nonce : 0;
    }
    lock_give(&q->lock);
    if (!found) return err_new(ERR_NOT_FOUND, "the record was dropped to make room");
    err e = read_body(q, &slot, nonce, out);
    if (!e || err_kind(e) != ERR_CORRUPT) return e;
    lock_take(&q->lock);
    q->stats.damaged++;
    q->stats.damaged_bytes += slot.bytes;
    lock_give(&q->lock);
    return e;
}

void disk_queue_hold(struct disk_queue *q, uint64_t sequence) {
    lock_take(&q->lock);
    struct slot *s = find_slot(q, sequence);
    if (s && !s->done) s->holds++;
    lock_give(&q->lock);
}

void disk_queue_release(struct disk_queue *q, uint64_t sequence) {
    lock_take(&q->lock);
    struct slot *s = find_slot(q, sequence);
    if (s && !s->done && s->given && --s->holds == 0) {
        end_slot(q, s);
        move_head(q);
    }
    lock_give(&q->lock);
}

void disk_queue_get_stats(struct disk_queue *q, struct disk_queue_stats *out) {
    lock_take(&q->lock);
    *out = q->stats;
    out->segments = q->segments.n;
    out->oldest_ns = q->head < q->slots.n ? q->slots.v[q->head].time_ns : 0;
    lock_give(&q->lock);
}

uint64_t disk_queue_kept_bytes(struct disk_queue *q, uint32_t kinds) {
    uint64_t bytes = 0;
    lock_take(&q->lock);
    for (size_t i = 0; i < q->segments.n; i++) {
        const struct segment *s = &q->segments.v[i];
        uint32_t of_these = 0;
        for (int k = 0; k < QUEUE_KINDS; k++) of_these += kinds >> k & 1 ? s->of_kind[k] : 0;
        bool written = q->file && i + 1 == q->segments.n;
        if (!written && s->undone && of_these == s->undone) bytes += s->used_bytes;
    }
    lock_give(&q->lock);
    return bytes;
}
