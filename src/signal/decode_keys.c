/* The slow half of decoding attributes: keys met for the first time, texts not in the cache, values in unusual form. */
#include "signal/decode_priv.h"

#include "base/budget.h"

err fault_err(const struct fault *f, struct str body) {
    if (!f->at) return err_new(f->kind, "%s", f->what);
    return err_new(f->kind, "%s, at byte %zu of %zu", f->what, (size_t)(f->at - (const unsigned char *)body.p), body.n);
}

void decode_fault(struct otlp_decoder *d, const unsigned char *at, enum err_kind kind, const char *what) {
    fault_set(&d->fault, at, kind, what);
}

static bool draw_up_to(struct otlp_decoder *d, uint64_t need) {
    uint64_t have = d->limits->granted_bytes + d->drawn_bytes;
    if (!d->limits->budget || need <= have) return true;
    if (!budget_take(d->limits->budget, need - have))
        return decode_fail(d, NULL, ERR_BUSY, "over memory.limit: the columns of a request");
    d->drawn_bytes += need - have;
    return true;
}

/* At most twice as large when doubled, and as much again for the blob. */
bool decode_draw(struct otlp_decoder *d) { return draw_up_to(d, 4 * (uint64_t)batch_builder_bytes(d->b)); }

/* Columns that were warm grew for nothing: they and the blob are drawn for before it is made. */
bool decode_draw_blob(struct otlp_decoder *d) {
    return !d->limits->budget || draw_up_to(d, 2 * (uint64_t)batch_builder_bytes(d->b));
}

/* ---- whether values repeat ---------------------------------------------------------------------------------------- */

static void judge(struct text_stats *s) {
    if (s->unique ? s->seen < MEASURE_AGAIN : s->seen < MEASURE_MIN) return;
    s->unique = !s->unique && s->distinct > s->seen / 2;
    s->seen = s->distinct = 0;
}

void decode_begin(struct otlp_decoder *d) {
    if (d->known_count == KNOWN_KEYS_MAX) decode_forget_keys(d);
    d->generation++;
    d->fault = (struct fault){0};
    d->invalid_utf8 = 0;
    memset(d->rejected, 0, sizeof d->rejected);
    for (int s = 0; s < SETS; s++) {
        d->predictions[d->b->signal][s].n = UINT32_MAX;
        for (int f = 0; s < SET_RESOURCES && f < FIELDS; f++)
            if (d->field_stats[s][f].seen) judge(&d->field_stats[s][f]);
    }
    d->never_unique = (struct text_stats){0};
}

/* ---- texts -------------------------------------------------------------------------------------------------------- */

uint32_t decode_text_slow(struct otlp_decoder *d, struct text_stats *stats, const unsigned char *p, size_t n,
                          struct cached_text *entry) {
    struct strings *strings = &d->b->strings;
    if (n > ANY_STRING_MAX) {
        decode_fail(d, p, ERR_LIMIT, "a string over 16 MiB");
        return 0;
    }
    if (!entry) {
        if (!any_utf8_is_valid(p, n)) d->invalid_utf8++;
        return strings_append(strings, str_span(p, n));
    }
    uint32_t before = strings->n, id = strings_intern(strings, str_span(p, n));
    if (id == before) {
        stats->distinct++;
        if (!any_utf8_is_valid(p, n)) d->invalid_utf8++;
    }
    entry->id = id;
    return id;
}

bool decode_nested(struct otlp_decoder *d, struct text_stats *stats, struct wire value, uint32_t *out) {
    struct any_check c = {0};
    if (wire_left(&value) > ANY_STRING_MAX) return decode_fail(d, value.p, ERR_LIMIT, "a value over 16 MiB");
    switch (any_check(value, &c)) {
    case ANY_MALFORMED: return decode_fail(d, c.at, ERR_INVALID, "not a valid protobuf message");
    case ANY_TOO_DEEP: return decode_fail(d, c.at, ERR_LIMIT, "a value nested deeper than 64");
    case ANY_TOO_LONG: return decode_fail(d, c.at, ERR_LIMIT, "a string over 16 MiB");
    case ANY_OK: break;
    }
    uint32_t invalid = d->invalid_utf8; /* of its strings, not of the message that they stand in */
    *out = decode_text(d, stats, value);
    d->invalid_utf8 = invalid + c.invalid_utf8;
    return true;
}

/* ---- keys --------------------------------------------------------------------------------------------------------- */

void decode_forget_keys(struct otlp_decoder *d) {
    for (uint32_t i = 0; i < d->known_count; i++) mem_free(d->known[i]);
    d->known_count = 0;
    memset(d->known_slots, 0, sizeof d->known_slots);
    for (int signal = 0; signal < SIGNALS; signal++)
        for (int s = 0; s < SETS; s++) memset(d->predictions[signal][s].keys, 0, sizeof d->predictions[signal][s].keys);
}

int32_t decode_key_id(struct otlp_decoder *d, struct known_key *key, enum value_type type) {
    if (key->generation != d->generation) { /* first met in this request */
        key->generation = d->generation;
        for (int t = 0; t < VALUE_TYPES; t++) key->ids[t] = NO_KEY;
        judge(&key->stats);
        d->invalid_utf8 += key->invalid_utf8;
    }
    struct str name = str_span(key->prefix + 2, key->prefix_n - 3u);
    key->ids[type] = (int32_t)batch_builder_key(d->b, name, type);
    bool text = type == VALUE_STRING || type == VALUE_BYTES || type == VALUE_ANY;
    d->b->keys.v[key->ids[type]].unique = text && key->stats.unique;
    return key->ids[type];
}

static struct known_key *new_known_key(struct otlp_decoder *d, struct str name, uint32_t hash) {
    struct known_key *key = mem_new(sizeof *key + name.n + 3);
    key->hash = hash;
    key->generation = d->generation - 1;
    key->invalid_utf8 = !any_utf8_is_valid((const unsigned char *)name.p, name.n);
    key->needs_escape = key->invalid_utf8;
    for (size_t i = 0; i < name.n; i++)
        key->needs_escape |= (unsigned char)name.p[i] < 0x20 || name.p[i] == '"' || name.p[i] == '\\';
    key->prefix_n = (uint8_t)(name.n + 3);
    key->prefix[0] = WIRE_TAG(1, WIRE_BYTES);
    key->prefix[1] = (unsigned char)name.n;
    if (name.n) memcpy(key->prefix + 2, name.p, name.n);
    key->prefix[name.n + 2] = WIRE_TAG(2, WIRE_BYTES);
    d->known[d->known_count++] = key;
    return key;
}

struct known_key *decode_find_key(struct otlp_decoder *d, struct str name) {
    if (name.n > KNOWN_NAME_MAX) return NULL;
    uint32_t hash = name.n ? (uint32_t)(hash_fast(name.p, name.n) >> 32) : 0, at = hash % KNOWN_SLOTS;
    for (; d->known_slots[at]; at = (at + 1) % KNOWN_SLOTS) {
        struct known_key *key = d->known[d->known_slots[at] - 1];
        if (key->hash == hash && key->prefix_n == name.n + 3 &&
            (name.n == 0 || memcmp(key->prefix + 2, name.p, name.n) == 0))
            return key;
    }
    if (d->known_count == KNOWN_KEYS_MAX) return NULL;
    struct known_key *key = new_known_key(d, name, hash);
    d->known_slots[at] = (uint16_t)d->known_count;
    return key;
}

/* ---- values and attributes ---------------------------------------------------------------------------------------- */

bool decode_value_slow(struct otlp_decoder *d, struct row_attributes *a, struct known_key *key, struct str name,
                       struct wire value) {
    static const uint8_t types[] = {
        [ANY_EMPTY] = VALUE_EMPTY,   [ANY_STRING] = VALUE_STRING, [ANY_BOOL] = VALUE_BOOL, [ANY_INT] = VALUE_INT,
        [ANY_DOUBLE] = VALUE_DOUBLE, [ANY_ARRAY] = VALUE_ANY,     [ANY_MAP] = VALUE_ANY,   [ANY_BYTES] = VALUE_BYTES};
    struct wire w = value;
    struct any any;
    if (!any_read(&w, &any)) return decode_malformed(d, w);
    enum value_type type = (enum value_type)types[any.kind];
    /* The key first: it may be the one that makes this request judge whether its values repeat. */
    int32_t id = key ? known_key_id(d, key, type) : (int32_t)batch_builder_key(d->b, name, type);
    struct text_stats *stats = value_stats(d, a, key);
    uint32_t text = 0;
    uint32_t invalid = d->invalid_utf8;
    if (any.kind == ANY_STRING || any.kind == ANY_BYTES) text = decode_text(d, stats, any.bytes);
    if (any.kind == ANY_BYTES) d->invalid_utf8 = invalid;
    if (type == VALUE_ANY && !decode_nested(d, stats, value, &text)) return false;
    return !d->fault.what && attributes_push(d, a, id, text ? text : any.number);
}

bool decode_attribute_slow(struct otlp_decoder *d, struct row_attributes *a, struct wire w) {
    struct str name;
    struct wire value;
    if (!any_read_key_value(&w, &name, &value)) return decode_malformed(d, w);
    if (name.n > ANY_STRING_MAX) return decode_fail(d, w.p, ERR_LIMIT, "a key over 16 MiB");
    struct known_key *key = decode_find_key(d, name);
    if (key && a->n < PREDICTED_MAX) a->prediction->keys[a->n] = key;
    if (key) return decode_value_slow(d, a, key, name, value);
    if (!any_utf8_is_valid((const unsigned char *)name.p, name.n)) d->invalid_utf8++;
    return decode_value_slow(d, a, NULL, name, value);
}
