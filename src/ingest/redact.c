#include "ingest/redact_priv.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>

#include "base/text.h"
#include "os/clock.h"
#include "os/file.h"
#include "signal/metrics/points_rewrite.h"
#include "store/match/regex.h"

enum { TEXT_BYTES_MAX = 16 << 20, HASH_BYTES = 16 };
#define PATTERNS_NS_MAX ((int64_t)2 * 1000000000)

static const char mask_text[] = "[redacted]";

struct redactor {
    const struct redact_rules *rules;
    struct regex *patterns[REDACT_RULES_MAX]; /* NULL: the rule has none */
    EVP_MAC_CTX *mac;                         /* HMAC-SHA-256, keyed with the secret */
    struct rewriter rewriter;
    struct buf text, next; /* the value so far, and what a rule makes of it */
    struct redact_counts *counts;
    int64_t deadline_ns; /* of all patterns of the batch at hand */
    uint64_t texts;      /* that patterns were asked about */
    bool late;
    void (*watch)(void *context, const struct redact_change *change);
    void *watch_context;
};

/* ---- the secret --------------------------------------------------------------------------------------------------- */

static err secret_make(const char *dir, const char *path, unsigned char out[REDACT_SECRET_BYTES]) {
    AUTO_CLOSE struct file *f = NULL;
    random_bytes(out, REDACT_SECRET_BYTES);
    TRY(file_open(path, FILE_CREATE, &f));
    TRY(file_write(f, out, REDACT_SECRET_BYTES, 0));
    TRY(file_sync(f));
    return path_sync_dir(dir);
}

err redact_secret_open(const char *dir, unsigned char out[REDACT_SECRET_BYTES]) {
    AUTO_CLOSE struct file *f = NULL;
    AUTO_BUF struct buf path;
    size_t n;
    buf_init(&path, 4096);
    buf_add_fmt(&path, "%s/redact.key", dir);
    if (path.full) return err_new(ERR_INVALID, "the data directory's path is too long");
    err e = file_open(path.p, FILE_READ, &f);
    if (e && err_kind(e) == ERR_NOT_FOUND) {
        err_free(e);
        return err_wrap(secret_make(dir, path.p, out), "making %s", path.p);
    }
    TRY_WRAP(e, "reading %s", path.p);
    TRY(file_read(f, out, REDACT_SECRET_BYTES, 0, &n));
    if (n == REDACT_SECRET_BYTES) return NULL;
    return err_new(ERR_CORRUPT, "%s has %zu bytes, not 32: restore it, or remove it and let hashes begin anew", path.p,
                   n);
}

/* ---- which rules -------------------------------------------------------------------------------------------------- */

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c; }

/* * any run, ? one byte; in time glob × text. */
static bool glob_matches(const char *glob, struct str text) {
    const char *star = NULL;
    size_t i = 0, star_i = 0;
    while (i < text.n) {
        if (*glob == '*') {
            star = ++glob;
            star_i = i;
        } else if (*glob && (*glob == '?' || lower(*glob) == lower(text.p[i]))) {
            glob++;
            i++;
        } else if (star) {
            glob = star;
            i = ++star_i;
        } else {
            return false;
        }
    }
    while (*glob == '*') glob++;
    return *glob == 0;
}

static bool has_key(enum rewrite_place place, struct str key) { return place < PLACE_BODY || key.n > 0; }

static bool concerns(const struct redact_rule *rule, enum rewrite_place place, struct str key) {
    if (!(rule->places >> place & 1)) return false;
    return !rule->key || (has_key(place, key) && glob_matches(rule->key, key));
}

/* Of a nested value any rule of the place may concern an entry; of a body also one with a key. */
static bool cares(void *context, enum rewrite_place place, struct str key, enum value_type type) {
    const struct redactor *r = context;
    for (size_t i = 0; i < r->rules->n; i++) {
        const struct redact_rule *rule = &r->rules->v[i];
        if (type == VALUE_ANY ? rule->places >> place & 1
                              : concerns(rule, place, key) && (!rule->pattern || type == VALUE_STRING))
            return true;
    }
    return false;
}

/* ---- what they do ------------------------------------------------------------------------------------------------- */

static void put_hash(const struct redactor *r, struct str text, struct buf *out) {
    unsigned char digest[32];
    size_t n = 0;
    bool ok = EVP_MAC_init(r->mac, NULL, 0, NULL) && /* begins anew, under the same key */
              EVP_MAC_update(r->mac, (const unsigned char *)(text.n ? text.p : ""), text.n) &&
              EVP_MAC_final(r->mac, digest, &n, sizeof digest);
    if (!ok || n != sizeof digest) {
        buf_add_text(out, mask_text); /* no memory: never the text itself */
        return;
    }
    buf_add_text(out, "hash:");
    put_hex(out, digest, HASH_BYTES);
}

static void put_replacement(const struct redactor *r, enum redact_action action, struct str text, struct buf *out) {
    if (action == REDACT_HASH)
        put_hash(r, text, out);
    else
        buf_add_text(out, mask_text);
}

/* The text of a value, as hashes and reports take it. */
static void put_value(const struct rewrite_value *v, struct buf *out) {
    double number;
    memcpy(&number, &v->number, sizeof number);
    if (v->type == VALUE_INT)
        put_i64(out, (int64_t)v->number);
    else if (v->type == VALUE_DOUBLE)
        put_f64(out, number);
    else if (v->type == VALUE_BOOL)
        buf_add_text(out, v->number ? "true" : "false");
    else
        buf_add_str(out, v->text);
}

enum applied { APPLIED_NOTHING, APPLIED_CHANGE, APPLIED_DROP, APPLIED_GAVE_UP };

/* Every match in r->text, replaced, into r->next. */
static enum applied apply_pattern(struct redactor *r, size_t i) {
    struct str text = buf_str(&r->text), part;
    size_t from = 0, end, copied = 0;
    enum regex_search found = REGEX_NOT_FOUND;
    buf_clear(&r->next);
    while (from <= text.n && (found = regex_search(r->patterns[i], text, from, &part, &end)) == REGEX_FOUND) {
        if (r->rules->v[i].action == REDACT_DROP) return APPLIED_DROP;
        size_t start = (size_t)(part.p - text.p);
        from = end > from ? end : from + 1;
        if (!part.n || start < copied) continue;
        buf_add_str(&r->next, (struct str){text.p + copied, start - copied});
        put_replacement(r, r->rules->v[i].action, part, &r->next);
        copied = start + part.n;
    }
    if (found == REGEX_GAVE_UP) return APPLIED_GAVE_UP;
    if (copied == 0) return APPLIED_NOTHING;
    buf_add_str(&r->next, (struct str){text.p + copied, text.n - copied});
    return r->next.full ? APPLIED_GAVE_UP : APPLIED_CHANGE;
}

static enum applied apply_whole(struct redactor *r, size_t i) {
    buf_clear(&r->next);
    if (r->rules->v[i].action == REDACT_DROP) return APPLIED_DROP;
    put_replacement(r, r->rules->v[i].action, buf_str(&r->text), &r->next);
    return APPLIED_CHANGE;
}

/* Looked at before every eighth text; a text alone is bounded by its steps. */
static bool is_late(struct redactor *r) {
    enum { CLOCK_EVERY = 8 };
    if (r->texts++ % CLOCK_EVERY == 0) r->late = clock_monotonic_ns() > r->deadline_ns;
    return r->late;
}

static enum applied apply(struct redactor *r, size_t i, const struct rewrite_value *v) {
    if (!r->patterns[i]) return apply_whole(r, i);
    if (v->type != VALUE_STRING) return APPLIED_NOTHING;
    if (is_late(r)) return APPLIED_GAVE_UP;
    return apply_pattern(r, i);
}

/* Tells who watches; r->next is free then. */
static void tell(struct redactor *r, const struct rewrite_value *v, uint64_t rules, bool dropped, bool whole) {
    if (!r->watch || !v->final) return;
    buf_clear(&r->next);
    put_value(v, &r->next);
    r->watch(r->watch_context, &(struct redact_change){.rules = rules,
                                                       .place = v->place,
                                                       .key = v->key,
                                                       .before = buf_str(&r->next),
                                                       .after = buf_str(&r->text),
                                                       .dropped = dropped,
                                                       .whole = whole});
}

/* r->next becomes the value, and the other way round. */
static void take_next(struct redactor *r) {
    struct buf text = r->text;
    r->text = r->next;
    r->next = text;
}

static enum rewrite_verdict judge(void *context, const struct rewrite_value *v, struct buf *out) {
    struct redactor *r = context;
    uint64_t rules = 0;
    enum applied applied = APPLIED_NOTHING;
    bool whole = false;
    buf_clear(&r->text);
    put_value(v, &r->text);
    for (size_t i = 0; i < r->rules->n && !whole; i++) {
        applied = concerns(&r->rules->v[i], v->place, v->key) ? apply(r, i, v) : APPLIED_NOTHING;
        if (applied == APPLIED_NOTHING) continue;
        if (applied == APPLIED_GAVE_UP) {
            buf_clear(&r->next);
            buf_add_text(&r->next, mask_text);
            r->counts->gave_up += v->final;
        }
        r->counts->changed[i] += v->final;
        rules |= (uint64_t)1 << i;
        whole = !r->patterns[i] || applied != APPLIED_CHANGE;
        take_next(r);
    }
    if (!rules) return REWRITE_KEEP;
    bool dropped = whole && applied == APPLIED_DROP;
    buf_add_str(out, buf_str(&r->text));
    tell(r, v, rules, dropped, whole);
    return dropped ? REWRITE_DROP : REWRITE_TEXT;
}

/* ---- life --------------------------------------------------------------------------------------------------------- */

static EVP_MAC_CTX *mac_new(const unsigned char secret[REDACT_SECRET_BYTES]) {
    OSSL_PARAM params[] = {OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 6), OSSL_PARAM_END};
    EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *mac = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
    EVP_MAC_free(hmac); /* the context holds it */
    if (mac && EVP_MAC_init(mac, secret, REDACT_SECRET_BYTES, params)) return mac;
    EVP_MAC_CTX_free(mac);
    return NULL;
}

err redactor_new(const struct redact_rules *rules, const unsigned char secret[REDACT_SECRET_BYTES],
                 struct redactor **out) {
    struct redactor *r = mem_new_of(struct redactor);
    r->rules = rules;
    r->mac = mac_new(secret);
    buf_init(&r->text, TEXT_BYTES_MAX);
    buf_init(&r->next, TEXT_BYTES_MAX);
    rewriter_init(&r->rewriter);
    r->rewriter.cares = cares;
    r->rewriter.judge = judge;
    r->rewriter.context = r;
    if (!r->mac) {
        redactor_free(r);
        return err_new(ERR_INTERNAL, "libcrypto has no HMAC-SHA-256");
    }
    for (size_t i = 0; i < rules->n; i++) {
        err e = rules->v[i].pattern ? regex_compile(str_of(rules->v[i].pattern), &r->patterns[i]) : NULL;
        if (!e) continue;
        redactor_free(r);
        return e;
    }
    *out = r;
    return NULL;
}

void redactor_free(struct redactor *r) {
    if (!r) return;
    for (size_t i = 0; i < REDACT_RULES_MAX; i++) regex_free(r->patterns[i]);
    rewriter_done(&r->rewriter);
    buf_done(&r->text);
    buf_done(&r->next);
    EVP_MAC_CTX_free(r->mac); /* wipes the key */
    mem_free(r);
}

void redactor_watch(struct redactor *r, void (*watch)(void *context, const struct redact_change *change),
                    void *context) {
    r->watch = watch;
    r->watch_context = context;
}

static void begin(struct redactor *r, struct redact_counts *counts) {
    r->counts = counts;
    r->deadline_ns = clock_monotonic_ns() + PATTERNS_NS_MAX;
    r->late = false;
    for (size_t i = 0; i < r->rules->n; i++)
        if (r->patterns[i]) regex_set_deadline(r->patterns[i], r->deadline_ns);
}

struct batch_blob *redactor_apply(struct redactor *r, const struct batch *from, struct redact_counts *counts) {
    begin(r, counts);
    return batch_rewrite(&r->rewriter, from);
}

struct batch_blob *redactor_apply_points(struct redactor *r, const struct points *from, struct redact_counts *counts) {
    begin(r, counts);
    return points_rewrite(&r->rewriter, from);
}
