#include "base/text.h"
#include "signal/otlp.h"
#include "store/match/regex.h"
#include "store/scan.h"
#include "store/match/words_priv.h"

enum { PREDICATE_TEXT_MAX = 4096 };

err predicate_make(struct arena *a, struct column_ref column, enum operator op, struct str text,
                   struct predicate *out) {
    if (text.n > PREDICATE_TEXT_MAX)
        return err_new(ERR_LIMIT, "a value of %zu bytes to compare with, at most %d", text.n, PREDICATE_TEXT_MAX);
    if ((op == OP_WORDS) != (column.target == TARGET_TEXT))
        return err_new(ERR_INVALID, "words are searched in texts, and in nothing else");
    struct predicate p = {.column = column, .op = op, .text = arena_copy(a, text)};
    p.column.key = arena_copy(a, column.key);
    TRY(arena_err(a));
    err e = parse_i64(text, &p.integer);
    p.is_int = !e;
    err_free(e);
    e = parse_f64(text, &p.number);
    p.is_number = !e;
    err_free(e);
    p.boolean = str_equal(text, STR("true"));
    p.is_bool = p.boolean || str_equal(text, STR("false"));
    if (op == OP_MATCH || op == OP_NOT_MATCH) TRY(regex_compile(text, &p.regex));
    if (op == OP_WORDS) TRY(words_parse(a, text, &p.words));
    *out = p;
    return NULL;
}

void predicate_done(struct predicate *p) {
    regex_free(p->regex);
    p->regex = NULL;
}

void predicate_set_deadline(struct predicate *p, int64_t deadline_ns) {
    if (p->regex) regex_set_deadline(p->regex, deadline_ns);
}

bool predicate_gave_up(const struct predicate *p) { return p->regex && regex_gave_up(p->regex); }

bool predicate_is_negative(const struct predicate *p) {
    return p->op == OP_NOT_EQUAL || p->op == OP_NOT_MATCH || p->op == OP_ABSENT;
}

/* ---- one value -------------------------------------------------------------------------------------------------- */

static bool order_holds(enum operator op, int order) {
    switch (op) {
    case OP_LESS: return order < 0;
    case OP_LESS_EQUAL: return order <= 0;
    case OP_GREATER: return order > 0;
    case OP_GREATER_EQUAL: return order >= 0;
    case OP_EQUAL:
    case OP_NOT_EQUAL: return order == 0;
    case OP_EXISTS:
    case OP_ABSENT: return true;
    case OP_MATCH:
    case OP_NOT_MATCH:
    case OP_WORDS:
    case OP_ENDS: break;
    }
    return false;
}

static bool ends_with(struct str value, struct str end) {
    return value.n >= end.n && str_equal((struct str){value.p + value.n - end.n, end.n}, end);
}

bool predicate_matches_text(const struct predicate *p, struct str value) {
    if (p->op == OP_ENDS) return ends_with(value, p->text);
    if (p->op == OP_EQUAL || p->op == OP_NOT_EQUAL) return str_equal(p->text, value);
    if (p->op == OP_MATCH || p->op == OP_NOT_MATCH) return regex_found(p->regex, value);
    if (p->op == OP_EXISTS || p->op == OP_ABSENT) return true;
    return !p->is_number && order_holds(p->op, str_compare(value, p->text));
}

/* -1, 0, 1; a pair that has no order (NaN) gives 2, which no operator takes. */
static int compare_doubles(double a, double b) { return a < b ? -1 : a > b ? 1 : a == b ? 0 : 2; }

/* The same, exact where a double cannot hold the whole number. */
static int compare_whole(int64_t a, double b) {
    if (b >= 0x1p63) return -1;
    if (b < -0x1p63) return 1;
    int64_t whole = (int64_t)b;
    return a != whole ? (a > whole) - (a < whole) : compare_doubles(0, b - (double)whole);
}

static bool ordered_number_holds(const struct predicate *p, int order) {
    return order != 2 && order_holds(p->op, order);
}

bool predicate_matches_number(const struct predicate *p, int64_t value) {
    if (p->op == OP_EXISTS || p->op == OP_ABSENT) return true;
    if (p->regex) {
        AUTO_BUF struct buf text;
        buf_init(&text, 32);
        put_i64(&text, value);
        return regex_found(p->regex, buf_str(&text));
    }
    if (p->is_int) return order_holds(p->op, (value > p->integer) - (value < p->integer));
    return p->is_number && ordered_number_holds(p, compare_whole(value, p->number));
}

static bool matches_double(const struct predicate *p, uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return p->is_number && ordered_number_holds(p, compare_doubles(value, p->number));
}

static bool matches_as_text(const struct predicate *p, const struct batch *b, enum value_type type, uint64_t value) {
    AUTO_BUF struct buf text;
    buf_init(&text, 64 * MIB);
    value_write_text(b, type, value, &text);
    return predicate_matches_text(p, buf_str(&text));
}

bool predicate_matches_value(const struct predicate *p, const struct batch *b, enum value_type type, uint64_t value) {
    if (p->op == OP_EXISTS || p->op == OP_ABSENT) return true;
    switch (type) {
    case VALUE_STRING: return predicate_matches_text(p, batch_string(b, (uint32_t)value));
    case VALUE_INT: return predicate_matches_number(p, (int64_t)value);
    case VALUE_DOUBLE: return p->regex ? matches_as_text(p, b, type, value) : matches_double(p, value);
    case VALUE_BOOL:
        if (p->regex) return matches_as_text(p, b, type, value);
        return (p->op == OP_EQUAL || p->op == OP_NOT_EQUAL) && p->is_bool && p->boolean == (value != 0);
    case VALUE_EMPTY:
    case VALUE_BYTES:
    case VALUE_ANY:
    case VALUE_TYPES: break;
    }
    if (p->op == OP_LESS || p->op == OP_LESS_EQUAL || p->op == OP_GREATER || p->op == OP_GREATER_EQUAL) return false;
    return matches_as_text(p, b, type, value);
}

/* ---- one row ---------------------------------------------------------------------------------------------------- */

static bool id_is_zero(const unsigned char *id, size_t n) {
    unsigned char any = 0;
    for (size_t i = 0; i < n; i++) any |= id[i];
    return any == 0;
}

static bool matches_id(const struct predicate *p, const unsigned char *id, size_t n) {
    if (id_is_zero(id, n)) return false;
    char text[33];
    for (size_t i = 0; i < n; i++) {
        text[2 * i] = "0123456789abcdef"[id[i] >> 4];
        text[2 * i + 1] = "0123456789abcdef"[id[i] & 15];
    }
    return predicate_matches_text(p, str_span(text, 2 * n));
}

static bool matches_body(const struct predicate *p, const struct batch *b, uint32_t row) {
    uint32_t type = batch_u32(b, SET_ROWS, FIELD_BODY_TYPE, row);
    if (type == VALUE_EMPTY) return false;
    return predicate_matches_value(p, b, (enum value_type)type, batch_u32(b, SET_ROWS, FIELD_BODY, row));
}

static bool matches_field(const struct predicate *p, const struct batch *b, enum set s, uint32_t row) {
    enum field f = p->column.field;
    if (f == FIELD_BODY) return matches_body(p, b, row);
    switch (field_rows[f].type) {
    case FIELD_U32: return predicate_matches_number(p, batch_u32(b, s, f, row));
    case FIELD_U64: return predicate_matches_number(p, (int64_t)batch_u64(b, s, f, row));
    case FIELD_ID8: {
        uint64_t id = batch_u64(b, s, f, row);
        return matches_id(p, (const unsigned char *)&id, sizeof id);
    }
    case FIELD_ID16: return matches_id(p, batch_id16(b, s, f, row), 16);
    case FIELD_STRING: {
        struct str text = batch_text(b, s, f, row);
        return (p->op == OP_EXISTS || p->op == OP_ABSENT) ? text.n > 0 : predicate_matches_text(p, text);
    }
    }
    return false;
}

/* Whether an attribute of that name matches; *had tells whether there was one at all. */
static bool matches_attribute(const struct predicate *p, const struct batch *b, enum set s, uint32_t row, bool *had) {
    struct batch_attributes attributes = batch_attributes(b, s, row);
    bool matched = false;
    for (uint32_t i = 0; i < attributes.n && !matched; i++) {
        const struct batch_key *key = &b->keys[attributes.keys[i]];
        if (!str_equal(batch_string(b, key->name), p->column.key)) continue;
        *had = true;
        matched = predicate_matches_value(p, b, (enum value_type)key->type, attributes.values[i]);
    }
    return matched;
}

/* Scopes and events have a name and a version besides their attributes. */
static bool matches_named(const struct predicate *p, const struct batch *b, enum set s, uint32_t row) {
    bool had = false;
    bool text_is_there = p->op != OP_EXISTS && p->op != OP_ABSENT;
    enum field f = str_equal(p->column.key, STR("name"))                         ? FIELD_NAME
                   : s == SET_SCOPES && str_equal(p->column.key, STR("version")) ? FIELD_VERSION
                                                                                 : FIELDS;
    if (f != FIELDS) {
        struct str text = batch_text(b, s, f, row);
        if (text_is_there ? predicate_matches_text(p, text) : text.n > 0) return true;
    }
    return matches_attribute(p, b, s, row, &had);
}

static void row_children(const struct batch *b, enum field end_field, uint32_t row, uint32_t *first, uint32_t *end) {
    *first = row ? batch_u32(b, SET_ROWS, end_field, row - 1) : 0;
    *end = batch_u32(b, SET_ROWS, end_field, row);
}

static bool matches_event(const struct predicate *p, const struct batch *b, uint32_t row) {
    uint32_t event, end;
    if (b->signal != SIGNAL_SPANS || !b->set_rows[SET_EVENTS]) return false;
    for (row_children(b, FIELD_EVENT_END, row, &event, &end); event < end; event++)
        if (matches_named(p, b, SET_EVENTS, event)) return true;
    return false;
}

static uint32_t find_in_attributes(const struct words *w, const struct batch *b, enum set s, uint32_t row) {
    uint32_t found = 0;
    struct batch_attributes attributes = batch_attributes(b, s, row);
    for (uint32_t i = 0; i < attributes.n; i++)
        if (b->keys[attributes.keys[i]].type == VALUE_STRING)
            found |= words_find(w, batch_string(b, (uint32_t)attributes.values[i]));
    return found;
}

static uint32_t find_in_body(const struct words *w, const struct batch *b, uint32_t row) {
    uint32_t type = batch_u32(b, SET_ROWS, FIELD_BODY_TYPE, row);
    if (type == VALUE_EMPTY) return 0;
    if (type == VALUE_STRING) return words_find(w, batch_text(b, SET_ROWS, FIELD_BODY, row));
    AUTO_BUF struct buf text;
    buf_init(&text, 64 * MIB);
    value_write_text(b, (enum value_type)type, batch_u32(b, SET_ROWS, FIELD_BODY, row), &text);
    return words_find(w, buf_str(&text));
}

static bool matches_words(const struct words *w, const struct batch *b, uint32_t row) {
    uint32_t all = w->n == 32 ? UINT32_MAX : (1u << w->n) - 1, found = find_in_attributes(w, b, SET_ROWS, row);
    if (b->signal == SIGNAL_LOGS) return (found | find_in_body(w, b, row)) == all;
    found |= words_find(w, batch_text(b, SET_ROWS, FIELD_NAME, row));
    found |= words_find(w, batch_text(b, SET_ROWS, FIELD_STATUS_MESSAGE, row));
    uint32_t event = 0, end = 0;
    if (b->set_rows[SET_EVENTS]) row_children(b, FIELD_EVENT_END, row, &event, &end);
    for (; event < end && found != all; event++)
        found |=
            words_find(w, batch_text(b, SET_EVENTS, FIELD_NAME, event)) | find_in_attributes(w, b, SET_EVENTS, event);
    return found == all;
}

static bool matches_positive(const struct predicate *p, const struct batch *b, uint32_t row) {
    uint32_t resource = batch_u32(b, SET_ROWS, FIELD_RESOURCE, row);
    bool had = false, matched;
    switch (p->column.target) {
    case TARGET_FIELD: return field_in(p->column.field, b->signal, SET_ROWS) && matches_field(p, b, SET_ROWS, row);
    case TARGET_ATTRIBUTE: return matches_attribute(p, b, SET_ROWS, row, &had);
    case TARGET_RESOURCE: return matches_attribute(p, b, SET_RESOURCES, resource, &had);
    case TARGET_SCOPE: return matches_named(p, b, SET_SCOPES, batch_u32(b, SET_ROWS, FIELD_SCOPE, row));
    case TARGET_ANY:
        matched = matches_attribute(p, b, SET_ROWS, row, &had);
        return had ? matched : matches_attribute(p, b, SET_RESOURCES, resource, &had);
    case TARGET_EVENT: return matches_event(p, b, row);
    case TARGET_TEXT: return matches_words(p->words, b, row);
    }
    return false;
}

bool predicate_matches_row(const struct predicate *p, const struct batch *b, uint32_t row) {
    return matches_positive(p, b, row) != predicate_is_negative(p);
}
