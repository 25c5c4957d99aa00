/* A file of rollups: rows of one day, or the halves of edges that wait for each other. Immutable; one a flush, fewer after merges.
 *
 *   header │ frames: minutes of an hour …, that hour as a whole …, the same by service …, keys, services, parties, halves │ frame table │ footer
 *
 * A frame is compressed by itself and has a checksum in the table (7). Keys, services and parties come last, as they are found on the way.
 * What spans come to by service (rollup_request.by_service) stands beside the rows of keys, by minutes, hours and the day: a list of services
 * reads a few hundred rows of a day, where its operations have hundreds of thousands. Files of before have none of that; their keys are read.
 * Bytes: docs/formats/rollup.md. Limits: a frame of 64 MiB before compression. Errors: ERR_CORRUPT; ERR_INVALID: of a newer format.
 * Threads: a file may be read by any, several at once; a writer belongs to one.
 */
#pragma once

#include <stdatomic.h>

#include "os/file.h"
#include "store/rollup/tally_priv.h"

#define ROLLUP_MAGIC "CLEWROLL"
#define ROLLUP_END_MAGIC "CLEWLLOR"
enum {
    ROLLUP_VERSION = 1,
    ROLLUP_BY_SERVICE = 1,
    ROLLUP_PLAIN_HALVES = 2, /* halves may be plain */
    ROLLUP_FEATURES = ROLLUP_BY_SERVICE | ROLLUP_PLAIN_HALVES,
    ROLLUP_FRAME_BYTES_MAX = 64 << 20
};
static const int64_t rollup_hour_ns = (int64_t)3600 * 1000000000, rollup_day_ns = (int64_t)86400 * 1000000000;

/* The last ns of what begins there, as far as there is time. */
static inline int64_t rollup_last(int64_t from, int64_t length) {
    return INT64_MAX - from < length ? INT64_MAX : from + length - 1;
}
static inline int64_t rollup_hour_last(int64_t hour) { return rollup_last(hour * rollup_hour_ns, rollup_hour_ns); }

struct rollup_header {
    char magic[8];
    uint32_t version, features;
    uint64_t id;
    uint64_t reserved[4];
    uint64_t checksum; /* of the bytes before it */
};
_Static_assert(sizeof(struct rollup_header) == 64, "on disk");

/* Numbers are on disk. */
enum rollup_frame_kind {
    FRAME_MINUTES,
    FRAME_HOUR,
    FRAME_KEYS,
    FRAME_PARTIES,
    FRAME_HALVES,
    FRAME_SERVICES, /* the keys of the following */
    FRAME_SERVICE_MINUTES,
    FRAME_SERVICE_HOURS, /* of a day */
    FRAME_SERVICE_DAY,
    FRAME_KINDS
};
struct rollup_frame {
    uint64_t offset;
    uint32_t size, raw_size; /* compressed, and before */
    uint32_t kind, rows;
    int64_t hour; /* of rows: since 1970; of hours and a day by service its first */
    uint64_t checksum;
};
_Static_assert(sizeof(struct rollup_frame) == 40, "on disk");

struct rollup_footer {
    uint64_t frames, table_offset, table_checksum;
    uint64_t rows, keys, halves; /* rows: of minutes */
    int64_t time_min, time_max;  /* minutes that begin; of halves alone their starts */
    uint64_t file_size;
    uint64_t reserved[5];
    uint64_t checksum; /* of the bytes before it */
    char magic[8];
};
_Static_assert(sizeof(struct rollup_footer) == 128, "on disk");

struct rollup_info {
    uint64_t id, rows, keys, halves, bytes;
    int64_t time_min, time_max;
};

/* ---- writing ---------------------------------------------------------------------------------------------------- */

struct rollup_writer;
/* Makes the file. */
err rollup_writer_new(const char *path, uint64_t id, struct rollup_writer **out);
/* Rows of minutes in the range, in any number of calls. `whole`: no other call has rows of the same hours, which may then stand as hours, too. */
err rollup_writer_put(struct rollup_writer *w, const struct tally *t, int64_t time_min, int64_t time_max, bool whole);
err rollup_writer_put_halves(struct rollup_writer *w, const struct tally *t);
/* Keys, table, footer, sync. ERR_NOT_FOUND: nothing was put. */
err rollup_writer_finish(struct rollup_writer *w, struct rollup_info *out);
void rollup_writer_free(struct rollup_writer *w); /* not finished: the file goes; takes NULL */

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct rollup_file {
    atomic_uint refs;
    _Atomic bool doomed;
    char *path;
    struct str map;
    bool is_file, trust_checksums;
    struct rollup_info info;
    const struct rollup_frame *frames;
    uint64_t frame_count;
};
err rollup_file_open(const char *path, struct rollup_file **out);
err rollup_file_open_bytes(struct str bytes, bool trust_checksums,
                           struct rollup_file **out); /* which stay where they are */
struct rollup_file *rollup_file_ref(struct rollup_file *f);
void rollup_file_unref(struct rollup_file *f); /* takes NULL; the last one removes a doomed file */
void rollup_file_doom(struct rollup_file *f);

/* Adds rows to a tally: of the request its range, views, names. Whole hours at once where the tally's steps allow. A frame that is damaged is
 * left out and counted (7). What the tally takes is drawn after each frame. */
err rollup_file_read(const struct rollup_file *f, const struct rollup_request *r, struct tally *into,
                     struct scan_stats *stats);
/* filter NULL: all halves. */
err rollup_file_read_halves(const struct rollup_file *f, const struct half_filter *filter, struct tally *into,
                            struct scan_stats *stats);
bool rollup_key_is_wanted(const struct rollup_request *r, const struct rollup_key *key);
/* Hours that the file has rows of, ascending. */
typedef VEC(int64_t) hour_list;
int rollup_hour_compare(const void *a, const void *b); /* for qsort and bsearch */
void rollup_file_hours(const struct rollup_file *f, hour_list *out);
/* The keys of the file, for the limits on names. */
err rollup_file_keys(const struct rollup_file *f, struct rollup_names *names);

/* All of it: findings as lines, counted. */
err rollup_file_check(const char *path, struct buf *out, uint64_t *bad);
void rollup_file_dump(const struct rollup_file *f, uint64_t rows_max, struct buf *out);
