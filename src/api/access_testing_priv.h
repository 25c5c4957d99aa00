/* What the tests of access share: tokens of every role for tenants a, b and all, who asks next, and requests that a route takes. Header only. */
#pragma once

#include "api/one_stage_testing_priv.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

/* ---- tokens of the tests ---------------------------------------------------------------------------------------- */

enum { TENANT_A, TENANT_B, TENANT_ANY, TENANTS };
static const char *const tenants[TENANTS] = {"a", "b", "*"};

static char token[ROLES][TENANTS][TOKEN_TEXT_BYTES + 1], expired[TOKEN_TEXT_BYTES + 1], revoked[TOKEN_TEXT_BYTES + 1];
static char document[16 * 1024];
static uint32_t peer_number;
static char peer[32], authorization[16 * 1024];

static inline void new_token(struct tokens *t, const char *name, enum api_role role, const char *tenant,
                             int64_t expires, char *out) {
    assert_null(token_new(t, str_of(name), role, str_of(tenant), STAGE_NOW_NS, expires, out));
    out[TOKEN_TEXT_BYTES] = 0;
}

static inline void make_tokens(void) {
    struct tokens t = {0};
    AUTO_BUF struct buf text;
    char name[32];
    for (int r = ROLE_INGEST; r < ROLES; r++)
        for (int k = 0; k < TENANTS; k++) {
            snprintf(name, sizeof name, "%s-%d", role_names[r], k);
            new_token(&t, name, (enum api_role)r, tenants[k], 0, token[r][k]);
        }
    new_token(&t, "expired", ROLE_ADMIN, "*", STAGE_NOW_NS, expired);
    new_token(&t, "revoked", ROLE_ADMIN, "*", 0, revoked);
    assert_null(token_revoke(&t, STR("revoked")));
    buf_init(&text, sizeof document - 1);
    tokens_write(&t, &text);
    memcpy(document, text.p, text.n + 1);
    tokens_done(&t);
}

static inline int open_with_tokens(void **state) {
    (void)state;
    stage_later_ns = 0;
    make_tokens();
    stage_open_as(&stage, NULL, document, NULL);
    return 0;
}

#define ACCESS_TEST(name) cmocka_unit_test_setup_teardown(name, open_with_tokens, close_stage)

/* Who asks next; each time from another address, so that failures of one do not slow the next. */
static inline void be(const char *scheme, const char *text) {
    stage.credentials = (struct credentials){.host = STR("clew.example:8080")};
    snprintf(peer, sizeof peer, "10.%u.%u.1:4711", peer_number >> 8 & 255, peer_number & 255);
    peer_number++;
    stage.credentials.peer = str_of(peer);
    if (!text) return;
    snprintf(authorization, sizeof authorization, "%s%s", scheme, text);
    stage.credentials.authorization = str_of(authorization);
}

static inline void be_token(enum api_role role, int tenant) { be("Bearer ", token[role][tenant]); }
static inline void choose(const char *tenant) { stage.credentials.org_id = str_of(tenant); }

/* ---- requests ---------------------------------------------------------------------------------------------------- */

static const char trace_of_a[] = "0af7651916cd43dd8448eb211c80319c", trace_of_b[] = "0af7651916cd43dd8448eb211c80bbbb";

/* A path that the route takes on a port, by "GET /path". Jaeger's has /jaeger at its root, Prometheus's /prometheus. */
static inline void put_request(const struct api_route *r, enum api_port port, const char *trace, const char *service,
                               struct buf *out) {
    struct str rest = str_of(r->path + (api_roots[port] ? strlen(api_roots[port]) : 0)), segment;
    buf_clear(out);
    buf_add_text(out, route_method(r));
    buf_add_byte(out, ' ');
    str_cut(rest, '/', &segment, &rest);
    for (bool more = true; more;) {
        more = str_cut(rest, '/', &segment, &rest);
        buf_add_byte(out, '/');
        if (!str_starts_with(segment, STR("{")))
            buf_add_str(out, segment);
        else
            buf_add_text(out, str_starts_with(segment, STR("{trace")) ? trace : service);
    }
}

static inline int send_to(const struct api_route *r, enum api_port port, const char *request, struct str body) {
    bool otlp = r->role == ROLE_INGEST;
    return stage_send(&stage, port, request, otlp ? "application/x-protobuf" : NULL, NULL, body);
}
