#include "store/journal/log_priv.h"

#include "base/hash.h"
#include "os/clock.h"

enum { AHEAD_MIN = 64 << 10, AHEAD_MAX = 512 << 10, AHEAD_COMMIT_MAX = 64 << 10, BLOCK = 4096 };

static char zeros[AHEAD_MAX]; /* nobody writes it: it takes no memory */

void record_log_init(struct record_log *l, const char *dir, uint64_t segment_bytes) {
    *l = (struct record_log){.dir = str_dup(str_of(dir)), .segment_bytes = segment_bytes, .next_number = 1};
}

void record_log_done(struct record_log *l) {
    file_close(l->file);
    vec_done(&l->closed);
    vec_done(&l->spare);
    vec_done(&l->heads);
    vec_done(&l->pieces);
    mem_free(l->dir);
    *l = (struct record_log){0};
}

uint64_t record_bytes(const struct log_record *r) { return RECORD_HEAD_BYTES + ((r->blob.n + 7) & ~(uint64_t)7); }

static uint64_t room(const struct record_log *l) {
    return l->file ? l->current.size_bytes - l->current.used_bytes : l->segment_bytes - SEGMENT_HEAD_BYTES;
}

size_t record_log_fit(const struct record_log *l, const struct log_record *records, size_t n) {
    uint64_t left = room(l), whole = l->segment_bytes - SEGMENT_HEAD_BYTES;
    if (n > 0 && record_bytes(&records[0]) > left) left = whole; /* a new segment */
    size_t i = 0;
    for (; i < n && record_bytes(&records[i]) <= left; i++) left -= record_bytes(&records[i]);
    return MAX(i, 1);
}

static uint64_t total_bytes(const struct log_record *records, size_t n) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += record_bytes(&records[i]);
    return bytes;
}

static void drop_path(const struct path *p) { err_free(path_remove(p->text)); }

/* The current segment gets no more records. */
static void segment_end(struct record_log *l) {
    if (!l->file) return;
    file_close(take(&l->file));
    *vec_push(&l->closed) = l->current;
    l->current = (struct log_segment){0};
}

static err head_write(struct file *f, uint64_t number, uint64_t nonce, uint64_t first_sequence) {
    struct format_head h;
    format_head_make(&h, format_magic_log, (uint64_t[4]){number, nonce, first_sequence, (uint64_t)clock_wall_ns()});
    AUTO_FREE char *block = mem_new(SEGMENT_HEAD_BYTES);
    memcpy(block, &h, sizeof h);
    memcpy(block + SEGMENT_HEAD_COPY, &h, sizeof h);
    return file_write(f, block, SEGMENT_HEAD_BYTES, 0);
}

/* A file of at least the segment's size under its name: a spare one renamed, or a new one. Durable (6). */
static err segment_file(struct record_log *l, struct log_segment *s, struct file **out) {
    AUTO_CLOSE struct file *f = NULL;
    struct path path = path_segment(l->dir, s->number);
    bool reuse = l->spare.n > 0 && l->spare.v[l->spare.n - 1].size_bytes >= s->size_bytes;
    if (reuse) {
        struct log_segment old = l->spare.v[--l->spare.n];
        struct path old_path = path_segment(l->dir, old.number);
        s->size_bytes = old.size_bytes;
        s->written_bytes = MAX(old.written_bytes, old.used_bytes);
        err e = path_rename(old_path.text, path.text);
        if (e) drop_path(&old_path);
        TRY(e);
        TRY(file_open(path.text, FILE_WRITE, &f));
    } else {
        TRY(file_open(path.text, FILE_CREATE, &f));
        TRY(file_allocate(f, s->size_bytes));
    }
    TRY(path_sync_dir(l->dir));
    *out = take(&f);
    return NULL;
}

static err segment_begin(struct record_log *l, uint64_t first_sequence, uint64_t bytes, bool with_head) {
    segment_end(l);
    struct log_segment s = {.number = l->next_number++,
                            .size_bytes = MAX(l->segment_bytes, SEGMENT_HEAD_BYTES + bytes),
                            .used_bytes = SEGMENT_HEAD_BYTES,
                            .last_sequence = first_sequence - 1};
    uint64_t nonce = random_u64();
    struct path path = path_segment(l->dir, s.number);
    struct file *f = NULL;
    err e = segment_file(l, &s, &f);
    if (!e && with_head) e = head_write(f, s.number, nonce, first_sequence);
    if (e) {
        file_close(f);
        drop_path(&path);
        return err_wrap(e, "beginning a log segment");
    }
    l->file = f;
    l->current = s;
    l->nonce = nonce;
    return NULL;
}

void record_log_mark(struct record_log *l) {
    struct record_head h = {.magic = RECORD_MAGIC, .kind = RECORD_KIND_MARK, .sequence = l->current.last_sequence};
    if (!l->file || room(l) < sizeof h) return;
    h.commit_offset = l->current.used_bytes;
    h.check = hash_bytes_seed(&h, offsetof(struct record_head, check), l->nonce);
    err_free(file_write(l->file, &h, sizeof h, h.commit_offset)); /* without it a bad last commit counts as torn */
}

void record_log_write_ahead(struct record_log *l) {
    struct log_segment *s = &l->current;
    if (!l->file || l->commit_bytes > AHEAD_COMMIT_MAX) return;
    uint64_t behind =
        (s->used_bytes + sizeof(struct record_head) + BLOCK - 1) & ~(uint64_t)(BLOCK - 1); /* and the mark */
    uint64_t from = MAX(behind, s->written_bytes),
             want = MIN(MAX(s->used_bytes, (uint64_t)AHEAD_MIN), (uint64_t)AHEAD_MAX);
    if (from - behind >= want / 2 || from >= s->size_bytes) return;
    uint64_t n = MIN(want, s->size_bytes - from);
    err e = file_write(l->file, zeros, n, from);
    s->written_bytes = e ? s->size_bytes : from + n; /* it was for speed alone: not again */
    err_free(e);
}

static void record_head_make(const struct record_log *l, const struct log_record *r, uint64_t commit_offset,
                             struct record_head *out) {
    *out = (struct record_head){.magic = RECORD_MAGIC,
                                .kind = RECORD_KIND_BATCH,
                                .signal = (uint8_t)r->signal,
                                .tenant_bytes = (uint8_t)r->tenant.n,
                                .flags = r->flags,
                                .sequence = r->sequence,
                                .commit_offset = commit_offset,
                                .blob_bytes = r->blob.n,
                                .blob_check = r->blob_check,
                                .arrived_ns = r->arrived_ns,
                                .since = r->since,
                                .said_before = r->said_before};
    memcpy(out->tenant, r->tenant.p, r->tenant.n);
    out->check = hash_bytes_seed(out, offsetof(struct record_head, check), l->nonce);
}

static err records_write(struct record_log *l, const struct log_record *records, size_t n, bool all_durable) {
    vec_clear(&l->heads);
    vec_clear(&l->pieces);
    vec_reserve(&l->heads, n); /* pieces point into it */
    uint64_t offset = l->current.used_bytes, start = offset;
    for (size_t i = 0; i < n; i++) {
        struct record_head *h = vec_push(&l->heads);
        record_head_make(l, &records[i], all_durable ? offset : start, h);
        *vec_push(&l->pieces) = (struct file_piece){h, sizeof *h};
        *vec_push(&l->pieces) = (struct file_piece){records[i].blob.p, records[i].blob.n};
        size_t pad = (8 - records[i].blob.n % 8) % 8;
        if (pad) *vec_push(&l->pieces) = (struct file_piece){zeros, pad};
        offset += record_bytes(&records[i]);
    }
    TRY(file_write_pieces(l->file, l->pieces.v, l->pieces.n, start));
    TRY(file_sync(l->file));
    l->current.used_bytes = offset;
    l->commit_bytes = offset - start;
    if (n) l->current.last_sequence = records[n - 1].sequence;
    return NULL;
}

/* The disk was full in the middle of a commit, although the segment was reserved (a copy-on-write file system). Its records
 * must not come back: take away the first head, after which nothing is read. */
static err commit_void(struct record_log *l) {
    static const struct record_head none;
    TRY(file_write(l->file, &none, sizeof none, l->current.used_bytes));
    return file_sync(l->file);
}

enum commit_result record_log_commit(struct record_log *l, const struct log_record *records, size_t n, err *out_why) {
    uint64_t bytes = total_bytes(records, n);
    if (!l->file || bytes > room(l)) {
        /* No record was written: whatever the reason (a full disk, no descriptor left), nothing is in doubt. */
        *out_why = segment_begin(l, records[0].sequence, bytes, true);
        if (*out_why) return COMMIT_REFUSED;
    }
    err e = records_write(l, records, n, false);
    if (!e) return COMMIT_DONE;
    *out_why = err_wrap(e, "writing the log");
    if (err_kind(*out_why) == ERR_UNAVAILABLE) {
        err again = commit_void(l);
        segment_end(l);
        if (!again) return COMMIT_REFUSED;
        err_free(again);
    }
    segment_end(l);
    return COMMIT_FAILED;
}

err record_log_restart(struct record_log *l, uint64_t first_sequence, const struct log_record *records, size_t n) {
    TRY(segment_begin(l, first_sequence, total_bytes(records, n), false));
    err e = records_write(l, records, n, true);
    if (!e) e = head_write(l->file, l->current.number, l->nonce, first_sequence);
    if (!e) e = file_sync(l->file);
    if (e) segment_end(l);
    return e;
}

uint64_t record_log_first_needed(const struct record_log *l, uint64_t needed) {
    for (size_t i = 0; i < l->closed.n; i++)
        if (l->closed.v[i].last_sequence >= needed) return l->closed.v[i].number;
    return l->file ? l->current.number : l->next_number;
}

void record_log_retire(struct record_log *l, uint64_t first_needed) {
    size_t gone = 0;
    while (gone < l->closed.n && l->closed.v[gone].number < first_needed) {
        struct log_segment s = l->closed.v[gone++];
        struct path path = path_segment(l->dir, s.number);
        if (l->spare.n < SEGMENTS_SPARE && s.size_bytes == l->segment_bytes)
            *vec_push(&l->spare) = s;
        else
            drop_path(&path);
    }
    if (gone == 0) return;
    memmove(l->closed.v, l->closed.v + gone, (l->closed.n - gone) * sizeof *l->closed.v);
    l->closed.n -= gone;
}

static void segments_remove(struct record_log *l, const struct log_segment *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        struct path path = path_segment(l->dir, v[i].number);
        drop_path(&path);
    }
}

void record_log_trim(struct record_log *l) {
    segment_end(l);
    segments_remove(l, l->closed.v, l->closed.n);
    segments_remove(l, l->spare.v, l->spare.n);
    vec_clear(&l->closed);
    vec_clear(&l->spare);
}

static uint64_t sum_bytes(const struct log_segment *v, size_t n) {
    uint64_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += v[i].size_bytes;
    return bytes;
}

uint64_t record_log_bytes(const struct record_log *l) {
    return sum_bytes(l->closed.v, l->closed.n) + sum_bytes(l->spare.v, l->spare.n) + l->current.size_bytes;
}
