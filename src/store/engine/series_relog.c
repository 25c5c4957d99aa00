/* After a failed sync (5): the records of points are logged again. Heads have samples, not records, so they come out of the segments in which
 * they were made durable before. */
#include "store/engine/store_engine_priv.h"

struct collecting {
    struct engine *s;
    record_list *out;
    uint64_t void_from;
};

/* The table whose head has the record or refers to it; NULL: none. */
static struct table *head_of(struct engine *s, const struct log_record *r) {
    lock_take(&s->lock);
    struct table *t = engine_table(s, r->tenant, TABLE_SERIES, false);
    uint64_t needs = t ? table_needs(t, NULL) : 0;
    bool needed = needs && r->sequence >= needs && r->sequence <= s->visible_sequence;
    lock_give(&s->lock);
    return needed ? t : NULL;
}

static err collect(void *context, const struct log_record *r) {
    struct collecting *c = context;
    if (r->signal != TABLE_SERIES || r->sequence >= c->void_from) return NULL;
    struct table *t = head_of(c->s, r);
    if (!t) return NULL;
    struct log_record *kept = vec_push(c->out);
    *kept = *r;
    kept->tenant = str_of(t->tenant); /* that of the record is on the reader's stack */
    return NULL;
}

static err map_segments(struct engine *s, segment_mappings *segments, uint64_t *first_sequences) {
    for (size_t i = 0; i < s->log.closed.n; i++) {
        struct path path = path_segment(s->log_dir, s->log.closed.v[i].number);
        struct segment_mapping *m = vec_push(segments);
        struct segment_head head;
        *m = (struct segment_mapping){0};
        TRY(segment_map(path.text, &m->file, &m->map));
        TRY(segment_head_read(m->map, path.text, &head));
        first_sequences[i] = head.first_sequence;
    }
    return NULL;
}

/* What was synced of a segment. A record that is damaged there is in the head alone: then the log cannot be made whole again. */
static err collect_segment(struct engine *s, const segment_mappings *segments, size_t i, uint64_t void_from,
                           record_list *out) {
    const struct log_segment *g = &s->log.closed.v[i];
    struct path path = path_segment(s->log_dir, g->number);
    struct str map = segments->v[i].map;
    struct collecting c = {s, out, void_from};
    struct segment_head head;
    struct segment_reading reading;
    TRY(segment_head_read(map, path.text, &head));
    TRY(segment_read(str_span(map.p, MIN(map.n, g->used_bytes)), path.text, &head, collect, &c, NULL, &reading));
    if (reading.bad) return err_new(ERR_CORRUPT, "%s is damaged: its records cannot be logged again", path.text);
    return NULL;
}

static bool holds_points(struct engine *s) {
    bool holds = false;
    lock_take(&s->lock);
    for (size_t i = 0; i < s->tables.n; i++) holds |= s->tables.v[i]->series && table_needs(s->tables.v[i], NULL);
    lock_give(&s->lock);
    return holds;
}

err engine_relog_points(struct engine *s, segment_mappings *segments, record_list *out) {
    if (!holds_points(s)) return NULL;
    AUTO_FREE uint64_t *first = mem_new_array(uint64_t, s->log.closed.n + 1);
    TRY(map_segments(s, segments, first));
    for (size_t i = 0; i < s->log.closed.n; i++) {
        uint64_t void_from = UINT64_MAX;
        for (size_t k = i + 1; k < s->log.closed.n; k++) void_from = MIN(void_from, first[k]);
        TRY(collect_segment(s, segments, i, void_from, out));
    }
    return NULL;
}
