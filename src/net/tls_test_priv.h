/* For tests and benchmarks: certificates made on the spot. Nothing here is kept. */
#pragma once

#include <assert.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

struct made_pair {
    X509 *certificate;
    EVP_PKEY *key;
};

static inline void made_add_extension(X509 *x, X509 *issuer, int nid, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, x, NULL, NULL, 0);
    X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    if (!e || !X509_add_ext(x, e, -1)) abort();
    X509_EXTENSION_free(e);
}

/* names: as of openssl.cnf, "DNS:localhost,IP:127.0.0.1"; NULL: an authority. issuer NULL: signs itself. Valid from yesterday. */
static inline struct made_pair made_pair_new(const char *common_name, const char *names, long valid_s,
                                             const struct made_pair *issuer) {
    static long serial = 1000;
    struct made_pair p = {X509_new(), EVP_EC_gen("P-256")};
    struct made_pair by = issuer ? *issuer : p;
    X509_set_version(p.certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(p.certificate), serial++);
    X509_gmtime_adj(X509_getm_notBefore(p.certificate), -86400);
    X509_gmtime_adj(X509_getm_notAfter(p.certificate), valid_s);
    X509_NAME *name = X509_get_subject_name(p.certificate);
    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)"clew tests", -1, -1, 0);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)common_name, -1, -1, 0);
    X509_set_issuer_name(p.certificate, X509_get_subject_name(by.certificate));
    X509_set_pubkey(p.certificate, p.key);
    made_add_extension(p.certificate, by.certificate, NID_basic_constraints, names ? "CA:FALSE" : "critical,CA:TRUE");
    if (names) made_add_extension(p.certificate, by.certificate, NID_subject_alt_name, names);
    if (!X509_sign(p.certificate, by.key, EVP_sha256())) abort();
    return p;
}

static inline void made_pair_free(struct made_pair *p) {
    X509_free(p->certificate);
    EVP_PKEY_free(p->key);
    *p = (struct made_pair){0};
}

static inline void made_write_certificate(const char *path, const struct made_pair *p) {
    FILE *f = fopen(path, "wb");
    if (!f || !PEM_write_X509(f, p->certificate)) abort();
    fclose(f);
}

static inline void made_write_key(const char *path, const struct made_pair *p, const char *passphrase) {
    FILE *f = fopen(path, "wb");
    int n = passphrase ? (int)strlen(passphrase) : 0;
    if (!f || !PEM_write_PrivateKey(f, p->key, passphrase ? EVP_aes_128_cbc() : NULL, (const unsigned char *)passphrase,
                                    n, NULL, NULL))
        abort();
    fclose(f);
}
