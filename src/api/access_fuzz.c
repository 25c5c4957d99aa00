/* What says who asks: the first byte chooses tokens.json, the limits, an Authorization field, a Cookie field, a token's text. */
#include <stdlib.h>

#include "api/access_priv.h"
#include "api/limits_priv.h"
#include "api/session_priv.h"

/* What is taken is written and read back the same. */
static void try_tokens(struct str text) {
    struct tokens t, again;
    AUTO_BUF struct buf out;
    buf_init(&out, 4 * MIB);
    err e = tokens_read(text, &t);
    err_free(e);
    if (e) return;
    tokens_write(&t, &out);
    if (tokens_read(buf_str(&out), &again)) abort();
    if (again.v.n != t.v.n || (t.v.n && memcmp(again.v.v, t.v.v, t.v.n * sizeof *t.v.v) != 0)) abort();
    tokens_done(&t);
    tokens_done(&again);
}

static void try_limits(struct str text) {
    struct limits *l = NULL;
    err_free(limits_new(text, &l));
    limits_free(l);
}

static void try_token(struct str text) {
    uint64_t id;
    unsigned char hash[TOKEN_HASH_BYTES];
    if (token_parse(text, &id, hash) && text.n != TOKEN_TEXT_BYTES) abort();
}

static void try_authorization(struct str text) {
    char scratch[AUTHORIZATION_BYTES_MAX];
    struct str token;
    if (!authorization_read(text, scratch, &token)) return;
    if (token.n > text.n) abort();
    try_token(token);
}

static void try_cookie(struct str text) {
    struct str session = session_of_cookie(text);
    if (session.n > text.n) abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const tries[])(struct str text) = {try_tokens, try_limits, try_authorization, try_cookie, try_token};
    if (size < 1) return 0;
    char *text = mem_new(size); /* of its very size, so that reading beyond it is seen */
    memcpy(text, data + 1, size - 1);
    tries[data[0] % LENGTH(tries)]((struct str){text, size - 1});
    mem_free(text);
    return 0;
}
