#include "api/limits_priv.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"
#include "os/thread.h"
#include "store/store.h"

enum { SLOTS = 4096, NAME_BYTES = 64, RULES_MAX = 1000, NUMBER_MAX_DIGITS = 15 };

const char *const limit_names[LIMITS] = {
    [LIMIT_REQUESTS] = "requests_per_second", [LIMIT_BYTES] = "bytes_per_second", [LIMIT_QUERIES] = "queries"};

struct rule {
    char tenant[NAME_BYTES];
    uint64_t values[LIMITS]; /* 0: none */
    unsigned given;          /* bit a limit */
};

struct bucket {
    double level; /* below 0: debt */
    int64_t filled_at;
};

struct tenant {
    struct tenant_counts counts;
    uint64_t values[LIMITS];
    struct bucket buckets[LIMITS]; /* of the rates */
    int64_t used_at;
};

struct limits {
    struct lock lock;
    struct rule standing; /* the default */
    struct rule rules[RULES_MAX];
    size_t rule_count, n;
    struct tenant tenants[LIMIT_TENANTS_MAX];
    uint16_t slots[SLOTS]; /* index + 1; 0 empty; linear probing */
};

/* ---- the document ----------------------------------------------------------------------------------------------- */

static err refuse(const char *what) { return err_new(ERR_INVALID, "limits: %s", what); }

static err read_rule(struct json_reader *r, struct rule *out) {
    if (json_next(r) != JSON_OBJECT) return refuse("limits of a tenant are no object");
    for (enum json_token kind; (kind = json_next(r)) != JSON_OBJECT_END;) {
        size_t l = 0;
        if (kind != JSON_KEY) return json_reader_err(r);
        while (l < LIMITS && !str_equal(r->value, str_of(limit_names[l]))) l++;
        if (l == LIMITS) return refuse("a limit is requests_per_second, bytes_per_second or queries");
        if (out->given >> l & 1) return refuse("a limit stands twice");
        if (json_next(r) != JSON_NUMBER || r->value.n > NUMBER_MAX_DIGITS) return refuse("a limit is no whole number");
        TRY_WRAP(parse_u64(r->value, &out->values[l]), "limits: %s", limit_names[l]);
        out->given |= 1u << l;
    }
    return NULL;
}

static err read_tenants(struct json_reader *r, struct limits *l) {
    if (json_next(r) != JSON_OBJECT) return refuse("\"tenants\" is no object");
    for (enum json_token kind; (kind = json_next(r)) != JSON_OBJECT_END;) {
        if (kind != JSON_KEY) return json_reader_err(r);
        if (!store_tenant_is_valid(r->value)) return refuse("a tenant's name is not valid");
        for (size_t i = 0; i < l->rule_count; i++)
            if (str_equal(r->value, str_of(l->rules[i].tenant))) return refuse("a tenant stands twice");
        if (l->rule_count == RULES_MAX) return refuse("more than 1,000 tenants");
        struct rule *rule = &l->rules[l->rule_count++];
        memcpy(rule->tenant, r->value.p, r->value.n);
        TRY(read_rule(r, rule));
    }
    return NULL;
}

static err read_document(struct json_reader *r, struct limits *l) {
    bool standing = false, tenants = false;
    if (json_next(r) != JSON_OBJECT) return refuse("the document is no object");
    for (enum json_token kind; (kind = json_next(r)) != JSON_OBJECT_END;) {
        if (kind != JSON_KEY) return json_reader_err(r);
        if (!standing && str_equal(r->value, STR("default"))) {
            TRY(read_rule(r, &l->standing));
            standing = true;
        } else if (!tenants && str_equal(r->value, STR("tenants"))) {
            TRY(read_tenants(r, l));
            tenants = true;
        } else {
            return refuse("a member is not default or tenants, or stands twice");
        }
    }
    return json_next(r) == JSON_END ? NULL : refuse("something follows the document");
}

static void inherit(struct rule *rule, const struct rule *from) {
    for (size_t i = 0; i < LIMITS; i++)
        if (!(rule->given >> i & 1)) rule->values[i] = from->values[i];
}

static err read_json(struct str json, struct limits *l) {
    struct json_reader r;
    json_reader_init(&r, json, 8);
    err e = read_document(&r, l);
    if (e && r.error) {
        err_free(e);
        e = err_wrap(json_reader_err(&r), "limits");
    }
    json_reader_done(&r);
    return e;
}

err limits_new(struct str json, struct limits **out) {
    static const struct rule initial = {.values[LIMIT_QUERIES] = LIMIT_QUERIES_DEFAULT};
    struct limits *l = mem_new_of(struct limits);
    lock_init(&l->lock);
    err e = json.p ? read_json(json, l) : NULL;
    if (e) {
        limits_free(l);
        return e;
    }
    inherit(&l->standing, &initial);
    for (size_t i = 0; i < l->rule_count; i++) inherit(&l->rules[i], &l->standing);
    *out = l;
    return NULL;
}

void limits_free(struct limits *l) {
    if (!l) return;
    lock_done(&l->lock);
    mem_free(l);
}

/* ---- tenants; lock held ----------------------------------------------------------------------------------------- */

static uint16_t *slot_of(struct limits *l, struct str name) {
    size_t i = (size_t)hash_fast(name.p, name.n) % SLOTS;
    while (l->slots[i] && !str_equal(str_of(l->tenants[l->slots[i] - 1].counts.tenant), name)) i = (i + 1) % SLOTS;
    return &l->slots[i];
}

static const struct rule *rule_of(const struct limits *l, struct str name) {
    for (size_t i = 0; i < l->rule_count; i++)
        if (str_equal(str_of(l->rules[i].tenant), name)) return &l->rules[i];
    return &l->standing;
}

/* The place of one that may go: idle longest, without a question under way. There is one: fewer questions than tenants can wait and
 * run (api.h). */
static size_t oldest_idle(const struct limits *l) {
    size_t oldest = l->n;
    int64_t used_at = INT64_MAX;
    for (size_t i = 0; i < l->n; i++) {
        if (l->tenants[i].counts.queries_running || l->tenants[i].used_at >= used_at) continue;
        used_at = l->tenants[i].used_at;
        oldest = i;
    }
    assert(oldest < l->n);
    return oldest;
}

static void index_anew(struct limits *l) {
    memset(l->slots, 0, sizeof l->slots);
    for (size_t i = 0; i < l->n; i++) *slot_of(l, str_of(l->tenants[i].counts.tenant)) = (uint16_t)(i + 1);
}

static struct tenant *tenant_of(struct limits *l, struct str name, int64_t now) {
    uint16_t *slot = slot_of(l, name);
    if (!*slot) {
        size_t place = l->n < LIMIT_TENANTS_MAX ? l->n++ : oldest_idle(l);
        struct tenant *t = &l->tenants[place];
        *t = (struct tenant){0};
        memcpy(t->counts.tenant, name.p, MIN(name.n, sizeof t->counts.tenant - 1));
        const struct rule *rule = rule_of(l, name);
        memcpy(t->values, rule->values, sizeof t->values);
        for (size_t i = 0; i < LIMITS; i++) t->buckets[i] = (struct bucket){(double)rule->values[i], now};
        index_anew(l);
        slot = slot_of(l, name);
    }
    struct tenant *t = &l->tenants[*slot - 1];
    t->used_at = MAX(t->used_at, now);
    return t;
}

static void fill(struct bucket *b, uint64_t rate, int64_t now) {
    double seconds = now > b->filled_at ? (double)(now - b->filled_at) / 1e9 : 0;
    b->level = MIN(b->level + seconds * (double)rate, (double)rate);
    b->filled_at = now;
}

static bool is_empty(struct tenant *t, enum limit limit, int64_t now, uint32_t *out_retry_s) {
    struct bucket *b = &t->buckets[limit];
    uint64_t rate = t->values[limit];
    if (!rate) return false;
    fill(b, rate, now);
    if (b->level > 0) return false;
    *out_retry_s = (uint32_t)MIN(1 - b->level / (double)rate, 3600.0);
    t->counts.refused[limit]++;
    return true;
}

/* ---- the door --------------------------------------------------------------------------------------------------- */

static err over(const struct tenant *t, enum limit limit, const char *what) {
    return err_new(ERR_BUSY, "tenant %s is over its limit of %llu %s", t->counts.tenant,
                   (unsigned long long)t->values[limit], what);
}

err limits_take_ingest(struct limits *l, struct str tenant, size_t bytes, int64_t now, uint32_t *out_retry_s) {
    err e = NULL;
    lock_take(&l->lock);
    struct tenant *t = tenant_of(l, tenant, now);
    if (is_empty(t, LIMIT_REQUESTS, now, out_retry_s)) {
        e = over(t, LIMIT_REQUESTS, "requests a second");
    } else if (is_empty(t, LIMIT_BYTES, now, out_retry_s)) {
        e = over(t, LIMIT_BYTES, "bytes a second");
    } else {
        t->buckets[LIMIT_REQUESTS].level--;
        t->buckets[LIMIT_BYTES].level -= (double)bytes;
        t->counts.ingest_requests++;
        t->counts.ingest_bytes += bytes;
    }
    lock_give(&l->lock);
    return e;
}

err limits_begin_query(struct limits *l, struct str tenant, int64_t now, uint32_t *out_retry_s) {
    err e = NULL;
    lock_take(&l->lock);
    struct tenant *t = tenant_of(l, tenant, now);
    if (t->values[LIMIT_QUERIES] && t->counts.queries_running >= t->values[LIMIT_QUERIES]) {
        t->counts.refused[LIMIT_QUERIES]++;
        *out_retry_s = 1;
        e = over(t, LIMIT_QUERIES, "queries at once");
    } else {
        t->counts.queries++;
        t->counts.queries_running++;
    }
    lock_give(&l->lock);
    return e;
}

void limits_end_query(struct limits *l, struct str tenant) {
    lock_take(&l->lock);
    uint16_t slot = *slot_of(l, tenant);
    assert(slot && l->tenants[slot - 1].counts.queries_running);
    l->tenants[slot - 1].counts.queries_running--;
    lock_give(&l->lock);
}

void limits_count_rows(struct limits *l, struct str tenant, enum ingest_kind kind, uint64_t taken, uint64_t rejected) {
    lock_take(&l->lock);
    struct tenant *t = tenant_of(l, tenant, 0);
    t->counts.rows[kind] += taken;
    t->counts.rejected_rows[kind] += rejected;
    lock_give(&l->lock);
}

size_t limits_get_counts(struct limits *l, struct str tenant, struct tenant_counts *out) {
    size_t n = 0;
    lock_take(&l->lock);
    for (size_t i = 0; i < l->n; i++)
        if (!tenant.p || str_equal(str_of(l->tenants[i].counts.tenant), tenant)) out[n++] = l->tenants[i].counts;
    lock_give(&l->lock);
    return n;
}
