/* Deletes: rows that are to be gone. What is asked for is kept as text in the manifest, so that no number of an enumeration
 * is on disk; what is matched is compiled from that text, at once and at every start alike.
 *
 *   asked ──▶ manifest ──▶ delete_set ──▶ masks reads ──▶ parts rewritten without the rows ──▶ done
 *
 * Invariants: a delete concerns the log records up to its sequence and the parts whose deletes_applied is below its id. A
 * part written while it is known is written without its rows, and says so by deletes_applied.
 * Limits: 64 predicates a delete, 1,024 deletes outstanding. Threads: entries and sets are immutable and counted.
 */
#pragma once

#include "store/journal/manifest_priv.h"
#include "store/engine/memory_priv.h"
#include "store/series/select_priv.h"

enum { DELETE_REQUEST_BYTES_MAX = 1 << 20, DELETE_PREDICATES_MAX = 64, DELETES_MAX = 1024 };

/* A condition on series, as the manifest has it: compiled for each question, as compiled ones cannot be shared. */
struct matcher_text {
    struct str name, text;
    enum label_matcher_op op;
};

struct delete_entry {
    atomic_uint refs;
    uint64_t id, sequence;
    char tenant[TENANT_BYTES];
    bool signals[TABLE_KINDS];
    struct scan_request request;         /* range and predicates, the trace id being one of them */
    const struct matcher_text *matchers; /* of TABLE_SERIES */
    uint32_t matcher_count;
    struct arena memory;
};

/* Deletes of series of a tenant, compiled for one question or one file. Memory is an arena's. */
struct compiled_deletes {
    const struct delete_entry **entries;
    struct series_delete *deletes; /* as many */
    uint32_t n, matcher_count;
    struct label_matcher *matchers;
};

struct delete_set {
    atomic_uint refs;
    uint64_t id_max; /* of all deletes there ever were */
    size_t n;
    struct delete_entry *v[];
};

/* The request as bytes for the manifest. ERR_INVALID: no signal, an empty range, an unknown operator; ERR_LIMIT. */
err delete_request_write(const struct delete_request *r, struct buf *out);
/* The same of a delete of series; ERR_INVALID: an expression that cannot be compiled. */
err delete_series_write(const struct series_request *r, struct buf *out);
/* Compiles what the manifest keeps. */
err delete_entry_make(const struct manifest_delete *d, struct delete_entry **out);
void delete_entry_unref(struct delete_entry *d);
void delete_request_dump(struct str request, struct buf *out);

struct delete_set *delete_set_new(uint64_t id_max);
struct delete_set *delete_set_ref(struct delete_set *set);
void delete_set_unref(struct delete_set *set); /* takes NULL */
/* The old set with one more (whose reference it takes over), or without an id. */
struct delete_set *delete_set_with(const struct delete_set *old, struct delete_entry *d);
struct delete_set *delete_set_without(const struct delete_set *old, uint64_t id);

/* Also after an error compiled_deletes_done is called. */
err compile_deletes(const struct delete_set *set, const char *tenant, struct arena *a, struct compiled_deletes *out);
void compiled_deletes_done(struct compiled_deletes *c);
/* Those that concern a file (sequence 0) of which deletes up to `applied` are gone, or a head whose last record has that sequence. */
err compiled_deletes_of(const struct compiled_deletes *c, uint64_t applied, uint64_t sequence, struct arena *a,
                        struct series_source *out);

bool delete_is_of(const struct delete_entry *d, const char *tenant, enum signal signal);
bool delete_touches_range(const struct delete_entry *d, int64_t time_min, int64_t time_max);
bool delete_touches_part(const struct delete_entry *d, const struct part_entry *p);
bool delete_touches_batch(const struct delete_entry *d, const struct memory_batch *m);
bool delete_matches_row(const struct delete_entry *d, const struct batch *b, uint32_t row);
