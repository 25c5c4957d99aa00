#include "store/engine/delete_priv.h"

#include "base/text.h"

enum { DELETE_MEMORY_BYTES = 4 << 20 };

static const char *const target_names[] = {
    [TARGET_FIELD] = "field",       [TARGET_ATTRIBUTE] = "attribute",
    [TARGET_RESOURCE] = "resource", [TARGET_SCOPE] = "scope",
    [TARGET_ANY] = "any",           [TARGET_EVENT] = "event",
    [TARGET_TEXT] = "text",
};
static const char *const operator_names[] = {
    [OP_EQUAL] = "=",       [OP_NOT_EQUAL] = "!=",     [OP_LESS] = "<",      [OP_LESS_EQUAL] = "<=",
    [OP_GREATER] = ">",     [OP_GREATER_EQUAL] = ">=", [OP_MATCH] = "~",     [OP_NOT_MATCH] = "!~",
    [OP_EXISTS] = "exists", [OP_ABSENT] = "absent",    [OP_WORDS] = "words",
    [OP_ENDS] = "ends",
};

static bool find_name(const char *const *names, size_t n, struct str name, uint32_t *out) {
    for (size_t i = 0; i < n; i++) {
        if (!names[i] || !str_equal(str_of(names[i]), name)) continue;
        *out = (uint32_t)i;
        return true;
    }
    return false;
}

static bool find_field(struct str name, uint32_t *out) {
    for (uint32_t f = 0; f < FIELDS; f++) {
        if (!field_rows[f].name || !str_equal(str_of(field_rows[f].name), name)) continue;
        *out = f;
        return true;
    }
    return false;
}

static const char *const matcher_names[] = {
    [MATCHER_EQUAL] = "=", [MATCHER_NOT_EQUAL] = "!=", [MATCHER_REGEX] = "=~", [MATCHER_NOT_REGEX] = "!~"};
#define TARGET_LABEL "label" /* where others have target_names */

/* ---- the request as bytes --------------------------------------------------------------------------------------- */

static void put_predicate(struct buf *out, const struct predicate *p) {
    bool is_field = p->column.target == TARGET_FIELD;
    put_le_str(out, str_of(target_names[p->column.target]));
    put_le_str(out, is_field ? str_of(field_rows[p->column.field].name) : p->column.key);
    put_le_str(out, str_of(operator_names[p->op]));
    put_le_str(out, p->text);
}

static void put_trace_predicate(struct buf *out, const unsigned char id[16]) {
    AUTO_BUF struct buf hex;
    buf_init(&hex, 64);
    put_hex(&hex, id, 16);
    put_le_str(out, str_of(target_names[TARGET_FIELD]));
    put_le_str(out, str_of(field_rows[FIELD_TRACE_ID].name));
    put_le_str(out, str_of(operator_names[OP_EQUAL]));
    put_le_str(out, buf_str(&hex));
}

err delete_request_write(const struct delete_request *r, struct buf *out) {
    uint8_t signals = 0;
    for (int i = 0; i < SIGNALS; i++) signals |= (uint8_t)(r->signals[i] << i);
    if (!signals) return err_new(ERR_INVALID, "a delete names neither spans nor logs");
    if (r->time_min > r->time_max) return err_new(ERR_INVALID, "a delete's range ends before it begins");
    if (r->predicate_count > DELETE_PREDICATES_MAX)
        return err_new(ERR_LIMIT, "more than %d conditions", DELETE_PREDICATES_MAX);
    buf_add_byte(out, (char)signals);
    put_le_u64(out, (uint64_t)r->time_min);
    put_le_u64(out, (uint64_t)r->time_max);
    put_le_u32(out, (uint32_t)(r->predicate_count + r->by_trace));
    if (r->by_trace) put_trace_predicate(out, r->trace_id);
    for (size_t i = 0; i < r->predicate_count; i++) put_predicate(out, &r->predicates[i]);
    return out->full ? err_new(ERR_LIMIT, "the conditions of a delete are over %zu bytes", out->max) : NULL;
}

static err check_matchers(const struct series_request *r) {
    if (r->matcher_count > DELETE_PREDICATES_MAX)
        return err_new(ERR_LIMIT, "more than %d matchers", DELETE_PREDICATES_MAX);
    for (uint32_t i = 0; i < r->matcher_count; i++)
        if (r->matchers[i].op > MATCHER_NOT_REGEX) return err_new(ERR_INVALID, "an unknown operator");
    return NULL;
}

err delete_series_write(const struct series_request *r, struct buf *out) {
    if (r->time_min > r->time_max) return err_new(ERR_INVALID, "a delete's range ends before it begins");
    TRY(check_matchers(r));
    buf_add_byte(out, (char)(1 << TABLE_SERIES));
    put_le_u64(out, (uint64_t)r->time_min);
    put_le_u64(out, (uint64_t)r->time_max);
    put_le_u32(out, r->matcher_count);
    for (uint32_t i = 0; i < r->matcher_count; i++) {
        put_le_str(out, STR(TARGET_LABEL));
        put_le_str(out, r->matchers[i].name);
        put_le_str(out, str_of(matcher_names[r->matchers[i].op]));
        put_le_str(out, r->matchers[i].text);
    }
    return out->full ? err_new(ERR_LIMIT, "the matchers of a delete are over %zu bytes", out->max) : NULL;
}

struct read_predicate {
    struct str target, key, op, text;
};

static struct read_predicate get_predicate(struct cursor *c) {
    struct read_predicate p;
    p.target = cursor_str(c);
    p.key = cursor_str(c);
    p.op = cursor_str(c);
    p.text = cursor_str(c);
    return p;
}

static err compile(struct arena *a, const struct read_predicate *r, struct predicate *out) {
    uint32_t target, op, field = 0;
    if (!find_name(target_names, LENGTH(target_names), r->target, &target) ||
        !find_name(operator_names, LENGTH(operator_names), r->op, &op) ||
        (target == TARGET_FIELD && !find_field(r->key, &field)))
        return err_new(ERR_INVALID, "a delete's condition on " STR_FMT " is unknown to this version", STR_ARG(r->key));
    struct column_ref column = {.target = (enum target)target, .field = (enum field)field};
    if (target != TARGET_FIELD) column.key = arena_copy(a, r->key);
    struct str text = arena_copy(a, r->text);
    TRY(arena_err(a));
    return predicate_make(a, column, (enum operator)op, text, out);
}

/* Compiled once here, so that what cannot be is refused when it is asked for. */
static err read_matcher(struct delete_entry *d, const struct read_predicate *r, struct matcher_text *out) {
    struct label_matcher m = {0};
    uint32_t op;
    if (!str_equal(r->target, STR(TARGET_LABEL)) || !find_name(matcher_names, LENGTH(matcher_names), r->op, &op))
        return err_new(ERR_INVALID, "a delete's condition on " STR_FMT " is unknown to this version", STR_ARG(r->key));
    *out = (struct matcher_text){arena_copy(&d->memory, r->key), arena_copy(&d->memory, r->text),
                                 (enum label_matcher_op)op};
    TRY(arena_err(&d->memory));
    err e = label_matcher_make(&d->memory, out->name, out->op, out->text, &m);
    label_matcher_done(&m);
    return e;
}

static err read_matchers(struct delete_entry *d, struct cursor *c, uint32_t count) {
    if (c->bad || count > DELETE_PREDICATES_MAX) return err_new(ERR_CORRUPT, "a delete cannot be read");
    struct matcher_text *matchers = arena_array(&d->memory, struct matcher_text, count + 1);
    d->matchers = matchers;
    for (uint32_t i = 0; i < count; i++) {
        struct read_predicate r = get_predicate(c);
        if (c->bad) return err_new(ERR_CORRUPT, "a delete cannot be read");
        TRY(read_matcher(d, &r, &matchers[i]));
        d->matcher_count = i + 1;
    }
    return NULL;
}

static err compile_all(struct delete_entry *d, struct cursor *c, uint32_t count) {
    if (c->bad || count > DELETE_PREDICATES_MAX + 1) return err_new(ERR_CORRUPT, "a delete cannot be read");
    struct predicate *predicates = arena_array(&d->memory, struct predicate, MAX(count, 1));
    d->request.predicates = predicates;
    for (uint32_t i = 0; i < count; i++) {
        struct read_predicate r = get_predicate(c);
        if (c->bad) return err_new(ERR_CORRUPT, "a delete cannot be read");
        TRY(compile(&d->memory, &r, &predicates[i]));
        d->request.predicate_count = i + 1;
    }
    return NULL;
}

err delete_entry_make(const struct manifest_delete *m, struct delete_entry **out) {
    struct cursor c = {m->request.p, m->request.n, false};
    struct delete_entry *d = mem_new_of(struct delete_entry);
    atomic_init(&d->refs, 1);
    arena_init(&d->memory, DELETE_MEMORY_BYTES);
    d->id = m->id;
    d->sequence = m->sequence;
    memcpy(d->tenant, m->tenant, sizeof d->tenant);
    uint8_t signals = cursor_u8(&c);
    for (int i = 0; i < TABLE_KINDS; i++) d->signals[i] = signals >> i & 1;
    d->request.time_min = (int64_t)cursor_u64(&c);
    d->request.time_max = (int64_t)cursor_u64(&c);
    uint32_t count = cursor_u32(&c);
    err e = d->signals[TABLE_SERIES] ? read_matchers(d, &c, count) : compile_all(d, &c, count);
    if (e) {
        delete_entry_unref(d);
        return err_wrap(e, "delete %llu", (unsigned long long)m->id);
    }
    *out = d;
    return NULL;
}

void delete_request_dump(struct str request, struct buf *out) {
    struct cursor c = {request.p, request.n, false};
    uint8_t signals = cursor_u8(&c);
    int64_t from = (int64_t)cursor_u64(&c), to = (int64_t)cursor_u64(&c);
    uint32_t count = cursor_u32(&c);
    for (int i = 0; i < TABLE_KINDS; i++)
        if (signals >> i & 1) buf_add_fmt(out, " %s", table_name((enum signal)i));
    buf_add_fmt(out, " from %lld to %lld", (long long)from, (long long)to);
    for (uint32_t i = 0; i < count && !c.bad; i++) {
        struct read_predicate p = get_predicate(&c);
        buf_add_fmt(out, "; " STR_FMT " " STR_FMT " " STR_FMT " ", STR_ARG(p.target), STR_ARG(p.key), STR_ARG(p.op));
        put_terminal(out, p.text);
    }
    buf_add_byte(out, '\n');
}

/* ---- entries and sets ------------------------------------------------------------------------------------------- */

static struct delete_entry *delete_entry_ref(struct delete_entry *d) {
    atomic_fetch_add_explicit(&d->refs, 1, memory_order_relaxed);
    return d;
}

void delete_entry_unref(struct delete_entry *d) {
    if (!d || atomic_fetch_sub_explicit(&d->refs, 1, memory_order_acq_rel) > 1) return;
    for (size_t i = 0; i < d->request.predicate_count; i++)
        predicate_done((struct predicate *)(uintptr_t)&d->request.predicates[i]);
    arena_done(&d->memory);
    mem_free(d);
}

static struct delete_set *set_of(size_t n, uint64_t id_max) {
    struct delete_set *set = mem_new(sizeof *set + n * sizeof set->v[0]);
    atomic_init(&set->refs, 1);
    set->id_max = id_max;
    return set;
}

struct delete_set *delete_set_new(uint64_t id_max) {
    return set_of(0, id_max);
}

struct delete_set *delete_set_ref(struct delete_set *set) {
    atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    return set;
}

void delete_set_unref(struct delete_set *set) {
    if (!set || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) > 1) return;
    for (size_t i = 0; i < set->n; i++) delete_entry_unref(set->v[i]);
    mem_free(set);
}

struct delete_set *delete_set_with(const struct delete_set *old, struct delete_entry *d) {
    struct delete_set *set = set_of(old->n + 1, MAX(old->id_max, d->id));
    for (size_t i = 0; i < old->n; i++) set->v[set->n++] = delete_entry_ref(old->v[i]);
    set->v[set->n++] = d;
    return set;
}

struct delete_set *delete_set_without(const struct delete_set *old, uint64_t id) {
    struct delete_set *set = set_of(old->n, old->id_max);
    for (size_t i = 0; i < old->n; i++)
        if (old->v[i]->id != id) set->v[set->n++] = delete_entry_ref(old->v[i]);
    return set;
}

/* ---- matching --------------------------------------------------------------------------------------------------- */

bool delete_is_of(const struct delete_entry *d, const char *tenant, enum signal signal) {
    return d->signals[signal] && strcmp(d->tenant, tenant) == 0;
}

bool delete_touches_range(const struct delete_entry *d, int64_t time_min, int64_t time_max) {
    return d->request.time_min <= time_max && d->request.time_max >= time_min;
}

bool delete_touches_part(const struct delete_entry *d, const struct part_entry *p) {
    return d->id > p->deletes_applied && delete_touches_range(d, p->time_min, p->time_max);
}

bool delete_touches_batch(const struct delete_entry *d, const struct memory_batch *m) {
    return m->sequence <= d->sequence && delete_touches_range(d, m->view.time_min, m->view.time_max);
}

bool delete_matches_row(const struct delete_entry *d, const struct batch *b, uint32_t row) {
    uint64_t raw = batch_u64(b, SET_ROWS, FIELD_TIME, row);
    int64_t time = raw > INT64_MAX ? INT64_MAX : (int64_t)raw;
    if (time < d->request.time_min || time > d->request.time_max) return false;
    for (size_t i = 0; i < d->request.predicate_count; i++)
        if (!predicate_matches_row(&d->request.predicates[i], b, row)) return false;
    return true;
}
