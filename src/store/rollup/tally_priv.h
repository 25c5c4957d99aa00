/* A tally: rollups in memory, as they are made of spans, read from files and merged.
 *
 *   keys     bytes of a key, in its order → number         rows     (key, time) → sums, histogram, exemplar
 *   clients  (trace, client span) → halves that call        servers  halves that are called and have found no client yet
 *   parents  (trace, span) of spans that are no clients, as they came
 *
 * Invariants: equal keys have one number, equal (key, time) one row. What stands in a tally twice over is added up, in any order, with the same
 * result; but for halves: of client halves of one span the one that came first pairs, and all of them are matched.
 * Limits: rows and keys below 2^32. Names over the limits (names_priv.h) are counted as `_other`.
 * Owner: whoever called tally_init. Threads: one at a time.
 */
#pragma once

#include "base/budget.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/vec.h"
#include "store/rollup.h"
#include "store/rollup/names_priv.h"

enum { KEY_BYTES_MAX = 1 << 20, WAITING_PLAIN_MAX = 1 << 14 };

struct tally_row {
    uint32_t key;
    int64_t time_ns; /* minute, or step */
    uint64_t calls, errors, sum_ns;
    int64_t last_ns;
    struct rollup_exemplar exemplar;
    bool has_exemplar;
    uint32_t bucket_first, bucket_count, bucket_room;
    uint64_t *buckets; /* of bucket_first, …; the arena's */
};

/* Trace and client span are 64 bits of hash, which a file keeps in their place: halves that wait are most of what rollups take while they wait. So calls
 * that come from files have no ids, and are no exemplars. */
struct tally_half {
    uint64_t key;
    bool is_server, is_remembered, is_matched, is_plain;
    bool is_looked_for; /* among the parents of its tally that were there */
    uint8_t connection;
    uint32_t party; /* environment, namespace, service: a number of `parties` */
    uint32_t peer;  /* of `parties`, too, as a text alone; 0: none */
    struct rollup_call call;
    int64_t arrived_ns; /* wall; 0: not yet set */
};

/* There is one for most spans: a minute is enough to tell the hours that a delete touches. */
struct tally_parent {
    uint64_t key;       /* as of a half */
    int64_t arrived_ns; /* as of a half */
    uint32_t party, start_minute;
};

/* What is known of a set of keys: false, it has none of a key; true, it may. */
struct key_filter {
    uint64_t *bits;
    uint32_t mask;
};

struct tally_edge {
    uint32_t keys[2]; /* as servers and as clients saw it */
};

#define TALLY_NO_KEY UINT32_MAX
struct tally_edge_asked {
    uint32_t ids[3];
    bool is_known;
    struct tally_edge edge;
};

struct tally_asked {
    struct hash128 hash;
    uint32_t answer; /* number of the key + 1; 0: free */
};

struct tally_last {
    int64_t time_ns;
    uint32_t row; /* + 1; 0: none */
};

struct tally {
    struct rollup_sink sink;
    struct rollup_names *names; /* NULL: no limits */
    int64_t step_ns;            /* of rows; 0: all have time `start_ns` */
    int64_t start_ns;
    bool buckets, exemplars;   /* are kept */
    struct arena memory;       /* of buckets */
    struct strings keys;       /* encoded */
    struct tally_asked *asked; /* keys of spans as they were asked for, by 128 bits of keyed hash; and their numbers */
    uint32_t asked_mask, asked_count;
    VEC(struct tally_last) last; /* of a key: its row that was found last */
    VEC(struct tally_row) rows;
    uint32_t *slots, slot_mask; /* of rows: number + 1 */
    struct strings parties;     /* 0: empty */
    VEC(struct tally_half) clients, servers;
    uint32_t *client_slots, client_mask; /* of the first `indexed` clients, by key: number of its first + 1 */
    uint32_t *client_next;               /* by number: the next of its key, + 1 */
    size_t indexed;
    VEC(struct tally_parent) parents;
    size_t parents_looked_at;        /* the first of them, by tally_pair */
    struct key_filter parent_filter; /* of the first `parents_filtered` */
    size_t parents_filtered;
    struct rollup_half last_half; /* whose texts are those of last_party and last_peer, while one batch is run */
    uint32_t last_party, last_peer;
    struct strings pairs;                    /* of parties, or of a party and a peer, with the connection */
    VEC(struct tally_edge) edges;            /* of those: the keys */
    struct tally_edge_asked edges_asked[64]; /* of those, as they were asked for last */
    struct buf scratch;
    struct budget *budget; /* what it takes is drawn from this, when tally_draw is called; NULL: none */
    uint64_t drawn_bytes, limit_bytes;
};

void tally_init(struct tally *t, struct rollup_names *names, int64_t step_ns);
void tally_done(struct tally *t);
uint64_t tally_bytes(const struct tally *t); /* about */
/* Draws what it has grown by. ERR_BUSY over the budget, ERR_LIMIT over limit_bytes (0: none): then nothing is drawn. tally_done gives it back. */
err tally_draw(struct tally *t);
void tally_draw_always(struct tally *t); /* of what must be done */

/* Before a rollup_function is run: texts of the last batch may be gone. */
void tally_begin_batch(struct tally *t);

/* ---- keys ------------------------------------------------------------------------------------------------------- */

/* Bytes that compare as keys do, and say where they end. */
void rollup_key_write(const struct rollup_key *key, struct buf *out);
/* False: no such key. Texts are the arena's, or point into the bytes. */
bool rollup_key_read(struct str bytes, struct arena *a, struct rollup_key *out);

/* The number of a key as it is, no limits. */
uint32_t tally_key_of_bytes(struct tally *t, struct str bytes);

/* The number of the key's row for a request: of t's. */
uint32_t tally_key_for(struct tally *t, const struct rollup_request *r, const struct rollup_key *key);

/* ---- rows ------------------------------------------------------------------------------------------------------- */

/* The row of a key at the step that has the time; made if it is not there. It may move with the next one that is made. */
struct tally_row *tally_row_at(struct tally *t, uint32_t key, int64_t time_ns);
void tally_buckets_add(struct tally *t, struct tally_row *row, uint32_t first, uint32_t n, const uint64_t *counts);
void tally_add_row(struct tally *t, uint32_t key, const struct tally_row *from); /* key: of t */
/* All rows of another, whose minutes begin in the range. */
void tally_add_all(struct tally *t, const struct tally *from, int64_t time_min, int64_t time_max);

/* Forgets rows; keys keep their numbers. */
void tally_clear_rows(struct tally *t);

/* ---- halves ----------------------------------------------------------------------------------------------------- */

/* Pairs servers with clients: those servers go, and the clients are matched. */
void tally_pair(struct tally *t);
/* Then what is left of them with parents. What was looked for before is looked for among new parents alone. */
void tally_pair_parents(struct tally *t);
/* Both with those of another, which are not marked: of its clients only those are left that are matched there. */
void tally_pair_with(struct tally *t, const struct tally *clients);
/* With another's parents alone. */
void tally_pair_with_parents(struct tally *t, const struct tally *of);
/* Those that may still find another, as they are, to the end of t's. arrived_ns: of those that have none. */
void tally_add_open_halves(struct tally *t, const struct tally *from, int64_t arrived_ns);
/* The newest parents, as many as may wait. */
void tally_add_parents(struct tally *t, const struct tally *from, int64_t arrived_ns);
/* A half whose party and peer are numbers of t's. A plain one that calls is a parent. */
void tally_put_half(struct tally *t, const struct tally_half *h); /* tally_pair looks at it */
struct tally_half tally_parent_half(const struct tally_parent *p);
/* Halves of a file have found what there is among themselves. Beside halves in memory only those matter whose key is one of theirs (or looks so:
 * one of sixteen does): others are done with at once, a client as tally_count_unmatched would. */
struct half_filter {
    struct key_filter keys;
    const struct key_filter *parents[2]; /* of the tallies that were added; NULL: none */
    int64_t unmatched_before_ns;
};
void half_filter_init(struct half_filter *f, size_t halves, int64_t unmatched_before_ns);
void half_filter_done(struct half_filter *f);
void half_filter_add(struct half_filter *f, struct tally *t); /* all of its halves; two tallies at most */
void tally_take_half(struct tally *t, const struct half_filter *f, const struct tally_half *h); /* f NULL: every one */
uint64_t rollup_half_key(const unsigned char trace_id[16], uint64_t client_span);
/* Client halves that found nobody and began before that time, as calls of their peers. */
void tally_count_unmatched(struct tally *t, int64_t before_ns);
/* Client halves that found nobody and are not among those that wait, as calls of their peers; but those that began in this time, whose servers were
 * deleted, wait again while there is room. Returns how many those are. */
struct tally_again {
    int64_t from_ns, to_ns, arrived_ns;
    size_t halves_max;
};
size_t tally_settle(struct tally *t, struct tally *waiting, const struct tally_again *again);
/* Forgets halves of hours that were counted, but for those that `counted` has as well. */
void tally_keep_halves(struct tally *t, const struct tally *counted, bool (*is_counted)(void *context, int64_t time_ns),
                       void *context);
/* Halves that arrived before that time are done with: they are counted so, or forgotten. So are the oldest over the limit; returns how many those were,
 * but for plain ones and parents, which have the room that is left, WAITING_PLAIN_MAX each at most. Nothing pairs in t after this. */
uint64_t tally_expire(struct tally *t, int64_t arrived_before_ns, size_t halves_max);

/* ---- between the files of this room ----------------------------------------------------------------------------- */

void key_filter_init(struct key_filter *f, size_t keys);
void key_filter_done(struct key_filter *f);
static inline void key_filter_add(struct key_filter *f, uint64_t key) {
    uint32_t bit = (uint32_t)(key >> 32) & f->mask;
    f->bits[bit / 64] |= UINT64_C(1) << bit % 64;
}
static inline bool key_filter_has(const struct key_filter *f, uint64_t key) {
    uint32_t bit = (uint32_t)(key >> 32) & f->mask;
    return f->bits[bit / 64] >> bit % 64 & 1;
}
const struct key_filter *tally_parent_filter(struct tally *t); /* of all its parents, brought up to date */
/* An edge, unless both are of one service. p: of the tally `of`. */
void tally_pair_parent(struct tally *t, const struct tally *of, const struct tally_parent *p,
                       const struct tally_half *s);
void tally_keep_parents(struct tally *t, const struct tally *counted,
                        bool (*is_counted)(void *context, int64_t time_ns), void *context);
void tally_expire_parents(struct tally *t, int64_t arrived_before_ns, size_t parents_max);

static inline int64_t rollup_floor(int64_t t, int64_t step) { return t - ((t % step) + step) % step; }
