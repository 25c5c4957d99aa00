#include <openssl/x509v3.h>

#include "net/tls_priv.h"

enum { TEXT_MAX = 4096 };

/* Printable ASCII without blanks: a name with anything else could pose as two. */
static bool is_plain_name(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f) return false;
    return s.n > 0;
}

static void add_name(struct buf *out, const GENERAL_NAME *name) {
    static const char *const kinds[] = {[GEN_EMAIL] = "email:", [GEN_DNS] = "DNS:", [GEN_URI] = "URI:"};
    int type;
    const ASN1_STRING *text = GENERAL_NAME_get0_value(name, &type);
    if (type < 0 || type >= (int)LENGTH(kinds) || !kinds[type]) return;
    struct str s = {(const char *)ASN1_STRING_get0_data(text), (size_t)ASN1_STRING_length(text)};
    if (!is_plain_name(s) || out->n + s.n + 8 > out->max) return;
    buf_add_text(out, out->n ? " " : "");
    buf_add_text(out, kinds[type]);
    buf_add_str(out, s);
}

static void add_names(struct buf *out, X509 *certificate) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) add_name(out, sk_GENERAL_NAME_value(names, i));
    GENERAL_NAMES_free(names);
}

static void add_subject(struct buf *out, X509 *certificate) {
    BIO *bio = BIO_new(BIO_s_mem());
    const unsigned long as = XN_FLAG_RFC2253; /* escapes control characters */
    char *text = NULL;
    if (bio && X509_NAME_print_ex(bio, X509_get_subject_name(certificate), 0, as) >= 0) {
        long n = BIO_get_mem_data(bio, &text);
        buf_add(out, text, (size_t)MAX(n, 0));
    }
    BIO_free(bio);
}

struct tls_identity *tls_identity_new(X509 *certificate) {
    if (!certificate) return NULL;
    AUTO_BUF struct buf subject, names;
    buf_init(&subject, TEXT_MAX);
    buf_init(&names, TEXT_MAX);
    add_subject(&subject, certificate);
    add_names(&names, certificate);
    struct tls_identity *i = mem_new(sizeof *i + subject.n + names.n);
    atomic_init(&i->references, 1);
    i->subject = (struct str){i->text, subject.n};
    i->names = (struct str){i->text + subject.n, names.n};
    if (subject.n) memcpy(i->text, subject.p, subject.n);
    if (names.n) memcpy(i->text + subject.n, names.p, names.n);
    return i;
}

struct tls_identity *tls_identity_ref(struct tls_identity *i) {
    if (i) atomic_fetch_add_explicit(&i->references, 1, memory_order_relaxed);
    return i;
}

void tls_identity_unref(struct tls_identity *i) {
    if (i && atomic_fetch_sub_explicit(&i->references, 1, memory_order_acq_rel) == 1) mem_free(i);
}
