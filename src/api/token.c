#include "api/token.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include "api/document_priv.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/file.h"
#include "store/store.h"

enum { FILE_BYTES_MAX = 1 << 20, ID_DIGITS = 16, SECRET_DIGITS = 64 };
static const char prefix[] = "clew_";

const char *const role_names[ROLES] = {[ROLE_ANY] = "any",
                                       [ROLE_INGEST] = "ingest",
                                       [ROLE_READ] = "read",
                                       [ROLE_OPERATE] = "operate",
                                       [ROLE_ADMIN] = "admin"};

bool role_includes(enum api_role has, enum api_role needed) {
    static const uint8_t included[ROLES] = {
        [ROLE_ANY] = 1 << ROLE_ANY,
        [ROLE_INGEST] = 1 << ROLE_ANY | 1 << ROLE_INGEST,
        [ROLE_READ] = 1 << ROLE_ANY | 1 << ROLE_READ,
        [ROLE_OPERATE] = 1 << ROLE_ANY | 1 << ROLE_READ | 1 << ROLE_OPERATE,
        [ROLE_ADMIN] = 1 << ROLE_ANY | 1 << ROLE_INGEST | 1 << ROLE_READ | 1 << ROLE_OPERATE | 1 << ROLE_ADMIN,
    };
    return included[has] >> needed & 1;
}

err role_parse(struct str text, enum api_role *out) {
    for (int r = ROLE_INGEST; r < ROLES; r++)
        if (str_equal(text, str_of(role_names[r]))) {
            *out = (enum api_role)r;
            return NULL;
        }
    return err_new(ERR_INVALID, "a role is ingest, read, operate or admin");
}

bool tenant_or_any_is_valid(struct str name) { return str_equal(name, STR("*")) || store_tenant_is_valid(name); }

void tokens_done(struct tokens *t) { vec_done(&t->v); }

/* ---- one token -------------------------------------------------------------------------------------------------- */

void token_hash(struct str secret, unsigned char out[TOKEN_HASH_BYTES]) {
    SHA256((const unsigned char *)secret.p, secret.n, out);
}

bool token_bytes_equal(const void *a, const void *b, size_t n) { return CRYPTO_memcmp(a, b, n) == 0; }

static bool is_lower_hex(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (!((s.p[i] >= '0' && s.p[i] <= '9') || (s.p[i] >= 'a' && s.p[i] <= 'f'))) return false;
    return true;
}

static uint64_t id_value(struct str digits) {
    uint64_t id = 0;
    for (size_t i = 0; i < ID_DIGITS; i++)
        id = id << 4 | (uint64_t)(digits.p[i] <= '9' ? digits.p[i] - '0' : digits.p[i] - 'a' + 10);
    return id;
}

bool token_parse(struct str text, uint64_t *out_id, unsigned char out_hash[TOKEN_HASH_BYTES]) {
    if (text.n != TOKEN_TEXT_BYTES || !str_starts_with(text, str_of(prefix))) return false;
    struct str id = {text.p + strlen(prefix), ID_DIGITS}, secret = {id.p + ID_DIGITS + 1, SECRET_DIGITS};
    if (id.p[ID_DIGITS] != '_' || !is_lower_hex(id) || !is_lower_hex(secret)) return false;
    *out_id = id_value(id);
    token_hash(secret, out_hash);
    return true;
}

/* Looks at every token, without a branch, and compares one hash: that of the id, or a standing one. */
const struct token *tokens_find(const struct tokens *t, uint64_t id, const unsigned char hash[TOKEN_HASH_BYTES]) {
    static const struct token nobody = {0};
    const struct token *found = &nobody;
    for (size_t i = 0; i < t->v.n; i++) found = t->v.v[i].id == id ? &t->v.v[i] : found;
    bool equal = token_bytes_equal(found->hash, hash, TOKEN_HASH_BYTES);
    return equal && found != &nobody ? found : NULL;
}

const struct token *token_named(const struct tokens *t, struct str name) {
    for (size_t i = 0; i < t->v.n; i++)
        if (str_equal(str_of(t->v.v[i].name), name)) return &t->v.v[i];
    return NULL;
}

static err check_new(const struct tokens *t, struct str name, struct str tenant) {
    if (!store_tenant_is_valid(name))
        return err_new(ERR_INVALID, "a token's name is 1 to 63 of [A-Za-z0-9_.-] and begins with no dot");
    if (!tenant_or_any_is_valid(tenant))
        return err_new(ERR_INVALID, "a tenant is 1 to 63 of [A-Za-z0-9_.-] and begins with no dot, or `*` for any");
    if (token_named(t, name))
        return err_new(ERR_CONFLICT, "there is a token " STR_FMT " already; revoke it first, or take another name",
                       STR_ARG(name));
    return t->v.n < TOKENS_MAX ? NULL : err_new(ERR_LIMIT, "there are %d tokens already", TOKENS_MAX);
}

err token_new(struct tokens *t, struct str name, enum api_role role, struct str tenant, int64_t now, int64_t expires,
              char out[TOKEN_TEXT_BYTES]) {
    unsigned char random[8 + 32];
    AUTO_BUF struct buf text;
    buf_init(&text, 2 * TOKEN_TEXT_BYTES);
    TRY(check_new(t, name, tenant));
    random_bytes(random, sizeof random);
    buf_add_text(&text, prefix);
    put_hex(&text, random, 8);
    buf_add_byte(&text, '_');
    put_hex(&text, random + 8, 32);
    assert(text.n == TOKEN_TEXT_BYTES);
    struct token made = {.role = role, .created = now, .expires = expires};
    memcpy(made.name, name.p, name.n);
    memcpy(made.tenant, tenant.p, tenant.n);
    bool formed = token_parse(buf_str(&text), &made.id, made.hash);
    assert(formed);
    *vec_push(&t->v) = made;
    memcpy(out, text.p, TOKEN_TEXT_BYTES);
    OPENSSL_cleanse(text.p, text.n);
    OPENSSL_cleanse(random, sizeof random);
    return NULL;
}

err token_revoke(struct tokens *t, struct str name) {
    const struct token *found = token_named(t, name);
    if (!found) return err_new(ERR_NOT_FOUND, "there is no token " STR_FMT, STR_ARG(name));
    size_t i = (size_t)(found - t->v.v);
    memmove(&t->v.v[i], &t->v.v[i + 1], (t->v.n - i - 1) * sizeof *t->v.v);
    t->v.n--;
    return NULL;
}

err token_make(void *order, struct tokens *t) {
    struct token_order *o = order;
    TRY(token_new(t, o->name, o->role, o->tenant, o->now, o->expires, o->text));
    o->made = t->v.v[t->v.n - 1];
    return NULL;
}

err token_end(void *name, struct tokens *t) { return token_revoke(t, *(const struct str *)name); }

err token_order_for(struct token_order *o, struct str duration) {
    int64_t holds = 0;
    TRY(parse_duration(duration, &holds));
    if (holds <= 0 || holds > INT64_MAX - o->now)
        return err_new(ERR_INVALID, "longer than 0, as 30d, and before the year 2262");
    o->expires = o->now + holds;
    return NULL;
}

/* ---- the document ----------------------------------------------------------------------------------------------- */

/* The members of a token, all text; bit i of what was given. */
static const char *const members[] = {"id", "name", "role", "tenant", "created", "sha256", "expires"};
enum { MEMBER_ID, MEMBER_NAME, MEMBER_ROLE, MEMBER_TENANT, MEMBER_CREATED, MEMBER_SHA256, MEMBER_EXPIRES };
enum { MEMBERS_NEEDED = (1 << MEMBER_EXPIRES) - 1 };

static err refuse(const char *what) { return err_new(ERR_INVALID, "tokens: %s", what); }

static err take_member(struct token *t, int member, struct str text) {
    switch (member) {
    case MEMBER_ID:
        if (text.n != ID_DIGITS || !is_lower_hex(text)) return refuse("an id is 16 lower-case hexadecimal digits");
        t->id = id_value(text);
        return NULL;
    case MEMBER_NAME:
        if (!store_tenant_is_valid(text)) return refuse("a name is not valid");
        memcpy(t->name, text.p, text.n);
        return NULL;
    case MEMBER_ROLE: return role_parse(text, &t->role);
    case MEMBER_TENANT:
        if (!tenant_or_any_is_valid(text)) return refuse("a tenant is not valid");
        memcpy(t->tenant, text.p, text.n);
        return NULL;
    case MEMBER_CREATED: return parse_time(text, 0, &t->created);
    case MEMBER_EXPIRES:
        TRY(parse_time(text, 0, &t->expires));
        return t->expires > 0 ? NULL : refuse("a token expires before 1970");
    default: return parse_hex(text, t->hash, sizeof t->hash);
    }
}

/* The reader is behind the token's {. */
static err read_token(struct json_reader *r, struct token *out) {
    unsigned given = 0;
    for (enum json_token kind; (kind = json_next(r)) != JSON_OBJECT_END;) {
        size_t m = 0;
        if (kind != JSON_KEY) return json_reader_err(r);
        while (m < LENGTH(members) && !str_equal(r->value, str_of(members[m]))) m++;
        if (m == LENGTH(members)) return refuse("a token has a member that this version does not know");
        if (given >> m & 1) return refuse("a token has a member twice");
        given |= 1u << m;
        if (json_next(r) != JSON_STRING) return refuse("a member of a token is no text");
        TRY(take_member(out, (int)m, r->value));
    }
    return (given & MEMBERS_NEEDED) == MEMBERS_NEEDED ? NULL : refuse("a token misses a member");
}

static err add_token(struct json_reader *r, struct tokens *out) {
    struct token t = {0};
    TRY(read_token(r, &t));
    if (token_named(out, str_of(t.name))) return refuse("a name stands twice");
    for (size_t i = 0; i < out->v.n; i++)
        if (out->v.v[i].id == t.id) return refuse("an id stands twice");
    if (out->v.n == TOKENS_MAX) return refuse("more than 1,000 tokens");
    *vec_push(&out->v) = t;
    return NULL;
}

static err read_list(struct json_reader *r, struct tokens *out) {
    if (json_next(r) != JSON_ARRAY) return refuse("\"tokens\" is no array");
    for (enum json_token kind; (kind = json_next(r)) != JSON_ARRAY_END;) {
        if (kind != JSON_OBJECT) return refuse("a token is no object");
        TRY(add_token(r, out));
    }
    return NULL;
}

static err read_document(struct json_reader *r, struct tokens *out) {
    bool version = false, list = false;
    if (json_next(r) != JSON_OBJECT) return refuse("the document is no object");
    for (enum json_token kind; (kind = json_next(r)) != JSON_OBJECT_END;) {
        if (kind != JSON_KEY) return json_reader_err(r);
        if (!version && str_equal(r->value, STR("version"))) {
            version = json_next(r) == JSON_NUMBER && str_equal(r->value, STR("1"));
            if (!version) return refuse("a newer clew wrote this; only version 1 is known");
        } else if (!list && str_equal(r->value, STR("tokens"))) {
            TRY(read_list(r, out));
            list = true;
        } else {
            return refuse("a member that is not known, or stands twice");
        }
    }
    if (json_next(r) != JSON_END) return refuse("something follows the document");
    return version && list ? NULL : refuse("\"version\" or \"tokens\" is missing");
}

err tokens_read(struct str json, struct tokens *out) {
    struct json_reader r;
    struct tokens read = {0};
    if (json.n > FILE_BYTES_MAX) return err_new(ERR_LIMIT, "tokens: larger than 1 MiB");
    json_reader_init(&r, json, 8);
    err e = read_document(&r, &read);
    err position = json_reader_err(&r);
    if (e && r.error) {
        err_free(e);
        e = err_wrap(take(&position), "tokens");
    }
    err_free(position);
    json_reader_done(&r);
    if (e)
        tokens_done(&read);
    else
        *out = read;
    return e;
}

static void put_members(struct json_writer *w, const struct token *t) {
    char id[ID_DIGITS];
    for (int d = 0; d < ID_DIGITS; d++) id[d] = "0123456789abcdef"[t->id >> (60 - 4 * d) & 15];
    json_member(w, "id", str, (struct str){id, ID_DIGITS});
    json_member(w, "name", text, t->name);
    json_member(w, "role", text, role_names[t->role]);
    json_member(w, "tenant", text, t->tenant);
    json_member(w, "created", time, t->created);
    if (t->expires) json_member(w, "expires", time, t->expires);
}

void token_put(struct json_writer *w, const struct token *t, struct str text) {
    put_members(w, t);
    if (!t->expires) {
        json_key(w, STR("expires"));
        json_null(w);
    }
    if (text.p) json_member(w, "token", str, text);
}

void tokens_write(const struct tokens *t, struct buf *out) {
    struct json_writer w;
    json_writer_init(&w, out);
    json_object(&w);
    json_member(&w, "version", u64, 1);
    json_key(&w, STR("tokens"));
    json_array(&w);
    for (size_t i = 0; i < t->v.n; i++) {
        const struct token *k = &t->v.v[i];
        json_object(&w);
        put_members(&w, k);
        json_member(&w, "sha256", hex, k->hash, sizeof k->hash);
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    buf_add_byte(out, '\n');
}

/* ---- the file --------------------------------------------------------------------------------------------------- */

bool tokens_file_exists(const char *dir) {
    AUTO_FREE char *path = document_path(dir, "tokens.json");
    return path_exists(path);
}

err tokens_load(const char *dir, struct buf *out_text) {
    AUTO_FREE char *path = document_path(dir, "tokens.json");
    return file_read_all(path, FILE_BYTES_MAX, out_text);
}

static err load_or_none(const char *dir, struct tokens *out) {
    AUTO_BUF struct buf text = {0};
    err e = tokens_load(dir, &text);
    if (!e) return err_wrap(tokens_read(buf_str(&text), out), "%s/tokens.json", dir);
    if (err_kind(e) != ERR_NOT_FOUND) return e;
    err_free(e);
    return NULL;
}

static err change_locked(const char *dir, err (*change)(void *context, struct tokens *t), void *context) {
    AUTO_BUF struct buf text;
    struct tokens t = {0};
    buf_init(&text, FILE_BYTES_MAX);
    err e = load_or_none(dir, &t);
    if (!e) e = change(context, &t);
    if (!e) tokens_write(&t, &text);
    if (!e && text.full) e = err_new(ERR_LIMIT, "the tokens take more than 1 MiB");
    if (!e) e = document_replace(dir, "tokens.json", buf_str(&text));
    tokens_done(&t);
    return e;
}

err tokens_change(const char *dir, err (*change)(void *context, struct tokens *t), void *context) {
    AUTO_FREE char *path = document_path(dir, "tokens.lock");
    AUTO_CLOSE struct file *lock = NULL;
    TRY(document_make_dir(dir));
    TRY(file_open(path, FILE_CREATE_ANY, &lock));
    err e = file_lock(lock);
    if (e && err_kind(e) == ERR_CONFLICT) {
        err_free(e);
        return err_new(ERR_CONFLICT, "another clew changes the tokens of %s now; try again", dir);
    }
    TRY(e);
    return change_locked(dir, change, context);
}
