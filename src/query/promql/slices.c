/* A range in slices: which expressions have steps that know nothing of each other, and the answers of slices as one. */
#include "query/promql/whole_priv.h"

static bool is_number(const struct promql_node *e) { return strip_parens(e)->kind == NODE_NUMBER; }

/* limitk keeps what comes first of the rows of a whole range. A parameter that changes may be wrong at one step alone, for rows of another. */
static bool steps_depend(const struct promql_node *e) {
    if (e->aggregation == AGG_LIMITK) return true;
    bool chooses = e->aggregation == AGG_TOPK || e->aggregation == AGG_BOTTOMK || e->aggregation == AGG_LIMIT_RATIO;
    return chooses && !is_number(e->args[1]);
}

/* A subquery is evaluated between the windows of its steps, too, and may fail there; each slice would do it again as far back as its
 * range. info() decides series by series what it adds. */
bool promql_is_sliceable(const struct promql_node *e) {
    if (e->kind == NODE_SUBQUERY) return false;
    if (e->kind == NODE_CALL && e->function->whole == whole_info) return false;
    if (e->kind == NODE_AGGREGATE && steps_depend(e)) return false;
    for (uint32_t i = 0; i < e->arg_n; i++)
        if (!promql_is_sliceable(e->args[i])) return false;
    return true;
}

bool promql_is_folded(const struct promql_node *e) {
    static const bool folds[AGGREGATIONS] = {
        [AGG_SUM] = true,   [AGG_AVG] = true,    [AGG_COUNT] = true,  [AGG_MIN] = true,     [AGG_MAX] = true,
        [AGG_GROUP] = true, [AGG_STDDEV] = true, [AGG_STDVAR] = true, [AGG_QUANTILE] = true};
    e = strip_parens(e);
    return e->kind == NODE_AGGREGATE && folds[e->aggregation];
}

/* ---- answers as one ---------------------------------------------------------------------------------------------- */

struct join {
    const struct promql_answer *slices;
    size_t n, steps, at[PROMQL_SLICES_MAX]; /* at: the next row of each */
};

static const struct promql_row *next_row(const struct join *j, size_t k) {
    return j->at[k] < j->slices[k].row_n ? &j->slices[k].rows[j->at[k]] : NULL;
}

/* Rows of a range are in the order of their labels. NULL: there are no more. */
static const struct promql_row *least_row(const struct join *j) {
    const struct promql_row *least = NULL;
    for (size_t k = 0; k < j->n; k++) {
        const struct promql_row *row = next_row(j, k);
        if (row && (!least || promql_labels_compare(row->labels, least->labels) < 0)) least = row;
    }
    return least;
}

/* The rows of all slices with these labels, one behind the other; a slice that has none is absent. */
static err join_row(struct arena *a, struct join *j, struct labels labels, struct promql_row *out) {
    uint8_t *kinds = arena_zero(a, j->steps);
    double *values = arena_alloc(a, sizeof *values * j->steps); /* where a row is absent no page of it is touched */
    const struct native **histograms = NULL;
    if (!kinds || !values) return arena_err(a);
    for (size_t k = 0, step = 0; k < j->n; step += j->slices[k++].step_n) {
        const struct promql_row *row = next_row(j, k);
        size_t n = j->slices[k].step_n;
        if (!row || promql_labels_compare(row->labels, labels) != 0) continue;
        memcpy(kinds + step, row->kinds, n);
        for (size_t i = 0; i < n; i++)
            if (row->kinds[i] == PROMQL_FLOAT) values[step + i] = row->values[i];
        j->at[k]++;
        if (!row->histograms) continue;
        if (!histograms) histograms = arena_zero(a, sizeof(*histograms) * j->steps);
        if (!histograms) return arena_err(a);
        memcpy(histograms + step, row->histograms, sizeof(*histograms) * n);
    }
    *out = (struct promql_row){.labels = labels, .kinds = kinds, .values = values, .histograms = histograms};
    return NULL;
}

/* Each text once. */
static void add_notes(const struct str *notes, size_t n, struct str *out, size_t *out_n) {
    for (size_t i = 0; i < n && *out_n < NOTES_MAX; i++) {
        size_t k = 0;
        while (k < *out_n && !str_equal(out[k], notes[i])) k++;
        if (k == *out_n) out[(*out_n)++] = notes[i];
    }
}

static err join_notes(struct arena *a, const struct join *j, struct promql_answer *out) {
    struct str *warnings = arena_array(a, struct str, NOTES_MAX), *infos = arena_array(a, struct str, NOTES_MAX);
    if (!warnings || !infos) return arena_err(a);
    for (size_t k = 0; k < j->n; k++) {
        add_notes(j->slices[k].warnings, j->slices[k].warning_n, warnings, &out->warning_n);
        add_notes(j->slices[k].infos, j->slices[k].info_n, infos, &out->info_n);
    }
    out->warnings = warnings;
    out->infos = infos;
    return NULL;
}

static err join_counts(struct arena *a, const struct join *j, struct promql_answer *out) {
    uint64_t *all = arena_array(a, uint64_t, MAX(j->steps, 1));
    if (!all) return arena_err(a);
    for (size_t k = 0, step = 0; k < j->n; step += j->slices[k++].step_n) {
        if (!j->slices[k].step_samples) return NULL;
        memcpy(all + step, j->slices[k].step_samples, sizeof *all * j->slices[k].step_n);
    }
    out->step_samples = all;
    return NULL;
}

err promql_join(struct arena *a, const struct promql_answer *slices, size_t n, struct promql_answer *out) {
    struct join j = {.slices = slices, .n = n};
    size_t rows = 0;
    if (n == 0 || n > PROMQL_SLICES_MAX) return err_new(ERR_INVALID, "a range of %zu slices", n);
    *out = (struct promql_answer){.type = slices[0].type, .start_ms = slices[0].start_ms, .step_ms = slices[0].step_ms};
    for (size_t k = 0; k < n; k++) {
        out->step_n += slices[k].step_n;
        out->samples += slices[k].samples;
        rows += slices[k].row_n;
    }
    j.steps = out->step_n;
    TRY(join_counts(a, &j, out));
    out->rows = arena_array(a, struct promql_row, MAX(rows, 1));
    if (!out->rows) return arena_err(a);
    for (const struct promql_row *row; (row = least_row(&j));)
        TRY(join_row(a, &j, row->labels, &out->rows[out->row_n++]));
    return join_notes(a, &j, out);
}
