/* What a selector takes: series that are stored, then those that are counted from rollups. */
#include "query/query_priv.h"
#include "query/series/rolled_priv.h"

struct series_found {
    struct selection *stored;
    struct selection_reader *reader;
    uint32_t stored_n;
    struct rolled *rolled; /* NULL: none */
};

err series_find(struct series_source *s, const struct series_request *r, struct series_wish wish, struct arena *a,
                struct series_found **out) {
    struct selection *stored = NULL;
    struct rolled *rolled = NULL;
    struct series_found *f = arena_new(a, struct series_found);
    if (!f) return arena_err(a);
    err e = series_snapshot_select(s->snapshot, r, a, &s->stats, &stored);
    if (!e) e = rolled_find(s, r, wish, a, &rolled);
    if (e) {
        selection_free(stored);
        return e;
    }
    *f = (struct series_found){stored, selection_reader_new(stored, &s->stats), selection_count(stored), rolled};
    *out = f;
    return NULL;
}

void series_found_free(struct series_found *f) {
    if (!f) return;
    selection_reader_free(f->reader);
    selection_free(f->stored);
    *f = (struct series_found){0};
}

uint32_t series_found_count(const struct series_found *f) { return f->stored_n + rolled_count(f->rolled); }

struct labels series_found_labels(const struct series_found *f, uint32_t i) {
    return i < f->stored_n ? selection_labels(f->stored, i) : rolled_labels(f->rolled, i - f->stored_n);
}

err series_found_read(struct series_found *f, uint32_t i, struct samples *out) {
    return i < f->stored_n ? selection_read(f->reader, i, out) : rolled_read(f->rolled, i - f->stored_n, out);
}

err series_found_exemplars(struct series_found *f, uint32_t i, struct arena *a, struct exemplar **out,
                           uint32_t *out_n) {
    return i < f->stored_n ? selection_exemplars(f->reader, i, a, out, out_n)
                           : rolled_exemplars(f->rolled, i - f->stored_n, a, out, out_n);
}

/* ---- texts and metadata ----------------------------------------------------------------------------------------- */

/* Two ascending lists as one, each text once. */
static err merge_texts(struct arena *a, struct str **into, uint32_t *into_n, const struct str *more, uint32_t more_n) {
    struct str *v = arena_array(a, struct str, (size_t)*into_n + more_n + 1);
    uint32_t n = 0, i = 0, k = 0;
    if (!v) return arena_err(a);
    while (i < *into_n || k < more_n) {
        int order = i == *into_n ? 1 : k == more_n ? -1 : str_compare((*into)[i], more[k]);
        v[n++] = order <= 0 ? (*into)[i] : more[k];
        i += order <= 0;
        k += order >= 0;
    }
    *into = v;
    *into_n = n;
    return NULL;
}

err series_texts(struct series_source *s, struct str name, const struct series_request *r, struct arena *a,
                 struct str **out, uint32_t *out_n) {
    struct str *more;
    uint32_t more_n;
    TRY(series_snapshot_texts(s->snapshot, name, r, a, &s->stats, out, out_n));
    TRY(rolled_texts(s, name, r, a, &more, &more_n));
    return more_n ? merge_texts(a, out, out_n, more, more_n) : NULL;
}

err series_metadata(struct series_source *s, struct str name, struct arena *a, struct series_metadata **out,
                    uint32_t *out_n) {
    struct series_metadata *stored, *more, *v;
    uint32_t stored_n, more_n, n = 0, i = 0, k = 0;
    TRY(series_snapshot_metadata(s->snapshot, name, a, &stored, &stored_n));
    TRY(rolled_metadata(s, name, a, &more, &more_n));
    v = arena_array(a, struct series_metadata, (size_t)stored_n + more_n + 1);
    if (!v) return arena_err(a);
    while (i < stored_n || k < more_n) {
        int order = i == stored_n ? 1 : k == more_n ? -1 : str_compare(stored[i].name, more[k].name);
        if (order == 0) { /* what is stored is said by who sent it */
            k++;
            continue;
        }
        v[n++] = order < 0 ? stored[i++] : more[k++];
    }
    *out = v;
    *out_n = n;
    return NULL;
}
