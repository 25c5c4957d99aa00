#include "net/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <time.h>

#include "base/log.h"
#include "net/tls_priv.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/stamp.h"

enum { PEM_BYTES_MAX = 1024 * 1024, CLIENT_CHAIN_BYTES_MAX = 32 * 1024, CLIENT_CHAIN_DEPTH_MAX = 4 };
enum { CERTIFICATE, KEY, CLIENT_CA, FILES };
static const int64_t DAY_NS = (int64_t)86400 * 1000000000;
enum { WARN_DAYS = 14 };

static const char suites_of_tls_1_2[] =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

static const char suites_of_tls_1_3[] =
    "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"; /* OpenSSL's order has AES-256 first */

struct tls {
    char *paths[FILES]; /* of the client CA: NULL without */
    bool client_required;
    unsigned char alpn[256]; /* each name after its length */
    unsigned alpn_n;
    BIO_METHOD *method;
    SSL_CTX *context;
    struct path_stamp stamps[FILES]; /* of what was tried last, in force or broken */
    int64_t expires_s, warn_next_ns;
};

err tls_error(enum err_kind kind) {
    unsigned long code = ERR_get_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return err_new(kind, "%s", reason ? reason : "the connection broke");
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

static void wipe(struct buf *b) {
    if (b->p) OPENSSL_cleanse(b->p, b->capacity);
    buf_done(b);
}

/* A passphrase would be asked for on the terminal. */
static int no_passphrase(char *out, int size, int writing, void *context) {
    (void)out, (void)size, (void)writing, (void)context;
    return -1;
}

/* Calls take for each certificate of a file, which then owns it; false: OpenSSL says why. */
static err each_certificate(const char *path, bool (*take_one)(SSL_CTX *c, X509 *x, size_t index), SSL_CTX *context) {
    __attribute__((cleanup(wipe))) struct buf pem = {0};
    TRY(file_read_all(path, PEM_BYTES_MAX, &pem));
    BIO *bio = BIO_new_mem_buf(pem.n ? pem.p : "", (int)pem.n);
    size_t count = 0;
    bool good = bio != NULL;
    for (X509 *x; good && (x = PEM_read_bio_X509(bio, NULL, no_passphrase, NULL)); count++)
        good = take_one(context, x, count);
    unsigned long last = ERR_peek_last_error();
    bool at_end = ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
    BIO_free(bio);
    if (good && at_end && count) {
        ERR_clear_error();
        return NULL;
    }
    if (good && at_end) {
        ERR_clear_error();
        return err_new(ERR_INVALID, "%s holds no certificate in PEM (\"-----BEGIN CERTIFICATE-----\")", path);
    }
    return err_wrap(tls_error(ERR_INVALID), "%s, certificate %zu", path, count + good);
}

static bool take_own(SSL_CTX *c, X509 *x, size_t index) {
    if (index > 0) {
        if (SSL_CTX_add0_chain_cert(c, x)) return true;
        X509_free(x);
        return false;
    }
    bool good = SSL_CTX_use_certificate(c, x) == 1;
    X509_free(x);
    return good;
}

static bool take_authority(SSL_CTX *c, X509 *x, size_t index) {
    (void)index;
    bool good = X509_STORE_add_cert(SSL_CTX_get_cert_store(c), x) == 1 && SSL_CTX_add_client_CA(c, x) == 1;
    X509_free(x);
    return good;
}

static err take_key(SSL_CTX *c, const char *path, const char *certificate_path) {
    __attribute__((cleanup(wipe))) struct buf pem = {0};
    TRY(file_read_all(path, PEM_BYTES_MAX, &pem));
    BIO *bio = BIO_new_mem_buf(pem.n ? pem.p : "", (int)pem.n);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    BIO_free(bio);
    if (!key) {
        ERR_clear_error();
        return err_new(ERR_INVALID, "%s holds no private key in PEM that opens without a passphrase", path);
    }
    bool good = SSL_CTX_use_PrivateKey(c, key) == 1 && SSL_CTX_check_private_key(c) == 1;
    EVP_PKEY_free(key);
    if (good) return NULL;
    return err_wrap(tls_error(ERR_INVALID), "the key %s and the certificate %s", path, certificate_path);
}

/* ---- the rules -------------------------------------------------------------------------------------------------- */

/* The first of ours that the client has, too. */
static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_n, const unsigned char *theirs,
                           unsigned theirs_n, void *context) {
    const struct tls *t = context;
    unsigned char *chosen = NULL;
    (void)ssl;
    int found = SSL_select_next_proto(&chosen, out_n, t->alpn, t->alpn_n, theirs, theirs_n);
    *out = chosen;
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static err set_rules(struct tls *t, SSL_CTX *c) {
    SSL_CTX_set_options(c, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET |
                               SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_read_ahead(c, 1); /* a record's head and body by one call */
    SSL_CTX_set_max_cert_list(c, CLIENT_CHAIN_BYTES_MAX);
    SSL_CTX_set_alpn_select_cb(c, choose_protocol, t);
    if (SSL_CTX_set_num_tickets(c, 0) == 1 && SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION) == 1 &&
        SSL_CTX_set_cipher_list(c, suites_of_tls_1_2) == 1 && SSL_CTX_set_ciphersuites(c, suites_of_tls_1_3) == 1 &&
        SSL_CTX_set1_groups_list(c, "X25519:P-256:P-384") == 1)
        return NULL;
    return err_wrap(tls_error(ERR_INTERNAL), "OpenSSL refuses the rules of TLS");
}

static int64_t not_after_s(const SSL_CTX *c) {
    struct tm when = {0};
    ASN1_TIME_to_tm(X509_get0_notAfter(SSL_CTX_get0_certificate(c)), &when);
    return timegm(&when);
}

static err fill_context(struct tls *t, SSL_CTX *c) {
    TRY(set_rules(t, c));
    TRY(each_certificate(t->paths[CERTIFICATE], take_own, c));
    TRY(take_key(c, t->paths[KEY], t->paths[CERTIFICATE]));
    if (!t->paths[CLIENT_CA]) return NULL;
    TRY(each_certificate(t->paths[CLIENT_CA], take_authority, c));
    SSL_CTX_set_verify(c, SSL_VERIFY_PEER | (t->client_required ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0), NULL);
    SSL_CTX_set_verify_depth(c, CLIENT_CHAIN_DEPTH_MAX);
    return NULL;
}

static void warn_of_readers(const struct tls *t) {
    if (t->stamps[KEY].mode & 07)
        log_warn("others than its owner and group may read or write the TLS key: chmod 0600 it",
                 F_TEXT("file", t->paths[KEY]));
}

static err load(struct tls *t) {
    ERR_clear_error();
    SSL_CTX *c = SSL_CTX_new(TLS_server_method());
    if (!c) return err_wrap(tls_error(ERR_INTERNAL), "OpenSSL gives no context");
    err e = fill_context(t, c);
    if (e) {
        SSL_CTX_free(c);
        return e;
    }
    SSL_CTX_free(t->context);
    t->context = c;
    t->expires_s = not_after_s(c);
    t->warn_next_ns = 0;
    warn_of_readers(t);
    return NULL;
}

/* ---- life ------------------------------------------------------------------------------------------------------- */

static err read_stamps(const struct tls *t, struct path_stamp out[FILES]) {
    memset(out, 0, sizeof(struct path_stamp) * FILES);
    for (int i = 0; i < FILES; i++)
        if (t->paths[i]) TRY(path_stamp_read(t->paths[i], &out[i]));
    return NULL;
}

static void warn_of_expiry(struct tls *t) {
    int64_t now = clock_wall_ns(), left_s = t->expires_s - now / 1000000000;
    if (left_s > WARN_DAYS * 86400 || now < t->warn_next_ns) return;
    t->warn_next_ns = now + DAY_NS;
    if (left_s <= 0)
        log_error("the TLS certificate has expired: clients refuse it", F_TEXT("file", t->paths[CERTIFICATE]));
    else
        log_warn("the TLS certificate expires soon", F_TEXT("file", t->paths[CERTIFICATE]),
                 F_I64("days_left", left_s / 86400));
}

void tls_refresh(struct tls *t) {
    struct path_stamp now[FILES];
    bool same = true;
    err e = read_stamps(t, now);
    for (int i = 0; i < FILES; i++) same = same && path_stamp_equal(&now[i], &t->stamps[i]);
    if (!same) { /* a missing file leaves zeros: it is told once, and tried again when it is there */
        memcpy(t->stamps, now, sizeof now);
        if (!e) e = load(t);
        if (e)
            log_warn("the changed TLS files are not usable: the certificate before stays in use", F_ERR(e));
        else
            log_info("TLS certificate taken", F_TEXT("file", t->paths[CERTIFICATE]),
                     F_I64("days_left", (t->expires_s - clock_wall_ns() / 1000000000) / 86400));
    }
    err_free(e);
    warn_of_expiry(t);
}

static void encode_protocols(struct tls *t, struct str protocols) {
    struct str name;
    assert(protocols.n < sizeof t->alpn); /* ours, from tls.h */
    while (protocols.n) {
        str_cut(protocols, ' ', &name, &protocols);
        t->alpn[t->alpn_n++] = (unsigned char)name.n;
        memcpy(t->alpn + t->alpn_n, name.p, name.n);
        t->alpn_n += (unsigned)name.n;
    }
}

static err begin(struct tls *t, const char *protocols) {
    encode_protocols(t, str_of(protocols));
    TRY(read_stamps(t, t->stamps));
    t->method = tls_bio_method_new();
    if (!t->method) return err_wrap(tls_error(ERR_INTERNAL), "OpenSSL gives no BIO");
    return load(t);
}

static char *copy_path(const char *path) { return path ? str_dup(str_of(path)) : NULL; }

err tls_new(const struct tls_options *o, struct tls **out) {
    struct tls *t = mem_new_of(struct tls);
    t->paths[CERTIFICATE] = copy_path(o->certificate_file);
    t->paths[KEY] = copy_path(o->key_file);
    t->paths[CLIENT_CA] = copy_path(o->client_ca_file);
    t->client_required = o->client_required;
    err e = begin(t, o->protocols);
    if (e) {
        tls_free(t);
        return err_as(e, err_kind(e) == ERR_INTERNAL ? ERR_INTERNAL : ERR_INVALID);
    }
    warn_of_expiry(t);
    *out = t;
    return NULL;
}

void tls_free(struct tls *t) {
    if (!t) return;
    for (int i = 0; i < FILES; i++) mem_free(t->paths[i]);
    SSL_CTX_free(t->context);
    BIO_meth_free(t->method);
    mem_free(t);
}

int64_t tls_expires_s(const struct tls *t) { return t->expires_s; }
SSL_CTX *tls_context(const struct tls *t) { return t->context; }
const BIO_METHOD *tls_bio_method(struct tls *t) { return t->method; }
