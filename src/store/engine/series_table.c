#include "store/engine/series_table_priv.h"

#include "os/clock.h"

struct series_table *series_table_new(const struct store_options *o) {
    const struct series_options *from = &o->series;
    struct series_table *t = mem_new_of(struct series_table);
    t->options = (struct head_options){.budget = o->budget,
                                       .late_window_ns = MAX(from->late_window_ns, 0),
                                       .series_max = from->series_max,
                                       .active_ns = (int64_t)300 * 1000000000,
                                       .new_series_max = from->new_series_max,
                                       .churn_ns = from->churn_ns,
                                       .labels_max = MIN(from->labels_max, (uint32_t)LABELS_MAX),
                                       .always = true};
    t->head = series_head_new(&t->options);
    t->texts = metric_texts_new(o->budget);
    known_init(&t->known);
    t->fresh = true;
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
    met_before_done(&t->met, budget);
    metric_texts_free(t->texts);
    mem_free(t);
}

void series_table_seal(struct table *table) {
    struct series_table *t = table->series;
    assert(t->in_flight == 0);
    t->seal_asked = false;
    t->forget_bases |= t->seal_holds;
    t->held |= t->seal_holds;
    t->seal_holds = false;
    if (!t->first) return;
    *vec_push(&t->sealed) = (struct sealed_head){t->head, t->first, t->last, t->log_from, table->days};
    table->days = (day_list){0};
    table->flush_now = false;
    series_head_unref(t->previous);
    t->previous = series_head_ref(t->head);
    t->head = series_head_new(&t->options);
    series_head_churn_from(t->head, t->previous);
    t->sealed_to = t->last;
    t->first = t->last = t->bytes = t->count = 0;
    t->fresh = true;
    t->epoch++;
}

uint64_t series_table_needs(const struct series_table *t, const struct head *flushed) {
    for (size_t i = 0; i < t->sealed.n; i++)
        if (t->sealed.v[i].head != flushed) return t->sealed.v[i].log_from;
    return t->first ? t->log_from : 0;
}

struct head *series_table_pop(struct series_table *t) {
    struct head *h = t->sealed.v[0].head;
    vec_done(&t->sealed.v[0].days);
    memmove(t->sealed.v, t->sealed.v + 1, --t->sealed.n * sizeof *t->sealed.v);
    return h;
}

/* At whole multiples of the age, so that chunks of one file end where those of others do. */
int64_t series_table_due_ns(const struct series_table *t, int64_t age_ns) {
    int64_t into = t->born_wall_ns % age_ns;
    if (into < 0) into += age_ns;
    return t->born_ns + (age_ns - into);
}
