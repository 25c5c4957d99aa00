/* A run of series that come again in the order of the last time, with one point each: nearly all of nearly every request.
 *
 *   known_run_begin ─▶ r.next is who is expected ─▶ known_run_takes? ─▶ known_run_add ─▶ … ─▶ known_run_end
 *
 * What the loop needs of the decoder and its builder is copied into variables, which no store into a column can change, so that they stay in the
 * machine's registers; no column grows. Who meets something unusual, or no room, ends the run and lets the general
 * way have that series: so a run refuses nothing, and has no fault but that strings find no memory.
 *
 * Invariant: between begin and end nothing else uses the builder, but for its strings. Threads: the decoder's.
 */
#pragma once

#include "signal/metrics/points_decode_priv.h"

struct known_run {
    struct known_labels *next; /* who is expected */
    uint32_t next_at;          /* its entry */
    uint32_t room;             /* so many more find room in all columns */
    uint32_t n, rows;          /* points, series rows */
    uint32_t asked[LABELS_AHEAD], asked_n;
    size_t text_room;
    struct points_series *series;
    struct hash128 *hashes;
    const struct str **kept; /* NULL: labels are strings of the batch */
    uint32_t *series_of, *flags;
    uint64_t *time, *start, *value;
    uint8_t *kind;
};

HOT_INLINE void known_run_expect(const struct points_decoder *d, struct known_run *r) {
    struct kept_labels *k = (struct kept_labels *)&d->kept;
    r->next_at = kept_labels_at(k, r->asked[r->asked_n % LABELS_AHEAD])->ahead;
    r->next = kept_labels_at(k, r->next_at);
}

HOT_INLINE void known_run_begin(struct points_decoder *d, struct known_run *r) {
    struct points_builder *b = &d->b;
    size_t room = MIN(b->series.capacity - b->series.n, b->hashes.capacity - b->hashes.n);
    room = MIN(room, b->capacity - b->n);
    if (d->shares) room = MIN(room, b->kept.capacity - b->kept.n);
    *r = (struct known_run){.room = (uint32_t)MIN(room, (size_t)REQUEST_POINTS_MAX),
                            .n = b->n,
                            .rows = (uint32_t)b->series.n,
                            .asked_n = d->asked_n,
                            .text_room = d->text_max - b->strings.heap_size - b->kept_bytes,
                            .series = b->series.v,
                            .hashes = b->hashes.v,
                            .kept = d->shares ? b->kept.v : NULL,
                            .series_of = b->series_of,
                            .flags = b->flags,
                            .time = b->time,
                            .start = b->start,
                            .value = b->value,
                            .kind = b->kind};
    for (int i = 0; i < LABELS_AHEAD; i++) r->asked[i] = d->asked[i];
    known_run_expect(d, r);
}

HOT_INLINE void known_run_end(struct points_decoder *d, const struct known_run *r) {
    struct points_builder *b = &d->b;
    b->n = r->n;
    b->series.n = b->hashes.n = r->rows;
    if (r->kept) b->kept.n = r->rows;
    d->asked_n = r->asked_n;
    for (int i = 0; i < LABELS_AHEAD; i++) d->asked[i] = r->asked[i];
}

/* Whether the labels of r->next may be a series of the request now: they are one already, or lie in a page that the request has, or are
 * put among its strings. False, too, if there is no memory for that, which is a fault then. */
HOT_INLINE bool known_run_takes(struct points_decoder *d, struct known_run *r) {
    struct known_labels *e = r->next;
    if (e->generation == d->generation) return true;
    if (e->kept.n > r->text_room) return false;
    if (r->kept) return label_page_of(e)->generation == d->generation;
    r->text_room -= e->kept.n;
    return points_labels_again(d, e);
}

struct known_point {
    uint64_t time, start, value;
    enum point_kind kind;
};

HOT_INLINE void known_run_row(struct known_run *r, uint32_t metric, const struct str *kept, uint32_t id,
                              struct hash128 hash, const struct known_point *p) {
    r->series[r->rows] = (struct points_series){metric, id};
    r->hashes[r->rows] = hash;
    if (r->kept) r->kept[r->rows] = kept;
    r->series_of[r->n] = r->rows++;
    r->time[r->n] = p->time;
    r->start[r->n] = p->start;
    r->value[r->n] = p->value;
    r->flags[r->n] = 0;
    r->kind[r->n++] = (uint8_t)p->kind;
    r->room--;
}

/* A series row of r->next, and its point. */
HOT_INLINE void known_run_add(struct points_decoder *d, struct known_run *r, uint32_t metric, struct hash128 hash,
                              const struct known_point *p) {
    struct known_labels *e = r->next;
    if (e->generation != d->generation) {
        e->generation = d->generation;
        d->b.kept_bytes += e->kept.n;
        r->text_room -= e->kept.n;
    }
    known_run_row(r, metric, &e->kept, r->kept ? 0 : e->id, hash, p);
    r->asked[r->asked_n++ % LABELS_AHEAD] = r->next_at;
    __builtin_prefetch(kept_labels_at(&d->kept, e->ahead), 1); /* who is asked for later */
    known_run_expect(d, r);
    uint32_t soon =
        kept_labels_at(&d->kept, r->asked[(r->asked_n + 1) % LABELS_AHEAD])->ahead; /* who comes after r->next */
    points_labels_foresee(kept_labels_at(&d->kept, soon));
}
