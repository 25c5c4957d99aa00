/* A request and the block of memory that it lives in: 4 KiB, of which most is the first piece of the input buffer.
 *
 *   input   0 ─ head ─ head_n ─ body, if it came along ─ input_used ─ of the next request ─ input_n ─ free ─ input_capacity
 *   body    in the input buffer (came along with the head), or a buffer of its own from the body pool
 *   out     the reply's head, and its body where that was copied; of HTTP/2 its fields as reply_field_next reads them
 *
 * Places in the head are 16-bit offsets, since a head has at most 60 KiB: they stay true when the buffer moves.
 * Owner: its connection; from the handler's call until the reply also the handler, and alone if the connection went away.
 */
#pragma once

#include <stdatomic.h>

#include "base/arena.h"
#include "base/base.h"
#include "net/fields_priv.h"
#include "net/net.h"

enum {
    HEAD_MAX = 60 * 1024, /* of what 16 bits can tell; HTTP/2's clients send no more than 64 KiB */
    TARGET_MAX = 48 * 1024,
    PARAMS_MAX = 1000,
    FORM_MAX = 1024 * 1024,
    REQUEST_BLOCK = 4096,
    BODY_OF_STRANGERS = 4096,
};

enum chunk_state {
    CHUNK_SIZE,
    CHUNK_EXTENSION,
    CHUNK_SIZE_END,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    CHUNK_TRAILER,
    CHUNK_TRAILER_LINE,
    CHUNK_TRAILER_LF,
    CHUNK_LAST_LF,
    CHUNK_DONE,
};

/* Where the decoder stands; all zero is the start. */
struct chunk_decoder {
    uint64_t left;     /* of the chunk's data */
    uint32_t overhead; /* bytes of extensions and trailers so far */
    uint8_t state, digits;
};

struct http_engine;
struct http_connection;
struct h2_stream;
struct http_stream;
struct tls_identity;

struct http_request {
    struct http_engine *engine;
    struct http_connection *connection; /* the loop thread's; NULL: it went away */
    struct http_request *next;          /* among spare blocks, or among replies on their way to the loop */
    struct h2_stream *stream;           /* the loop thread's; NULL in HTTP/1.1, or when the stream was closed */
    struct http_stream *push;           /* its answer comes in pieces */
    http_receiver *receiver;            /* so does its body, until either ends */
    void *receiver_context;
    bool is_upgraded, was_asked; /* to another protocol; of its client, whether it is there */
    int64_t heard_ns;            /* when something came after the upgrade */
    bool is_listed, is_last;     /* the server's, under its lock: among replies; no delivery follows */
    bool is_final;               /* the loop thread's: it has seen the last delivery, and owns the request again */
    void *listener_context;
    struct tls_identity *identity; /* a reference; NULL: none */
    bool is_tls;
    char peer[64]; /* a copy: the connection may end before the request */

    char *input; /* own, unless it is `first` */
    uint32_t input_n, input_used, input_capacity;

    /* the head */
    uint32_t scanned, line_at, lines, head_at, head_n;
    struct head_piece method, path, query;
    struct str path_decoded; /* p NULL: the path is as sent */
    enum http_method method_code;
    uint64_t length; /* of the body, when not chunked */
    bool is_http10, is_h2, chunked, has_length, keep_alive, expect_continue;

    /* the body */
    bool body_is_left; /* unread, since its sender is not trusted */
    struct str body;
    char *body_buffer;
    size_t body_capacity, body_budget_bytes, input_budget_bytes, reply_budget_bytes;
    struct chunk_decoder chunks;

    /* parameters, once asked for */
    struct http_field *params;
    uint32_t param_count;
    bool params_read;
    struct arena memory;

    /* the reply */
    struct buf out;
    struct str reply_body;
    void *reply_owned;
    uint32_t reply_fields, reply_trailers; /* of HTTP/2: how many fields stand in `out`, head before trailers */
    bool reply_close;
    atomic_bool replied, abandoned;
    const char *reason; /* of a refusal */

    struct head_fields fields;
    char first[];
};

/* Nobody waits for the answer any more. */
static inline void request_abandon(struct http_request *r) {
    atomic_store_explicit(&r->abandoned, true, memory_order_relaxed);
}

static inline struct str request_piece(const struct http_request *r, struct head_piece piece) {
    return (struct str){r->input + piece.at, piece.n};
}

/* ---- head.c: bytes to a judged head ---- */

enum { HEAD_MORE = 0, HEAD_COMPLETE = 1 };
/* Looks at the input from r->scanned on: HEAD_MORE, HEAD_COMPLETE (all of the head's fields of r are set), or the status to
 * refuse with (r->reason says why). */
int head_read(struct http_request *r);

/* The same head out of HTTP/2's fields (RFC 9113 §8.3), one by one and then judged as a whole. 0, or the status to refuse with. */
int head_add_field(struct http_request *r, struct str name, struct str value);
int head_finish(struct http_request *r);
/* What the target begins with, also of a head that is refused or not there yet. */
struct str head_target(const struct http_request *r);

/* ---- chunk.c ---- */

/* Decodes in place: `bytes` holds n new raw bytes, the data in them is moved to its start. *out_data: how much data;
 * *out_used: raw bytes taken (the rest belongs to the next request once the state is CHUNK_DONE). 0, or 400 with a reason. */
int chunk_decode(struct chunk_decoder *d, char *bytes, size_t n, size_t *out_data, size_t *out_used,
                 const char **out_reason);
bool chunk_is_done(const struct chunk_decoder *d);

/* ---- params.c ---- */

/* Appends s to out (room for s.n bytes) with %XX decoded, and + as a blank if plus_is_blank. A bad escape is copied as it is;
 * the return says whether there was none. */
bool percent_decode(struct str s, bool plus_is_blank, char *out, size_t *out_n);
/* Judges the target's path and decodes it where it must; 0, or 400. */
int path_read(struct http_request *r);
bool request_is_form(const struct http_request *r); /* by Content-Type */
/* How many parameters there are, in query and form; PARAMS_MAX + 1 if more than PARAMS_MAX. */
size_t params_count(const struct http_request *r);

/* ---- reply.c ---- */

/* Writes the reply into r->out and r->reply_body. */
void reply_write(struct http_request *r, const struct http_reply *reply);
/* What the server itself says in place of a handler, in the words of whoever listens there. */
void reply_write_refusal(struct http_request *r, void *listener_context, int status, const char *reason, bool close);
/* Fields on their way to HTTP/2: appends one; reads the one that stands at *at and moves on. */
void reply_field_put(struct buf *out, struct str name, struct str value);
struct http_field reply_field_next(const struct buf *from, size_t *at);
