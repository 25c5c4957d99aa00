#include <openssl/x509v3.h>
#include <time.h>

#include "net/tls_priv.h"

enum { TEXT_MAX = 4096 };

/* Printable ASCII without blanks: a name with anything else could pose as two. */
static bool is_plain_name(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] >= 0x7f) return false;
    return s.n > 0;
}

static void add_address(struct buf *out, const ASN1_OCTET_STRING *address) {
    const unsigned char *p = ASN1_STRING_get0_data(address);
    int n = ASN1_STRING_length(address);
    const char *before = out->n ? " IP:" : "IP:";
    if (n == 4) buf_add_fmt(out, "%s%u.%u.%u.%u", before, p[0], p[1], p[2], p[3]);
    for (int i = 0; n == 16 && i < n; i += 2) buf_add_fmt(out, "%s%x", i ? ":" : before, p[i] << 8 | p[i + 1]);
}

static void add_name(struct buf *out, const GENERAL_NAME *name) {
    static const char *const kinds[] = {[GEN_EMAIL] = "email:", [GEN_DNS] = "DNS:", [GEN_URI] = "URI:"};
    int type;
    const ASN1_STRING *text = GENERAL_NAME_get0_value(name, &type);
    if (type == GEN_IPADD) add_address(out, text);
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

static void add_subject(struct buf *out, const X509_NAME *name) {
    BIO *bio = BIO_new(BIO_s_mem());
    const unsigned long as = XN_FLAG_RFC2253; /* escapes control characters */
    char *text = NULL;
    if (bio && X509_NAME_print_ex(bio, name, 0, as) >= 0) {
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
    add_subject(&subject, X509_get_subject_name(certificate));
    add_names(&names, certificate);
    struct tls_identity *i = mem_new(sizeof *i + subject.n + names.n);
    atomic_init(&i->references, 1);
    i->subject = (struct str){i->text, subject.n};
    i->names = (struct str){i->text + subject.n, names.n};
    if (subject.n) memcpy(i->text, subject.p, subject.n);
    if (names.n) memcpy(i->text + subject.n, names.p, names.n);
    return i;
}

static void add_day(struct buf *out, const ASN1_TIME *time) {
    struct tm when = {0};
    ASN1_TIME_to_tm(time, &when);
    buf_add_fmt(out, "%04d-%02d-%02d", when.tm_year + 1900, when.tm_mon + 1, when.tm_mday);
}

void tls_describe(struct buf *out, X509 *certificate) {
    struct tls_identity *who = tls_identity_new(certificate);
    buf_add_text(out, "subject ");
    buf_add_str(out, who->subject);
    if (who->names.n) buf_add_text(out, "; names ");
    buf_add_str(out, who->names);
    buf_add_text(out, "; issuer ");
    add_subject(out, X509_get_issuer_name(certificate));
    buf_add_text(out, "; valid ");
    add_day(out, X509_get0_notBefore(certificate));
    buf_add_text(out, " to ");
    add_day(out, X509_get0_notAfter(certificate));
    tls_identity_unref(who);
}

struct tls_identity *tls_identity_ref(struct tls_identity *i) {
    if (i) atomic_fetch_add_explicit(&i->references, 1, memory_order_relaxed);
    return i;
}

void tls_identity_unref(struct tls_identity *i) {
    if (i && atomic_fetch_sub_explicit(&i->references, 1, memory_order_acq_rel) == 1) mem_free(i);
}
