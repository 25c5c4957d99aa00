/* What the files of this room share of a running collector.
 *
 *   receive.c  requests, and work threads that make records of them    forward.c  the queue's thread, and starting and ending
 *   send.c     batches on their way out                                sampling.c the thread of tail sampling
 *   self.c     figures of itself, health
 *
 * Locks: `lock` guards what senders share and is taken before the queue's own; counters are atomic.
 */
#pragma once

#include <stdatomic.h>

#include "ingest/correlate/correlate.h"
#include "ingest/forward/forward.h"
#include "ingest/forward/out_priv.h"
#include "ingest/forward/queue_priv.h"
#include "ingest/forward/sample_priv.h"
#include "os/thread.h"

static_assert((int)FORWARD_KINDS == (int)QUEUE_KINDS, "a kind of records is a signal");

enum { FORWARD_REASONS_MAX = 32 };
typedef _Atomic uint64_t counter;

/* Why rows were not delivered, by the target's word. */
struct forward_reason {
    char text[24];
    uint64_t rows[FORWARD_KINDS];
};

struct forward_counters {
    counter received[2][FORWARD_KINDS]; /* rows, by HTTP and gRPC */
    counter requests[2][FORWARD_KINDS];
    counter rejected[FORWARD_KINDS];                                 /* rows that are none: told to the sender */
    counter refused_full, refused_memory, refused_disk, refused_bad; /* requests */
    counter refused_share
        [FORWARD_KINDS]; /* requests of a signal that the target does not take and that has its share of the queue */
    counter sent[FORWARD_KINDS], sent_requests[FORWARD_KINDS], retries[FORWARD_KINDS];
    counter denied[FORWARD_KINDS];     /* calls: a wrong token or address */
    counter partial[FORWARD_KINDS];    /* rows that the target rejected within a success */
    counter lifted[CORRELATE_SOURCES]; /* rows that were given an id that arrived */
    counter lost[FORWARD_KINDS];       /* rows of damaged records */
};

/* What a reload changes: counted, so that who began with one ends with it. */
struct forward_live {
    struct forward_config config;
    char *fields[FORWARD_FIELDS_MAX + 1];
    size_t refs; /* of forward.lock, as which one is the one now */
};
struct forward_live *forward_live_ref(struct forward *f);
void forward_live_unref(struct forward *f, struct forward_live *l); /* takes NULL */
void forward_live_follow(struct forward *f,
                         struct forward_live **held); /* lock held: the one now in place of *held, which may be NULL */

/* A request on its way to the disk. */
struct forward_request {
    struct http_request *http;
    enum forward_kind kind;
    bool grpc, json, over_memory, over_share;
    struct str body;   /* as it came */
    struct buf record; /* what is kept */
    uint32_t rows;
    uint64_t rejected;
    char message[240];
    uint64_t budget_bytes;
};
void forward_request_free(struct forward_request *r);
/* Ends it. e is taken. */
void forward_answer(struct forward *f, struct forward_request *r, err e);

/* Records that go out together. */
struct forward_batch {
    struct forward_batch *next;
    enum forward_kind kind;
    struct buf body;
    uint64_t rows;
    int64_t newest_ns; /* wall: when the last of it came */
    struct batch_piece {
        uint64_t sequence;
        struct sampler_spans spans; /* with tail sampling: a trace, of these records; sequence is 0 */
        uint32_t rows;
        size_t end; /* in body */
    } * pieces;
    size_t n;
};

void forward_batch_free(struct forward_batch *b);

/* One signal on its way out. */
struct forward_lane {
    struct forward_batch *again, **again_end; /* to be tried again, oldest first */
    uint32_t under_way;                       /* batches in calls */
    uint32_t failures;                        /* since the last success: then one call at a time */
    int64_t not_before_ns;                    /* monotonic */
};

/* Traces that are kept and wait to go out. */
struct forward_ready {
    struct sampler_spans spans;
    int64_t since_ns; /* wall */
    struct forward_ready *next;
};

struct forward_sender {
    struct forward *f;
    struct thread *thread;
    struct out *out;
    struct forward_live *live; /* whose fields out has */
};

struct forward {
    struct forward_options options; /* without config and fields: those are live's */
    struct forward_live *live;
    counter reloads;
    struct disk_queue *queue;
    struct queue *work, *commit; /* of requests */
    struct thread **workers, *committer;
    struct forward_sender *senders;
    struct forward_counters count;
    struct lock lock;
    struct signal_flag wake;
    struct forward_lane lanes[FORWARD_KINDS];
    struct forward_reason reasons[FORWARD_REASONS_MAX];
    size_t reason_count;
    struct sampler *sampler;           /* NULL: every trace is kept. Of the sample thread, but for its figures */
    struct forward_live *sampler_live; /* whose rules it has */
    struct thread *sample;
    struct forward_ready *ready, **ready_end;
    uint64_t ready_rows, ready_bytes;
    struct sampler_counts sampled;
    bool stopping;          /* senders end when all is sent */
    atomic_bool cut;        /* calls end at once */
    atomic_bool disk_fails; /* the last group could not be written */
    int64_t started_ns;
};

/* What signals that the target does not take keep of the queue while it takes others: bits by kind, 0 if there are none; lock held. */
uint32_t forward_held_kinds(const struct forward *f);
uint64_t forward_held_bytes_max(const struct forward *f);

void forward_work(void *context); /* threads */
void forward_send(void *context);
void forward_sample(void *context);
err forward_sample_open(struct forward *f);
void forward_sample_done(struct forward *f);
/* The next kept trace, if it fits into a batch that has so many rows and bytes; lock held. */
bool forward_ready_fits(const struct forward *f, uint64_t rows, uint64_t bytes);
void forward_ready_take(struct forward *f, struct batch_piece *out);
void forward_count_reason(struct forward *f, const char *reason, enum forward_kind kind, uint64_t rows); /* lock held */
void forward_reply_text(struct http_request *r, int status, const char *type, struct str body);
void forward_reply_self(struct forward *f, struct http_request *r, struct str path);
