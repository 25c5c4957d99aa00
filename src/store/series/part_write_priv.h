/* What the files of the writer share. */
#pragma once

#include "base/vec.h"
#include "os/file.h"
#include "store/series/part_format_priv.h"

typedef VEC(uint32_t) u32_vec;

/* One label name: its values, and which rows have which. */
struct name_rows {
    struct strings values;
    u32_vec rows, codes;
};

/* A vector of timestamps that is in the file already, known by 128 bits. */
struct known_vector {
    uint64_t a, b;
    uint32_t number; /* + 1 */
};

struct series_writer {
    char *path;
    struct file *file;
    uint64_t offset, id;
    struct buf out; /* pages that are not in the file yet */
    VEC(struct series_page) pages[PAGE_KINDS];
    struct series_info info;

    /* the page of series that is being filled */
    uint32_t page_first;
    uint64_t chunks_before; /* the series that is being written */
    VEC(uint64_t) chunk_counts, chunk_samples, chunk_times, chunk_sizes;
    struct buf chunk_kinds, chunk_data;
    int64_t start_before; /* of the last sample that has a start time field in this page; INT64_MIN: there is none */

    /* vectors of timestamps */
    struct known_vector *slots;
    uint32_t slot_mask, vectors, vectors_first;
    VEC(uint64_t) vector_min, vector_span, vector_end;
    struct buf vector_data;

    /* exemplars */
    VEC(uint64_t) exemplar_rows, exemplar_times, exemplar_values, exemplar_ends;
    struct buf exemplar_data;

    /* labels */
    struct strings names, shapes; /* a shape: u32 numbers of names */
    VEC(struct name_rows *) by_name;
    VEC(uint64_t) row_shapes;
    struct buf before; /* labels of the row before: rows must ascend */
    struct arena before_arena;
    struct labels before_labels;
};

typedef VEC(uint64_t) u64_vec;

/* A page from `bytes`; the caller clears them. */
err series_writer_put_page(struct series_writer *w, enum page_kind kind, struct str bytes, uint32_t count,
                           uint32_t first);
void series_writer_add_labels(struct series_writer *w, struct labels l);
err series_writer_put_labels(struct series_writer *w); /* pages of names, shapes, values, postings, columns */
