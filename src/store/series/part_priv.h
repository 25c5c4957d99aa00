/* A file of series: sorted by labels, immutable, self-contained: its own labels, index, timestamps, samples and exemplars.
 *
 *   writer:  series in order of their labels ─▶ chunks │ vectors │ labels ─▶ one file
 *   reader:  matchers ─▶ dictionaries ─▶ postings ─▶ rows; row ─▶ labels; row × range ─▶ samples, decoded as they are asked for
 *
 * Row = number of a series in the file. Bytes: docs/formats/series.md.
 * Invariants: rows ascend by label_set_compare, distinct; samples of a row ascend strictly; every page has a checksum, verified at its
 * first touch, and what an index or a count in it could break is checked then or as it is used (7 of store.h). A damaged page of series, times or
 * exemplars is named, counted and skipped; one of labels makes the question fail.
 * Memory: an open part takes its page table's bits; everything else is read from the file's pages.
 * Limits: 2^32 series, NAMES_LIMIT label names. Threads: an open part is shared; a reader belongs to one thread, a writer too.
 * Errors: ERR_CORRUPT, ERR_INVALID (a newer format), ERR_IO, ERR_LIMIT of arenas.
 */
#pragma once

#include "store/series/head_priv.h"

struct series_info {
    uint64_t id, series, samples, chunks, bytes;
    int64_t time_min, time_max;  /* min > max: no samples */
    uint64_t exemplars_left_out; /* series that lost theirs as they were too many to be held at once; of a writer */
};

/* ---- writing ------------------------------------------------------------------------------------------------------- */

struct series_writer;
err series_writer_new(const char *path, uint64_t id, struct series_writer **out); /* the file must not exist */
/* The next series, greater than all before: begin, its samples in pieces, ascending over all of them and at least one, end. Of a piece that is
 * not the last as many are taken as make whole chunks; the others, at most SERIES_SAMPLES_MAX, come again with the next. */
err series_writer_begin(struct series_writer *w, struct labels l);
err series_writer_put(struct series_writer *w, const struct samples *s, bool last, uint32_t *out_taken);
void series_writer_end(struct series_writer *w);
/* Of the series added last, ascending in time; `series` of the exemplar does not count. */
err series_writer_add_exemplar(struct series_writer *w, const struct exemplar *e);
/* Counts that exemplars of it were left out. */
void series_writer_leave_out(struct series_writer *w);
/* Writes what is left and syncs the file, not its folder. Without a series: ERR_NOT_FOUND. */
err series_writer_finish(struct series_writer *w, struct series_info *out);
void series_writer_free(struct series_writer *w); /* takes NULL; a file that is not finished is removed */

/* ---- reading ------------------------------------------------------------------------------------------------------- */

struct series_part;
err series_part_open(const char *path, struct series_part **out);
err series_part_open_bytes(struct str bytes, bool trust_checksums, struct series_part **out); /* for tests; borrowed */
struct series_part *series_part_ref(struct series_part *p);
void series_part_unref(struct series_part *p); /* the last one unmaps, and removes the file if doomed; takes NULL */
void series_part_doom(struct series_part *p);
const struct series_info *series_part_info(const struct series_part *p);
const char *series_part_path(const struct series_part *p);

/* Counts damage and goes on: NULL if e is ERR_CORRUPT (a part whose labels are damaged answers nothing, and says so), else e. */
err series_stats_skip(struct series_stats *stats, err e);

struct series_reader;
struct series_reader *series_reader_new(struct series_part *p,
                                        struct series_stats *stats); /* holds a reference of the part */
void series_reader_free(struct series_reader *r);
/* Ascending rows that match; memory of the arena. */
err series_reader_select(struct series_reader *r, const struct label_matcher *m, uint32_t matchers, struct arena *a,
                         uint32_t **out_rows, uint32_t *out_n);
/* The row of exactly these labels, in about 20 comparisons. Texts of `l` must live as long as the reader, which remembers where it found them. */
err series_reader_find(struct series_reader *r, struct labels l, uint32_t *out_row, bool *out_found);
/* From now on label sets that are read into this arena share their texts in it: for a new reader that has one arena for all it reads. */
void series_reader_keep_texts(struct series_reader *r, struct arena *a);
err series_reader_labels(struct series_reader *r, uint32_t row, struct arena *a, struct labels *out);
/* Samples in [min, max], appended to an empty *out. */
err series_reader_read(struct series_reader *r, uint32_t row, int64_t time_min, int64_t time_max, struct samples *out);
/* Whether a row has a chunk that overlaps the range, as far as that is known without decoding any. */
err series_reader_overlaps(struct series_reader *r, uint32_t row, int64_t time_min, int64_t time_max, bool *out);
/* The end of a piece of a row from `from` on that is about as large as decoded samples may be, at most time_max. */
err series_reader_piece(struct series_reader *r, uint32_t row, int64_t from, int64_t time_max, int64_t *out_end);
/* How many samples a row has in chunks that overlap the range, without decoding any. */
err series_reader_count(struct series_reader *r, uint32_t row, int64_t time_min, int64_t time_max, uint64_t *out);
err series_reader_label_names(struct series_reader *r, struct arena *a, struct str **out, uint32_t *out_n);
err series_reader_label_values(struct series_reader *r, struct str name, struct arena *a, struct str **out,
                               uint32_t *out_n);
err series_reader_exemplars(struct series_reader *r, uint32_t row, int64_t time_min, int64_t time_max, struct arena *a,
                            struct exemplar **out, uint32_t *out_n);
/* As text: what it consists of, and series with their samples, up to rows_max lines of samples. */
err series_part_dump(const char *path, uint64_t rows_max, struct buf *out);
bool series_part_begins(struct str bytes); /* as such a file does */
/* Every page and chunk; findings as lines. */
err series_part_check(const char *path, struct buf *out, uint64_t *out_bad);
