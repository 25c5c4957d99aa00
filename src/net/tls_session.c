#include <openssl/err.h>

#include "net/tls_priv.h"

enum { UNSENT_MAX = 64 * 1024, RECORD_MAX = 16 * 1024 };

struct tls_session {
    SSL *ssl;
    int fd;
    bool open, broken, finished;
    bool drained; /* the socket was read empty, or must not be read, this turn */
    bool ended;
    unsigned char first; /* byte that the client sent; 0: none yet */
    size_t turn_left;
    size_t sent; /* of unsent */
    struct buf unsent;
};

/* ---- OpenSSL's view of the socket ------------------------------------------------------------------------------- */

static int socket_bio_read(BIO *bio, char *bytes, size_t n, size_t *out_n) {
    struct tls_session *s = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    *out_n = 0;
    size_t most = MIN(n, s->turn_left);
    if (s->drained || most == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    err e = socket_read(s->fd, bytes, most, out_n, &s->ended);
    if (e) {
        err_free(e);
        return 0;
    }
    s->drained = *out_n < most;
    s->turn_left -= *out_n;
    if (*out_n && !s->first) s->first = (unsigned char)bytes[0];
    if (*out_n == 0 && !s->ended) BIO_set_retry_read(bio);
    return *out_n > 0;
}

static int socket_bio_write(BIO *bio, const char *bytes, size_t n, size_t *out_n) {
    struct tls_session *s = BIO_get_data(bio);
    size_t taken = 0;
    BIO_clear_retry_flags(bio);
    if (!tls_has_unsent(s)) {
        err e = socket_write(s->fd, &(struct socket_piece){bytes, n}, 1, &taken);
        if (e) {
            err_free(e);
            return 0;
        }
    }
    if (taken < n) buf_add(&s->unsent, bytes + taken, n - taken);
    *out_n = n;
    return !s->unsent.full;
}

static long socket_bio_control(BIO *bio, int command, long number, void *pointer) {
    struct tls_session *s = BIO_get_data(bio);
    (void)number, (void)pointer;
    if (command == BIO_CTRL_EOF) return s->ended;
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *tls_bio_method_new(void) {
    BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "clew socket");
    if (m && BIO_meth_set_read_ex(m, socket_bio_read) && BIO_meth_set_write_ex(m, socket_bio_write) &&
        BIO_meth_set_ctrl(m, socket_bio_control))
        return m;
    BIO_meth_free(m);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

struct tls_session *tls_session_new(struct tls *t, int fd) {
    SSL *ssl = SSL_new(tls_context(t));
    BIO *bio = BIO_new(tls_bio_method(t));
    if (!ssl || !bio) {
        SSL_free(ssl);
        BIO_free(bio);
        ERR_clear_error();
        return NULL;
    }
    struct tls_session *s = mem_new_of(struct tls_session);
    *s = (struct tls_session){.ssl = ssl, .fd = fd};
    buf_init(&s->unsent, UNSENT_MAX);
    BIO_set_data(bio, s);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl, bio, bio);
    SSL_set_accept_state(ssl);
    return s;
}

void tls_finish(struct tls_session *s) {
    if (!s->open || s->broken || s->finished) return;
    s->finished = true;
    ERR_clear_error();
    SSL_shutdown(s->ssl);
    ERR_clear_error();
}

void tls_session_free(struct tls_session *s) {
    if (!s) return;
    tls_finish(s);
    SSL_free(s->ssl);
    buf_done(&s->unsent);
    mem_free(s);
}

static err broken(struct tls_session *s, const char *doing) {
    s->broken = true;
    return err_wrap(tls_error(ERR_IO), "%s", doing);
}

/* ---- turns ------------------------------------------------------------------------------------------------------ */

void tls_turn(struct tls_session *s, bool may_read, size_t bytes_max) {
    s->drained = !may_read;
    s->turn_left = bytes_max;
}

bool tls_is_open(const struct tls_session *s) { return s->open; }

/* A method of HTTP begins with a capital letter; a record of TLS never does. */
static bool speaks_plain_text(const struct tls_session *s) { return s->first >= 'A' && s->first <= 'Z'; }

err tls_handshake(struct tls_session *s, enum tls_state *out) {
    TRY(tls_flush(s));
    ERR_clear_error();
    int done = SSL_do_handshake(s->ssl);
    *out = TLS_HANDSHAKE;
    if (done == 1) {
        s->open = true;
        *out = TLS_OPEN;
        return NULL;
    }
    if (SSL_get_error(s->ssl, done) == SSL_ERROR_WANT_READ) return NULL;
    if (!speaks_plain_text(s)) return broken(s, "TLS handshake");
    ERR_clear_error();
    s->broken = true;
    *out = TLS_PLAIN_TEXT;
    return NULL;
}

err tls_read(struct tls_session *s, void *bytes, size_t n, size_t *out_n, bool *out_end) {
    *out_n = 0;
    ERR_clear_error();
    if (SSL_read_ex(s->ssl, bytes, n, out_n)) return NULL;
    switch (SSL_get_error(s->ssl, 0)) {
    case SSL_ERROR_WANT_READ: return NULL;
    case SSL_ERROR_ZERO_RETURN: *out_end = true; return NULL;
    default: return broken(s, "reading by TLS");
    }
}

/* The next record's bytes from `at` of the pieces on: where they lie, if they are enough in one piece; else together in `room`. */
static struct str next_record(const struct socket_piece *pieces, size_t count, size_t at, char room[RECORD_MAX]) {
    size_t i = 0, n = 0;
    while (i < count && at >= pieces[i].n) at -= pieces[i++].n;
    if (i == count) return (struct str){0};
    if (i + 1 == count || pieces[i].n - at >= RECORD_MAX)
        return (struct str){(const char *)pieces[i].p + at, MIN(pieces[i].n - at, (size_t)RECORD_MAX)};
    for (; i < count && n < RECORD_MAX; i++, at = 0) {
        size_t piece = MIN(pieces[i].n - at, RECORD_MAX - n);
        memcpy(room + n, (const char *)pieces[i].p + at, piece);
        n += piece;
    }
    return (struct str){room, n};
}

err tls_write(struct tls_session *s, const struct socket_piece *pieces, size_t count, size_t *out_n) {
    char room[RECORD_MAX];
    *out_n = 0;
    while (!tls_has_unsent(s)) {
        struct str record = next_record(pieces, count, *out_n, room);
        size_t n;
        if (record.n == 0) return NULL;
        ERR_clear_error();
        if (!SSL_write_ex(s->ssl, record.p, record.n, &n)) return broken(s, "writing by TLS");
        *out_n += record.n;
    }
    return NULL;
}

err tls_flush(struct tls_session *s) {
    if (!tls_has_unsent(s)) return NULL;
    size_t n;
    TRY(socket_write(s->fd, &(struct socket_piece){s->unsent.p + s->sent, s->unsent.n - s->sent}, 1, &n));
    s->sent += n;
    if (tls_has_unsent(s)) return NULL;
    s->sent = 0;
    buf_done(&s->unsent);
    buf_init(&s->unsent, UNSENT_MAX);
    return NULL;
}

bool tls_has_unsent(const struct tls_session *s) { return s->unsent.n > s->sent; }
bool tls_has_input(const struct tls_session *s) { return !s->drained || SSL_has_pending(s->ssl); }

/* ---- who is there ----------------------------------------------------------------------------------------------- */

struct str tls_session_protocol(const struct tls_session *s) {
    const unsigned char *name;
    unsigned n;
    SSL_get0_alpn_selected(s->ssl, &name, &n);
    return (struct str){(const char *)name, n};
}

struct tls_identity *tls_session_identity(const struct tls_session *s) {
    X509 *certificate = SSL_get0_peer_certificate(s->ssl);
    return certificate && SSL_get_verify_result(s->ssl) == X509_V_OK ? tls_identity_new(certificate) : NULL;
}
