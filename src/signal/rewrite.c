#include "signal/rewrite.h"

#include "signal/any_priv.h"
#include "signal/batch_priv.h"

const char *const rewrite_place_names[PLACES] = {"resource", "scope", "span", "event", "link",
                                                 "log",      "point", "body", "name",  "status"};

enum { MEMO_SLOTS = 8192 };

/* Direct-mapped: (key or place, string) that was kept in this batch. */
struct rewrite_memo {
    uint32_t generation;
    struct {
        uint32_t generation, key, string;
    } slots[MEMO_SLOTS];
};

struct rewriting {
    struct rewriter *r;
    const struct batch *from;
    struct batch_builder *to; /* NULL: only scanning */
    uint32_t *strings;        /* string id of `from` → of `to`, + 1; 0: not yet */
    uint8_t *cares;           /* of each key: bit per set */
    bool cares_for[PLACES];   /* body, name, status */
    struct buf text, nested;
    bool nested_changed;
    bool final; /* what is answered is carried out */
};

/* A value as it shall be. */
struct rewritten {
    enum rewrite_verdict verdict;
    enum value_type type;
    struct str bytes;
};
static const struct rewritten kept = {.verdict = REWRITE_KEEP};

void rewriter_init(struct rewriter *r) { *r = (struct rewriter){.memo = mem_new_of(struct rewrite_memo)}; }
void rewriter_done(struct rewriter *r) { mem_free(r->memo); }

/* ---- asking ------------------------------------------------------------------------------------------------------- */

static enum rewrite_verdict ask(struct rewriting *w, struct rewrite_value v) {
    buf_clear(&w->text);
    v.final = w->final;
    enum rewrite_verdict verdict = w->r->judge(w->r->context, &v, &w->text);
    return verdict == REWRITE_TEXT && w->text.full ? REWRITE_DROP : verdict;
}

static bool put_nested(struct rewriting *w, enum rewrite_place place, struct str key, struct wire message);

/* The content of an array or map into w->nested. */
static void put_list(struct rewriting *w, enum rewrite_place place, struct str key, const struct any *list) {
    struct wire rest = list->bytes, item;
    bool map = list->kind == ANY_MAP;
    size_t start = w->nested.n;
    while (any_next(&rest, &item)) {
        size_t at = w->nested.n, value_at;
        struct wire value = item;
        struct str name = key;
        if (map) {
            any_read_key_value(&item, &name, &value);
            buf_add_str(&w->nested, name);
            any_close(&w->nested, at, WIRE_TAG(1, WIRE_BYTES));
        }
        value_at = w->nested.n;
        if (!put_nested(w, place, name, value)) {
            w->nested.n = at;
            continue;
        }
        if (map) any_close(&w->nested, value_at, WIRE_TAG(2, WIRE_BYTES));
        any_close(&w->nested, at, WIRE_TAG(1, WIRE_BYTES));
    }
    any_close(&w->nested, start, map ? WIRE_TAG(6, WIRE_BYTES) : WIRE_TAG(5, WIRE_BYTES));
}

static enum value_type type_of(enum any_kind kind) {
    static const uint8_t types[] = {
        [ANY_EMPTY] = VALUE_EMPTY,   [ANY_STRING] = VALUE_STRING, [ANY_BOOL] = VALUE_BOOL, [ANY_INT] = VALUE_INT,
        [ANY_DOUBLE] = VALUE_DOUBLE, [ANY_ARRAY] = VALUE_ANY,     [ANY_MAP] = VALUE_ANY,   [ANY_BYTES] = VALUE_BYTES};
    return (enum value_type)types[kind];
}

/* What of a value counts, anew: its bytes may also hold fields that are not known, or that later ones replace, which nobody judged. */
static void put_plain(struct buf *out, const struct any *any) {
    unsigned char digits[10];
    size_t start = out->n;
    switch (any->kind) {
    case ANY_STRING:
    case ANY_BYTES:
        buf_add_str(out, wire_str(&any->bytes));
        any_close(out, start, any->kind == ANY_STRING ? WIRE_TAG(1, WIRE_BYTES) : WIRE_TAG(7, WIRE_BYTES));
        return;
    case ANY_BOOL:
    case ANY_INT:
        buf_add_byte(out, any->kind == ANY_BOOL ? WIRE_TAG(2, WIRE_VARINT) : WIRE_TAG(3, WIRE_VARINT));
        buf_add(out, digits, any_varint(any->number, digits));
        return;
    case ANY_DOUBLE:
        buf_add_byte(out, WIRE_TAG(4, WIRE_FIXED64));
        buf_add(out, &any->number, 8);
        return;
    case ANY_EMPTY:
    case ANY_ARRAY:
    case ANY_MAP: return;
    }
}

/* One nested value as it shall be into w->nested; false: it goes. */
static bool put_nested(struct rewriting *w, enum rewrite_place place, struct str key, struct wire message) {
    struct wire rest = message;
    struct any any;
    if (!any_read(&rest, &any)) return true; /* checked when it came in */
    enum value_type type = type_of(any.kind);
    struct str text = type == VALUE_ANY ? wire_str(&message) : wire_str(&any.bytes);
    size_t start = w->nested.n;
    enum rewrite_verdict verdict =
        ask(w, (struct rewrite_value){.place = place, .key = key, .type = type, .text = text, .number = any.number});
    w->nested_changed |= verdict != REWRITE_KEEP;
    if (verdict == REWRITE_DROP) return false;
    if (verdict == REWRITE_TEXT) {
        buf_add_str(&w->nested, buf_str(&w->text));
        any_close(&w->nested, start, WIRE_TAG(1, WIRE_BYTES));
    } else if (type == VALUE_ANY) {
        put_list(w, place, key, &any);
    } else {
        put_plain(&w->nested, &any);
    }
    return true;
}

/* A value that is an AnyValue message: as a whole, then what is in it. */
static struct rewritten judge_nested(struct rewriting *w, enum rewrite_place place, struct str key,
                                     struct str message) {
    buf_clear(&w->nested);
    w->nested_changed = false;
    if (!put_nested(w, place, key, wire_of(message))) return (struct rewritten){.verdict = REWRITE_DROP};
    if (!w->nested_changed && str_equal(buf_str(&w->nested), message)) return kept;
    if (w->nested.full) return (struct rewritten){.verdict = REWRITE_DROP};
    struct wire rest = wire_of(buf_str(&w->nested));
    struct any any = {0};
    any_read(&rest, &any);
    if (any.kind == ANY_STRING) return (struct rewritten){REWRITE_TEXT, VALUE_STRING, wire_str(&any.bytes)};
    return (struct rewritten){REWRITE_TEXT, VALUE_ANY, buf_str(&w->nested)};
}

static struct rewritten judge_text(struct rewriting *w, enum rewrite_place place, uint32_t memo_key, struct str key,
                                   uint32_t string) {
    struct rewrite_memo *memo = w->r->memo;
    size_t at = hash_keyed(memo_key, string) % MEMO_SLOTS;
    if (memo->slots[at].generation == memo->generation && memo->slots[at].key == memo_key &&
        memo->slots[at].string == string)
        return kept;
    enum rewrite_verdict verdict =
        ask(w, (struct rewrite_value){
                   .place = place, .key = key, .type = VALUE_STRING, .text = batch_string(w->from, string)});
    if (verdict == REWRITE_KEEP) {
        memo->slots[at].generation = memo->generation;
        memo->slots[at].key = memo_key;
        memo->slots[at].string = string;
    }
    return (struct rewritten){verdict, VALUE_STRING, buf_str(&w->text)};
}

static enum rewrite_place place_of(enum signal signal, enum set s) {
    static const enum rewrite_place places[SETS] = {PLACE_SPAN, PLACE_EVENT, PLACE_LINK, PLACE_RESOURCE, PLACE_SCOPE};
    return s == SET_ROWS && signal == SIGNAL_LOGS ? PLACE_LOG : places[s];
}

static struct rewritten judge_attribute(struct rewriting *w, enum set s, uint32_t key, uint64_t slot) {
    const struct batch_key *k = &w->from->keys[key];
    if (!(w->cares[key] >> s & 1)) return kept;
    enum rewrite_place place = place_of(w->from->signal, s);
    enum value_type type = (enum value_type)k->type;
    struct str name = batch_string(w->from, k->name);
    if (type == VALUE_STRING) return judge_text(w, place, key << 3 | (uint32_t)s, name, (uint32_t)slot);
    if (type == VALUE_ANY) return judge_nested(w, place, name, batch_string(w->from, (uint32_t)slot));
    struct rewrite_value v = {.place = place, .key = name, .type = type, .number = slot};
    if (type == VALUE_BYTES) v.text = batch_string(w->from, (uint32_t)slot);
    enum rewrite_verdict verdict = ask(w, v);
    return (struct rewritten){verdict, VALUE_STRING, buf_str(&w->text)};
}

/* Which place a string field is of; PLACES: none. */
static enum rewrite_place field_place(enum set s, enum field f) {
    if (f == FIELD_BODY) return PLACE_BODY;
    if (f == FIELD_STATUS_MESSAGE) return PLACE_STATUS;
    return f == FIELD_NAME && s != SET_SCOPES ? PLACE_NAME : PLACES;
}

static struct rewritten judge_field(struct rewriting *w, enum set s, enum field f, uint32_t row) {
    enum rewrite_place place = field_place(s, f);
    if (place == PLACES || !w->cares_for[place]) return kept;
    uint32_t string = batch_u32(w->from, s, f, row);
    if (place == PLACE_BODY && batch_u32(w->from, s, FIELD_BODY_TYPE, row) == VALUE_ANY)
        return judge_nested(w, place, STR(""), batch_string(w->from, string));
    return string ? judge_text(w, place, UINT32_MAX - place, STR(""), string) : kept;
}

/* ---- scanning ----------------------------------------------------------------------------------------------------- */

static bool row_changes(struct rewriting *w, enum set s, uint32_t row) {
    static const enum field fields[] = {FIELD_NAME, FIELD_STATUS_MESSAGE, FIELD_BODY};
    struct batch_attributes a = batch_attributes(w->from, s, row);
    for (uint32_t i = 0; i < a.n; i++)
        if (judge_attribute(w, s, a.keys[i], a.values[i]).verdict != REWRITE_KEEP) return true;
    for (size_t i = 0; i < LENGTH(fields); i++)
        if (field_in(fields[i], w->from->signal, s) && judge_field(w, s, fields[i], row).verdict != REWRITE_KEEP)
            return true;
    return false;
}

static bool anything_changes(struct rewriting *w) {
    for (int s = 0; s < SETS; s++)
        for (uint32_t row = 0; row < w->from->set_rows[s]; row++)
            if (row_changes(w, (enum set)s, row)) return true;
    return false;
}

/* ---- making the new batch ------------------------------------------------------------------------------------------ */

static uint32_t keep_string(struct rewriting *w, uint32_t id) {
    if (id && !w->strings[id]) w->strings[id] = 1 + strings_append(&w->to->strings, batch_string(w->from, id));
    return id ? w->strings[id] - 1 : 0;
}

static void put_attribute(struct rewriting *w, enum set s, uint32_t key, uint64_t slot, uint32_t *keys, uint32_t *n) {
    const struct batch_key *k = &w->from->keys[key];
    struct rewritten v = judge_attribute(w, s, key, slot);
    enum value_type type = v.verdict == REWRITE_KEEP ? (enum value_type)k->type : v.type;
    if (v.verdict == REWRITE_DROP) return;
    if (v.verdict == REWRITE_TEXT)
        slot = strings_intern(&w->to->strings, v.bytes);
    else if (type == VALUE_STRING || type == VALUE_BYTES || type == VALUE_ANY)
        slot = keep_string(w, (uint32_t)slot);
    keys[*n] = batch_builder_key(w->to, batch_string(w->from, k->name), type);
    w->to->keys.v[keys[(*n)++]].unique |= k->unique && type == k->type;
    *vec_push(&w->to->slots) = slot;
}

static void put_attributes(struct rewriting *w, enum set s, uint32_t row) {
    struct batch_attributes a = batch_attributes(w->from, s, row);
    if (a.n == 0) return;
    AUTO_FREE uint32_t *keys = mem_new_array(uint32_t, a.n);
    uint32_t n = 0, slot = (uint32_t)w->to->slots.n;
    for (uint32_t i = 0; i < a.n; i++) put_attribute(w, s, a.keys[i], a.values[i], keys, &n);
    batch_builder_attributes(w->to, s, row, keys, n, slot);
}

static void put_string(struct rewriting *w, enum set s, enum field f, uint32_t row) {
    struct rewritten v = judge_field(w, s, f, row);
    uint32_t id = 0, body_type = VALUE_EMPTY;
    if (v.verdict == REWRITE_KEEP) {
        id = keep_string(w, batch_u32(w->from, s, f, row));
        if (f == FIELD_BODY) body_type = batch_u32(w->from, s, FIELD_BODY_TYPE, row);
    } else if (v.verdict == REWRITE_TEXT) {
        id = strings_intern(&w->to->strings, v.bytes);
        body_type = v.type;
    }
    builder_put_u32(w->to, s, f, row, id);
    if (f == FIELD_BODY) builder_put_u32(w->to, s, FIELD_BODY_TYPE, row, body_type);
}

static void put_field(struct rewriting *w, enum set s, enum field f, uint32_t row) {
    if (f == FIELD_BODY_TYPE || f == FIELD_SHAPE || f == FIELD_SLOT) return; /* come with the body, the attributes */
    switch (field_rows[f].type) {
    case FIELD_U32: builder_put_u32(w->to, s, f, row, batch_u32(w->from, s, f, row)); return;
    case FIELD_U64:
    case FIELD_ID8: builder_put_u64(w->to, s, f, row, batch_u64(w->from, s, f, row)); return;
    case FIELD_ID16: batch_builder_set_id16(w->to, s, f, row, batch_id16(w->from, s, f, row)); return;
    case FIELD_STRING: put_string(w, s, f, row); return;
    }
}

static void put_set(struct rewriting *w, enum set s) {
    for (uint32_t row = 0; row < w->from->set_rows[s]; row++) {
        batch_builder_row(w->to, s);
        for (int f = 0; f < FIELDS; f++)
            if (field_in((enum field)f, w->from->signal, s)) put_field(w, s, (enum field)f, row);
        put_attributes(w, s, row);
    }
}

/* ---- door --------------------------------------------------------------------------------------------------------- */

static void ask_what_matters(struct rewriting *w) {
    const struct rewriter *r = w->r;
    w->cares = mem_new(MAX(w->from->key_count, 1u));
    for (uint32_t i = 0; i < w->from->key_count; i++) {
        const struct batch_key *k = &w->from->keys[i];
        for (int s = 0; s < SETS; s++)
            if (r->cares(r->context, place_of(w->from->signal, (enum set)s), batch_string(w->from, k->name),
                         (enum value_type)k->type))
                w->cares[i] |= (uint8_t)(1 << s);
    }
    for (int p = PLACE_BODY; p < PLACES; p++)
        w->cares_for[p] = r->cares(r->context, (enum rewrite_place)p, STR(""), VALUE_ANY);
}

struct batch_blob *batch_rewrite(struct rewriter *r, const struct batch *from) {
    struct rewriting w = {.r = r, .from = from};
    struct batch_builder to;
    struct batch_blob *blob = NULL;
    r->memo->generation++;
    buf_init(&w.text, ANY_STRING_MAX);
    buf_init(&w.nested, ANY_STRING_MAX);
    ask_what_matters(&w);
    if (anything_changes(&w)) {
        batch_builder_init(&to, from->signal);
        w.to = &to;
        w.final = true;
        w.strings = mem_new_array(uint32_t, MAX(from->string_count, 1u));
        for (int s = 0; s < SETS; s++) put_set(&w, (enum set)s);
        blob = batch_builder_finish(&to);
        batch_builder_done(&to);
    }
    mem_free(w.strings);
    mem_free(w.cares);
    buf_done(&w.text);
    buf_done(&w.nested);
    return blob;
}

/* One KeyValue to the end of `out`, under `tag`. It is written anew even if nothing of it changes: its bytes may also hold fields that later
 * ones replace. */
static void put_entry(struct rewriting *w, enum rewrite_place place, unsigned char tag, struct wire item,
                      struct buf *out) {
    struct wire value;
    struct str name;
    size_t start = out->n;
    buf_clear(&w->nested);
    if (!any_read_key_value(&item, &name, &value) || !put_nested(w, place, name, value)) return;
    if (name.n) {
        buf_add_str(out, name);
        any_close(out, start, WIRE_TAG(1, WIRE_BYTES));
    }
    size_t content = out->n;
    buf_add_str(out, buf_str(&w->nested));
    any_close(out, content, WIRE_TAG(2, WIRE_BYTES));
    any_close(out, start, tag);
}

bool rewrite_list(struct rewriter *r, enum rewrite_place place, unsigned char tag, struct str list, struct buf *out) {
    struct rewriting w = {.r = r, .final = true};
    struct wire rest = wire_of(list), item;
    size_t start = out->n;
    buf_init(&w.text, ANY_STRING_MAX);
    buf_init(&w.nested, ANY_STRING_MAX);
    while (rest.p < rest.end) {
        rest.p++;
        if (!wire_bytes(&rest, &item)) break;
        put_entry(&w, place, tag, item, out);
    }
    bool changed = w.nested_changed || !str_equal(list, str_span(out->p + start, out->n - start));
    buf_done(&w.text);
    buf_done(&w.nested);
    if (!changed) out->n = start;
    return changed;
}
