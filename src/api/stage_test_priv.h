/* A stage for the tests of api: the real handlers over the naive store, a fixed clock, no socket. */
#pragma once

#include "api/api_priv.h"
#include "base/budget.h"
#include "catalog/catalog.h"

enum { STAGE_STREAMS_MAX = 80 };

struct stage {
    struct api *api;
    struct store *store;
    struct live *live;
    struct ingest *ingest;
    struct correlate_rules *correlate;
    struct budget budget;
    struct db *db; /* of a stage with a data folder */
    struct catalog *catalog;
    /* what the next requests say of who asks; empty: not sent */
    struct credentials credentials;
    bool is_tls, body_is_left;
    const char *if_match, *if_none_match;
    /* the last reply */
    int replies, status;
    char content_type[128];
    char fields[512]; /* "Name: value\n"… */
    struct buf body;
    /* Answers in pieces. Without `keeps_streams` one ends after its first turn, and the body is what came until then. */
    bool keeps_streams;
    struct http_stream {
        struct stage *stage;
        struct buf text;
        size_t room; /* bytes that it takes until it is slow */
        bool gone, ended;
    } streams[STAGE_STREAMS_MAX];
    size_t stream_count;
};

void stage_open(struct stage *s);
/* The same with a data folder and a document of tokens (either may be NULL, "") and of limits. */
void stage_open_as(struct stage *s, const char *dir, const char *tokens, const char *limits);
void stage_close(struct stage *s);
/* The fixed small data set: two traces and a few logs, sent as OTLP through the API itself. */
void stage_fill(struct stage *s);
void stage_fill_series(struct stage *s); /* a counter, a gauge and a histogram, of the last ten minutes */

/* "GET /path?query", main port. Fails unless there was exactly one reply; returns its status. */
int stage_ask(struct stage *s, const char *request);
int stage_send(struct stage *s, enum api_port port, const char *request, const char *content_type,
               const char *content_encoding, struct str body);
/* A unary call of gRPC; `body` with its prefix. Its grpc-status. */
int stage_call(struct stage *s, const char *path, const char *encoding, const char *timeout, struct str body);
/* The reply's body, terminated. */
const char *stage_body(const struct stage *s);

#define STAGE_NOW_NS ((int64_t)1767323045 * 1000000000) /* 2026-01-02T03:04:05Z */
extern int64_t stage_later_ns;                          /* added to it */
int64_t stage_now(void);
extern bool stage_rolls; /* stages that are opened keep rollups of spans */
void stage_put_traces(struct buf *out); /* bodies of the data set */
void stage_put_logs(struct buf *out);
