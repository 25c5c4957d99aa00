/* What a job says about HTTP, as net/fetch.h wants it. Secrets in files are read at each request, so that they can be changed. */
#pragma once

#include "ingest/scrape/config_priv.h"
#include "net/fetch.h"

enum { HTTP_FIELDS_MAX = 8 };
struct http_texts {
    struct buf url, user, password, authorization, connect_to, host, timeout;
    const char *fields[HTTP_FIELDS_MAX];
    size_t field_n;
};
/* Sets of *f what h, the URL and the fields (at most six, NULL behind them) say; the texts live in *t, which is to be ended also after an error. */
err http_texts_fill(struct http_texts *t, const struct scrape_http *h, const char *url, int64_t timeout_ns,
                    const char *const *fields, struct http_fetch *f);
void http_texts_done(struct http_texts *t);
