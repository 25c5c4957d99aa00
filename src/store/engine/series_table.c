#include "store/engine/series_table_priv.h"

#include "os/clock.h"

struct series_table *series_table_new(const struct store_options *o) {
    const struct series_options *from = &o->series;
    struct series_table *t = mem_new_of(struct series_table);
    t->options = (struct head_options){.budget = o->budget,
                                       .late_window_ns = MAX(from->late_window_ns, 0),
                                       .series_max = from->series_max,
                                       .labels_max = MIN(from->labels_max, (uint32_t)LABELS_MAX),
                                       .always = true};
    t->head = series_head_new(&t->options);
    t->texts = metric_texts_new();
    known_init(&t->known);
    return t;
}

void series_table_free(struct series_table *t, struct budget *budget) {
    if (!t) return;
    for (size_t i = 0; i < t->sealed.n; i++) {
        series_head_unref(t->sealed.v[i].head);
        vec_done(&t->sealed.v[i].days);
    }
    vec_done(&t->sealed);
    series_head_unref(t->head);
    series_head_unref(t->previous);
    known_done(&t->known, budget);
    metric_texts_free(t->texts);
    mem_free(t);
}

void series_table_seal(struct table *table) {
    struct series_table *t = table->series;
    assert(t->in_flight == 0);
    t->seal_asked = false;
    if (!t->first) return;
    *vec_push(&t->sealed) = (struct sealed_head){t->head, t->first, t->last, table->days};
    table->days = (day_list){0};
    table->flush_now = false;
    series_head_unref(t->previous);
    t->previous = series_head_ref(t->head);
    t->head = series_head_new(&t->options);
    t->sealed_to = t->last;
    t->first = t->last = 0;
    t->fresh = true;
    t->epoch++;
}

uint64_t series_table_needs(const struct series_table *t) { return t->sealed.n ? t->sealed.v[0].first : t->first; }
