/* Label sets: what a series is called.
 *
 * Invariants: names are distinct and ascend by bytes; no name and no value is empty (an empty value is an absent label); all is UTF-8.
 * Order of series: by the value of __name__, then by the pairs without it, name before value; a set that ends first is less.
 * So that one metric is a contiguous run of a part.
 * Limits: LABELS_MAX pairs (fewer by options of the head), LABEL_NAME_BYTES_MAX, LABEL_VALUE_BYTES_MAX. Threads: pure.
 */
#pragma once

#include "base/arena.h"
#include "base/map.h"

enum { LABELS_MAX = 256, LABEL_NAME_BYTES_MAX = 1024, LABEL_VALUE_BYTES_MAX = 16 << 10 };

#define METRIC_NAME STR("__name__")

struct label {
    struct str name, value;
};

struct labels {
    const struct label *v;
    uint32_t n;
};

struct str label_set_get(struct labels l, struct str name); /* empty where it has none */
int label_set_compare(struct labels a, struct labels b);
bool label_set_equal(struct labels a, struct labels b);
/* ERR_INVALID or ERR_LIMIT that names the label; pairs_max ≤ LABELS_MAX. */
err label_set_check(struct labels l, uint32_t pairs_max);
/* For messages: name{a="b",…}, cut where it gets long. */
void put_label_set(struct buf *out, struct labels l);

/* 128 bits under the secret of base/hash.h: what two different sets share only by guessing it. In memory only. */
struct label_set_hash {
    uint64_t a, b;
};
struct label_set_hash label_set_hash(struct labels l);

/* As bytes: of each pair both sizes as varints and both texts. */
void label_set_write(struct labels l, struct buf *out);
/* Borrows the texts. False: the bytes are not what label_set_write makes. ERR of a full arena is the caller's to look for. */
bool label_set_read(struct str bytes, struct arena *a, struct labels *out);
