/* What a job says about HTTP, as net/fetch.h wants it. */
#include "base/text.h"
#include "ingest/scrape/http_priv.h"
#include "os/file.h"

enum { SECRET_BYTES_MAX = 64 << 10 };

void http_texts_done(struct http_texts *t) {
    struct buf *all[] = {&t->url, &t->user, &t->password, &t->authorization, &t->connect_to, &t->host, &t->timeout};
    for (size_t i = 0; i < LENGTH(all); i++) buf_done(all[i]);
}

/* A secret from where it is said: itself, or a file, read anew each time, without blanks at its end. */
static err put_secret(struct buf *out, const char *text, const char *file) {
    AUTO_BUF struct buf bytes = {0};
    if (!file) {
        buf_add_text(out, text ? text : "");
        return NULL;
    }
    TRY(file_read_all(file, SECRET_BYTES_MAX, &bytes));
    buf_add_str(out, str_trim(buf_str(&bytes)));
    return NULL;
}

/* The certificate must be good for server_name, and the other side learns that name: the URL says it, and where to connect stands apart. */
static void put_server_name(struct http_texts *t, const char *name, struct http_fetch *f) {
    struct str rest = buf_str(&t->url), scheme = STR("https://"), address;
    if (!str_starts_with(rest, scheme)) return;
    rest.p += scheme.n;
    rest.n -= scheme.n;
    ptrdiff_t slash = str_find(rest, '/');
    address = (struct str){rest.p, slash < 0 ? rest.n : (size_t)slash};
    size_t colon = address.n;
    while (colon && address.p[colon - 1] != ':' && address.p[colon - 1] != ']') colon--;
    bool has_port = colon && address.p[colon - 1] == ':';
    struct str host = {address.p, has_port ? colon - 1 : address.n},
               port = has_port ? (struct str){address.p + colon, address.n - colon} : STR("443");
    AUTO_BUF struct buf url;
    buf_init(&url, 128 * KIB);
    buf_add_fmt(&url, "https://%s:" STR_FMT STR_FMT, name, STR_ARG(port), (int)(rest.n - address.n),
                rest.p + address.n);
    buf_add_fmt(&t->connect_to, "%s:" STR_FMT ":" STR_FMT ":" STR_FMT, name, STR_ARG(port), STR_ARG(host),
                STR_ARG(port));
    buf_add_fmt(&t->host, "Host: " STR_FMT, STR_ARG(address));
    buf_clear(&t->url);
    buf_add_str(&t->url, buf_str(&url));
    f->connect_to = t->connect_to.p;
    t->fields[t->field_n++] = t->host.p;
}

err http_texts_fill(struct http_texts *t, const struct scrape_http *h, const char *url, int64_t timeout_ns,
                    const char *const *fields, struct http_fetch *f) {
    struct buf *all[] = {&t->url, &t->user, &t->password, &t->authorization, &t->connect_to, &t->host, &t->timeout};
    *t = (struct http_texts){0};
    for (size_t i = 0; i < LENGTH(all); i++) buf_init(all[i], 128 * KIB);
    for (size_t i = 0; fields[i]; i++) t->fields[t->field_n++] = fields[i];
    buf_add_text(&t->url, url);
    if (h->user) {
        TRY(put_secret(&t->user, h->user, h->user_file));
        TRY(put_secret(&t->password, h->password, h->password_file));
        f->user = t->user.p ? t->user.p : "";
        f->password = t->password.p ? t->password.p : "";
    }
    if (h->auth_type) {
        buf_add_fmt(&t->authorization, STR_FMT " ", STR_ARG(str_trim(str_of(h->auth_type))));
        TRY(put_secret(&t->authorization, h->credentials, h->credentials_file));
        f->bearer = t->authorization.p;
    }
    if (h->server_name) put_server_name(t, h->server_name, f);
    f->url = t->url.p;
    f->fields = t->fields;
    f->timeout_ns = timeout_ns;
    f->follow_redirects = h->follow_redirects;
    f->proxy = h->proxy;
    f->tls = (struct http_client_tls){h->ca_file, h->cert_file, h->key_file, h->insecure};
    return NULL;
}
