/* PostgreSQL: five small questions over its protocol, version 3, under the names of postgres_exporter 0.11.
 *
 * By hand and not by libpq: what is needed is a start, three ways to say who one is and the simple query; libpq would bring its own waiting,
 * which cannot be bounded in bytes, and a package more.
 * The session is read-only and each statement ends by itself before we go. A password in plain text is never sent.
 * Source: PostgreSQL 15, chapter 55 "Frontend/Backend Protocol"; RFC 5802 and 7677 (SCRAM-SHA-256). */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/text.h"
#include "ingest/host/watch_priv.h"
#include "ingest/host/wire_priv.h"
#include "os/clock.h"

enum { SHA_BYTES = 32, MD5_BYTES = 16, ITERATIONS_MAX = 100000, COLUMNS_MAX = 32, PROTOCOL_3 = 196608 };

struct talk {
    struct wire *wire;
    const struct watch_target *target;
    struct str password;
    struct expo *out;
};

static uint32_t u32_at(const char *p) {
    const unsigned char *b = (const unsigned char *)p;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static void put_u32(struct buf *b, uint32_t v) {
    const unsigned char bytes[4] = {(unsigned char)(v >> 24), (unsigned char)(v >> 16), (unsigned char)(v >> 8),
                                    (unsigned char)v};
    buf_add(b, bytes, 4);
}

/* ---- messages ----------------------------------------------------------------------------------------------------------- */

static err corrupt(void) { return err_new(ERR_CORRUPT, "that is no PostgreSQL"); }

static err send_wait(struct talk *t, char type, struct str body) {
    AUTO_BUF struct buf b;
    buf_init(&b, 64 * KIB);
    if (type) buf_add_byte(&b, type);
    put_u32(&b, (uint32_t)body.n + 4);
    buf_add_str(&b, body);
    return wire_send_wait(t->wire, buf_str(&b));
}

/* What the server says is wrong: of the fields of its message the one of people. */
static err refused(struct str body) {
    struct str field;
    while (str_cut(body, 0, &field, &body) && field.n)
        if (field.p[0] == 'M')
            return err_new(ERR_UNAVAILABLE, "answers \"%.*s\"", (int)MIN(field.n - 1, (size_t)160), field.p + 1);
    return err_new(ERR_UNAVAILABLE, "refuses");
}

/* The next message but notices and settings. */
static err next_wait(struct talk *t, char *out_type, struct str *out) {
    for (;;) {
        struct str head;
        TRY(wire_take_wait(t->wire, 5, &head));
        uint32_t size = u32_at(head.p + 1);
        *out_type = head.p[0];
        if (size < 4) return corrupt();
        TRY(wire_take_wait(t->wire, size - 4, out));
        if (*out_type == 'E') return refused(*out);
        if (*out_type != 'N' && *out_type != 'S') return NULL;
    }
}

/* ---- who we are -------------------------------------------------------------------------------------------------------------- */

static void md5_hex(struct str a, struct str b, char out[2 * MD5_BYTES]) {
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[EVP_MAX_MD_SIZE] = {0};
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (context && EVP_DigestInit_ex(context, EVP_md5(), NULL) == 1) {
        EVP_DigestUpdate(context, a.p, a.n);
        EVP_DigestUpdate(context, b.p, b.n);
        EVP_DigestFinal_ex(context, sum, NULL);
    }
    EVP_MD_CTX_free(context);
    for (size_t i = 0; i < MD5_BYTES; i++) {
        out[2 * i] = digits[sum[i] >> 4];
        out[2 * i + 1] = digits[sum[i] & 15];
    }
}

static err say_md5_wait(struct talk *t, struct str salt) {
    char inner[2 * MD5_BYTES], answer[3 + 2 * MD5_BYTES + 1] = "md5";
    md5_hex(t->password, str_of(t->target->user), inner);
    md5_hex(str_span(inner, sizeof inner), salt, answer + 3);
    return send_wait(t, 'p', str_span(answer, sizeof answer));
}

static void hmac(const unsigned char key[SHA_BYTES], struct str text, unsigned char out[SHA_BYTES]) {
    unsigned size = SHA_BYTES;
    HMAC(EVP_sha256(), key, SHA_BYTES, (const unsigned char *)text.p, text.n, out, &size);
}

struct scram {
    struct buf first;                   /* ours, without its head */
    struct buf nonce;                   /* ours */
    unsigned char signature[SHA_BYTES]; /* that the server must know */
};

static err scram_begin_wait(struct talk *t, struct scram *s) {
    unsigned char bytes[18];
    random_bytes(bytes, sizeof bytes);
    put_base64(&s->nonce, bytes, sizeof bytes);
    buf_add_fmt(&s->first, "n=,r=" STR_FMT, STR_ARG(buf_str(&s->nonce)));
    AUTO_BUF struct buf body;
    buf_init(&body, KIB);
    buf_add(&body, "SCRAM-SHA-256", 14);
    put_u32(&body, (uint32_t)s->first.n + 3);
    buf_add_text(&body, "n,,");
    buf_add_str(&body, buf_str(&s->first));
    return send_wait(t, 'p', buf_str(&body));
}

static bool scram_field(struct str text, char key, struct str *out) {
    struct str one;
    bool more = true;
    while (more) {
        more = str_cut(text, ',', &one, &text);
        if (one.n > 2 && one.p[0] == key && one.p[1] == '=') {
            *out = str_span(one.p + 2, one.n - 2);
            return true;
        }
    }
    return false;
}

static bool base64_read(struct str text, unsigned char *out, size_t max, size_t *out_n) {
    if (!text.n || text.n % 4 || text.n / 4 * 3 > max || text.n > 1024) return false;
    int n = EVP_DecodeBlock(out, (const unsigned char *)text.p, (int)text.n);
    for (size_t i = text.n; i > 0 && n > 0 && text.p[i - 1] == '='; i--) n--;
    *out_n = n > 0 ? (size_t)n : 0;
    return n > 0;
}

/* The proof of RFC 5802: ClientKey xor HMAC(H(ClientKey), AuthMessage). */
static bool scram_prove(struct talk *t, struct scram *s, struct str salt, uint64_t iterations, struct str message,
                        unsigned char proof[SHA_BYTES]) {
    unsigned char salted[SHA_BYTES], client[SHA_BYTES], stored[SHA_BYTES], server[SHA_BYTES], signature[SHA_BYTES];
    if (PKCS5_PBKDF2_HMAC(t->password.n ? t->password.p : "", (int)t->password.n, (const unsigned char *)salt.p,
                          (int)salt.n, (int)iterations, EVP_sha256(), SHA_BYTES, salted) != 1)
        return false;
    hmac(salted, STR("Client Key"), client);
    if (EVP_Digest(client, SHA_BYTES, stored, NULL, EVP_sha256(), NULL) != 1) return false;
    hmac(stored, message, signature);
    for (size_t i = 0; i < SHA_BYTES; i++) proof[i] = client[i] ^ signature[i];
    hmac(salted, STR("Server Key"), server);
    hmac(server, message, s->signature);
    return true;
}

static err scram_answer_wait(struct talk *t, struct scram *s, struct str server_first) {
    struct str nonce, salt64, rounds;
    unsigned char salt[256], proof[SHA_BYTES];
    size_t salt_n;
    uint64_t iterations;
    if (!scram_field(server_first, 'r', &nonce) || !scram_field(server_first, 's', &salt64) ||
        !scram_field(server_first, 'i', &rounds) || !str_starts_with(nonce, buf_str(&s->nonce)) ||
        !base64_read(salt64, salt, sizeof salt, &salt_n))
        return corrupt();
    TRY(parse_u64(rounds, &iterations));
    if (iterations < 1 || iterations > ITERATIONS_MAX) return err_new(ERR_LIMIT, "wants a password hashed too often");
    AUTO_BUF struct buf last, message;
    buf_init(&last, 8 * KIB);
    buf_init(&message, 32 * KIB);
    buf_add_fmt(&last, "c=biws,r=" STR_FMT, STR_ARG(nonce));
    buf_add_fmt(&message, STR_FMT "," STR_FMT "," STR_FMT, STR_ARG(buf_str(&s->first)), STR_ARG(server_first),
                STR_ARG(buf_str(&last)));
    if (last.full || message.full || !scram_prove(t, s, str_span(salt, salt_n), iterations, buf_str(&message), proof))
        return corrupt();
    buf_add_text(&last, ",p=");
    put_base64(&last, proof, sizeof proof);
    return send_wait(t, 'p', buf_str(&last));
}

/* It must know the password, too. */
static err scram_check(struct scram *s, struct str server_last) {
    struct str text;
    unsigned char theirs[64];
    size_t n;
    if (!scram_field(server_last, 'v', &text) || !base64_read(text, theirs, sizeof theirs, &n) || n != SHA_BYTES ||
        CRYPTO_memcmp(theirs, s->signature, SHA_BYTES) != 0)
        return err_new(ERR_DENIED, "does not know the password");
    return NULL;
}

static bool offers_scram(struct str mechanisms) {
    struct str one;
    while (str_cut(mechanisms, 0, &one, &mechanisms) && one.n)
        if (str_equal(one, STR("SCRAM-SHA-256"))) return true;
    return false;
}

enum { AUTH_OK = 0, AUTH_MD5 = 5, AUTH_SASL = 10, AUTH_SASL_CONTINUE = 11, AUTH_SASL_FINAL = 12 };

static err authenticate_step_wait(struct talk *t, struct scram *s, uint32_t what, struct str body, bool *checked) {
    switch (what) {
    case AUTH_MD5: return body.n == 4 ? say_md5_wait(t, body) : corrupt();
    case AUTH_SASL:
        if (!offers_scram(body)) return err_new(ERR_UNAVAILABLE, "wants a way to authenticate that clew has not");
        *checked = false;
        return s->first.n ? corrupt() : scram_begin_wait(t, s);
    case AUTH_SASL_CONTINUE: return s->first.n && !*checked ? scram_answer_wait(t, s, body) : corrupt();
    case AUTH_SASL_FINAL: *checked = true; return scram_check(s, body);
    default: return err_new(ERR_UNAVAILABLE, "wants a way to authenticate that clew has not (%u)", what);
    }
}

static err authenticate_wait(struct talk *t, struct scram *s) {
    bool checked = true; /* nothing to check */
    for (int steps = 0; steps < 8; steps++) {
        char type;
        struct str body;
        TRY(next_wait(t, &type, &body));
        if (type != 'R' || body.n < 4) return corrupt();
        uint32_t what = u32_at(body.p);
        if (what == AUTH_OK) return checked ? NULL : corrupt();
        TRY(authenticate_step_wait(t, s, what, str_span(body.p + 4, body.n - 4), &checked));
    }
    return corrupt();
}

static err ready_wait(struct talk *t) {
    char type;
    struct str body;
    do TRY(next_wait(t, &type, &body));
    while (type != 'Z');
    return NULL;
}

static err begin_wait(struct talk *t) {
    AUTO_BUF struct buf body;
    struct scram s = {0};
    const char *const settings[] = {"user",
                                    t->target->user,
                                    "database",
                                    t->target->database,
                                    "application_name",
                                    "clew",
                                    "options",
                                    "-c statement_timeout=2000 -c default_transaction_read_only=on"};
    buf_init(&body, 8 * KIB);
    put_u32(&body, PROTOCOL_3);
    for (size_t i = 0; i < LENGTH(settings); i++) buf_add(&body, settings[i], strlen(settings[i]) + 1);
    buf_add_byte(&body, 0);
    TRY(send_wait(t, 0, buf_str(&body)));
    buf_init(&s.first, KIB);
    buf_init(&s.nonce, KIB);
    err e = authenticate_wait(t, &s);
    buf_done(&s.first);
    buf_done(&s.nonce);
    return e ? e : ready_wait(t);
}

/* ---- questions ----------------------------------------------------------------------------------------------------------------- */

/* A question's answer: `labels` columns, then a figure each. */
struct figure {
    const char *name, *type;
};
static const struct question {
    const char *sql;
    const char *labels[3];
    struct figure figures[20];
} questions[] = {
    {"SELECT split_part(version(), ',', 1), current_setting('server_version'), 1",
     {"version", "short_version", NULL},
     {{"pg_static", "untyped"}}},
    {"SELECT (SELECT setting FROM pg_settings WHERE name='max_connections'), (SELECT setting FROM pg_settings WHERE "
     "name='superuser_reserved_connections'), (SELECT setting::bigint*8192 FROM pg_settings WHERE "
     "name='shared_buffers')",
     {NULL},
     {{"pg_settings_max_connections", "gauge"},
      {"pg_settings_superuser_reserved_connections", "gauge"},
      {"pg_settings_shared_buffers_bytes", "gauge"}}},
    {"SELECT datid, datname, numbackends, xact_commit, xact_rollback, blks_read, blks_hit, tup_returned, tup_fetched, "
     "tup_inserted, tup_updated, tup_deleted, conflicts, temp_files, temp_bytes, deadlocks, blk_read_time, "
     "blk_write_time, extract(epoch from stats_reset) FROM pg_stat_database WHERE datname IS NOT NULL ORDER BY datid "
     "LIMIT 256",
     {"datid", "datname", NULL},
     {{"pg_stat_database_numbackends", "gauge"},
      {"pg_stat_database_xact_commit", "counter"},
      {"pg_stat_database_xact_rollback", "counter"},
      {"pg_stat_database_blks_read", "counter"},
      {"pg_stat_database_blks_hit", "counter"},
      {"pg_stat_database_tup_returned", "counter"},
      {"pg_stat_database_tup_fetched", "counter"},
      {"pg_stat_database_tup_inserted", "counter"},
      {"pg_stat_database_tup_updated", "counter"},
      {"pg_stat_database_tup_deleted", "counter"},
      {"pg_stat_database_conflicts", "counter"},
      {"pg_stat_database_temp_files", "counter"},
      {"pg_stat_database_temp_bytes", "counter"},
      {"pg_stat_database_deadlocks", "counter"},
      {"pg_stat_database_blk_read_time", "counter"},
      {"pg_stat_database_blk_write_time", "counter"},
      {"pg_stat_database_stats_reset", "counter"}}},
    {"SELECT datname, state, count(*), coalesce(max(extract(epoch from now()-xact_start)), 0) FROM pg_stat_activity "
     "WHERE datname IS NOT NULL AND state IS NOT NULL GROUP BY datname, state ORDER BY 1, 2 LIMIT 256",
     {"datname", "state", NULL},
     {{"pg_stat_activity_count", "gauge"}, {"pg_stat_activity_max_tx_duration", "gauge"}}},
    {"SELECT datname, pg_database_size(datname) FROM pg_database WHERE datallowconn AND "
     "has_database_privilege(datname, 'CONNECT') ORDER BY oid LIMIT 256",
     {"datname", NULL},
     {{"pg_database_size_bytes", "gauge"}}},
};

struct table {
    struct buf text; /* of all cells */
    struct cell {
        size_t at, n;
        bool is_null;
    } cells[WATCH_ROWS_MAX][COLUMNS_MAX];
    size_t rows, columns;
};

static err keep_row(struct table *table, struct str body, size_t columns) {
    if (body.n < 2 || table->rows == WATCH_ROWS_MAX) return corrupt();
    size_t count = (size_t)((unsigned char)body.p[0] << 8 | (unsigned char)body.p[1]), at = 2;
    if (count != columns) return corrupt();
    for (size_t i = 0; i < count; i++, at += 4) {
        if (body.n - at < 4) return corrupt();
        uint32_t n = u32_at(body.p + at);
        bool is_null = n == UINT32_MAX;
        if (!is_null && body.n - at - 4 < n) return corrupt();
        table->cells[table->rows][i] = (struct cell){table->text.n, is_null ? 0 : n, is_null};
        if (is_null) continue;
        buf_add(&table->text, body.p + at + 4, n);
        at += n;
    }
    table->rows++;
    return table->text.full ? corrupt() : NULL;
}

static err ask_wait(struct talk *t, const char *sql, size_t columns, struct table *table) {
    char type;
    struct str body;
    TRY(send_wait(t, 'Q', str_span(sql, strlen(sql) + 1)));
    for (;;) {
        TRY(next_wait(t, &type, &body));
        if (type == 'Z') return NULL;
        if (type == 'D') TRY(keep_row(table, body, columns));
    }
}

static struct str cell_text(const struct table *table, size_t row, size_t column) {
    const struct cell *c = &table->cells[row][column];
    return c->n ? str_span(table->text.p + c->at, c->n) : STR("");
}

static void put_answer(struct expo *out, const struct question *q, const struct table *table, size_t labels) {
    double value;
    for (size_t f = 0; f < LENGTH(q->figures) && q->figures[f].name; f++) {
        expo_family(out, q->figures[f].type, "", "%s", q->figures[f].name);
        for (size_t row = 0; row < table->rows; row++) {
            if (!word_number(cell_text(table, row, labels + f), &value)) continue;
            for (size_t l = 0; l < labels; l++) expo_label(out, q->labels[l], cell_text(table, row, l));
            expo_value(out, value);
        }
    }
}

static err answer_wait(struct talk *t, const struct question *q) {
    size_t labels = 0, figures = 0;
    while (labels < LENGTH(q->labels) && q->labels[labels]) labels++;
    while (figures < LENGTH(q->figures) && q->figures[figures].name) figures++;
    struct table *table = mem_new_of(struct table);
    buf_init(&table->text, WATCH_ANSWER_BYTES_MAX);
    err e = ask_wait(t, q->sql, labels + figures, table);
    if (!e) put_answer(t->out, q, table, labels);
    buf_done(&table->text);
    mem_free(table);
    return e;
}

err postgres_talk_wait(struct wire *w, const struct watch_target *target, struct str password, struct expo *out) {
    struct talk t = {.wire = w, .target = target, .password = password, .out = out};
    TRY(begin_wait(&t));
    for (size_t i = 0; i < LENGTH(questions); i++) TRY(answer_wait(&t, &questions[i]));
    return send_wait(&t, 'X', STR(""));
}

err postgres_collect_wait(const struct watch_target *target, struct expo *out) {
    struct wire w;
    AUTO_BUF struct buf password;
    buf_init(&password, 4096);
    TRY(watch_password(str_of(target->options), "CLEW_POSTGRES_PASSWORD", &password));
    err e = wire_open_wait(&w, target->address, WATCH_NS, WATCH_ANSWER_BYTES_MAX);
    if (!e) e = postgres_talk_wait(&w, target, password.p ? buf_str(&password) : STR(""), out);
    wire_close(&w);
    return e;
}
