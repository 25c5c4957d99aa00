/* What telemetry takes at rest, by day, column and service: sums over what the store tells of its parts (store/sizes.h).
 *
 * Rows hidden by deletes or retention take room until they are rewritten, and are counted. Rows in memory are counted beside.
 * Sums are exact: columns, dictionaries and frame are together the bytes of the parts' files, and so are services and days, but for
 * what cannot be read (the answer is partial then).
 *
 * Limits: 100,000 columns and services, then `_other`; of names the first 4 KiB. Errors: those of query.h.
 * Source: Flajolet et al., HyperLogLog, 2007: values that differ.
 */
#pragma once

#include "query/query.h"

enum { QUERY_OLDER_MAX = 8, QUERY_STORAGE_MAX = 1000, QUERY_SAMPLE_ROWS = 65536 };

struct query_storage {
    int64_t time_min, time_max; /* parts are counted whole if one row of theirs may be in it */
    bool signals[SIGNALS];
    size_t columns_max, services_max; /* 0 of both: the directories are not looked at; at most QUERY_STORAGE_MAX */
    bool distinct;        /* estimate values that differ, of the columns listed, in the newest QUERY_SAMPLE_ROWS */
    const int64_t *older; /* what is in parts whose newest row is older than these */
    size_t older_count;
};
struct query_amount {
    uint64_t parts, rows, bytes;
};
struct query_storage_column {
    enum size_kind kind;
    enum set set;
    enum value_type type;
    struct str name;
    uint64_t bytes, values;
    uint64_t sampled, distinct; /* values of the sample; about how many differ, right to 5 % */
};
/* The rows in parts, and their share of the parts' bytes (store/sizes.h); and rows in memory. */
struct query_storage_service {
    struct str service;
    uint64_t rows, bytes, memory_rows;
};
struct query_storage_day {
    int64_t start; /* of a UTC day */
    struct query_amount parts;
};
struct query_storage_signal {
    struct query_amount parts, older[QUERY_OLDER_MAX];
    uint64_t groups, memory_rows, memory_bytes;
    int64_t time_min, time_max;         /* of the oldest and newest row in parts or memory; min > max: no rows */
    uint64_t bytes_by_kind[SIZE_KINDS]; /* together parts.bytes, but of what could not be read */
    const struct query_storage_column *columns;    /* most bytes first; dictionaries and frame are among them */
    const struct query_storage_service *services;  /* most bytes first */
    const struct query_storage_day *days;          /* oldest first */
    size_t column_count, service_count, day_count; /* listed */
    size_t columns_all, services_all;
};
err query_storage(struct query *q, const struct query_storage *r, struct query_storage_signal out[SIGNALS]);
