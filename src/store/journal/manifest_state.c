#include "store/journal/manifest_priv.h"

void manifest_state_init(struct manifest_state *s) {
    *s = (struct manifest_state){.next_part = 1, .next_delete = 1, .log_from = 1};
}

void manifest_state_done(struct manifest_state *s) {
    for (size_t i = 0; i < s->deletes.n; i++) mem_free((char *)(uintptr_t)s->deletes.v[i].request.p);
    vec_done(&s->tables);
    vec_done(&s->parts);
    vec_done(&s->deletes);
}

static struct manifest_table *find_table(const struct manifest_state *s, struct str tenant, enum signal signal) {
    for (size_t i = 0; i < s->tables.n; i++) {
        struct manifest_table *t = &s->tables.v[i];
        if (t->signal == signal && str_equal(str_of(t->tenant), tenant)) return t;
    }
    return NULL;
}

uint64_t manifest_covered(const struct manifest_state *s, struct str tenant, enum signal signal) {
    const struct manifest_table *t = find_table(s, tenant, signal);
    return t ? t->covered : 0;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

static void put_operation(struct buf *b, enum manifest_operation o) { buf_add_byte(b, (char)o); }

static void put_tenant(struct buf *b, const char *tenant, enum signal signal) {
    put_le_str(b, str_of(tenant));
    buf_add_byte(b, (char)signal);
}

static void edit_next(struct buf *edit, const struct manifest_state *s) {
    put_operation(edit, OPERATION_NEXT);
    put_le_u64(edit, s->next_part);
    put_le_u64(edit, s->next_delete);
    put_le_u64(edit, s->log_from);
    put_le_u64(edit, s->sequence);
}

void edit_part_add(struct buf *edit, const struct manifest_part *p) {
    put_operation(edit, p->signal == TABLE_SERIES    ? OPERATION_SERIES_ADD
                        : p->signal == TABLE_ROLLUPS ? OPERATION_ROLLUP_ADD
                                                     : OPERATION_PART_ADD);
    put_tenant(edit, p->tenant, p->signal);
    put_le_u64(edit, p->id);
    put_le_u32(edit, (uint32_t)p->day);
    put_le_u64(edit, p->rows);
    put_le_u64(edit, p->bytes);
    put_le_u64(edit, (uint64_t)p->time_min);
    put_le_u64(edit, (uint64_t)p->time_max);
    put_le_u64(edit, p->deletes_applied);
    if (p->signal == TABLE_SERIES) put_le_u64(edit, p->age);
}

void edit_part_remove(struct buf *edit, uint64_t id) {
    put_operation(edit, OPERATION_PART_REMOVE);
    put_le_u64(edit, id);
}

void edit_covered(struct buf *edit, const struct manifest_table *t) {
    put_operation(edit, OPERATION_COVERED);
    put_tenant(edit, t->tenant, t->signal);
    put_le_u64(edit, t->covered);
}

void edit_log_from(struct buf *edit, uint64_t segment) {
    put_operation(edit, OPERATION_LOG_FROM);
    put_le_u64(edit, segment);
}

void edit_delete(struct buf *edit, const struct manifest_delete *d) {
    put_operation(edit, OPERATION_DELETE);
    put_le_u64(edit, d->id);
    put_le_u64(edit, d->sequence);
    put_le_u64(edit, (uint64_t)d->created_ns);
    put_le_str(edit, str_of(d->tenant));
    put_le_str(edit, d->request);
}

void edit_delete_done(struct buf *edit, uint64_t id) {
    put_operation(edit, OPERATION_DELETE_DONE);
    put_le_u64(edit, id);
}

void manifest_state_write(const struct manifest_state *s, struct buf *out) {
    edit_next(out, s);
    for (size_t i = 0; i < s->tables.n; i++) edit_covered(out, &s->tables.v[i]);
    for (size_t i = 0; i < s->parts.n; i++) edit_part_add(out, &s->parts.v[i]);
    for (size_t i = 0; i < s->deletes.n; i++) edit_delete(out, &s->deletes.v[i]);
}

/* ---- reading ---------------------------------------------------------------------------------------------------- */

struct operation {
    enum manifest_operation kind;
    struct manifest_state next; /* OPERATION_NEXT, OPERATION_LOG_FROM: its numbers */
    struct manifest_part part;
    struct manifest_table table;
    struct manifest_delete delete;
    uint64_t id;
};

static void get_tenant(struct cursor *c, char out[TENANT_BYTES]) {
    struct str s = cursor_str(c);
    if (!tenant_is_valid(s)) {
        *c = (struct cursor){.bad = true};
        return;
    }
    memcpy(out, s.p, s.n);
    out[s.n] = 0;
}

static enum signal get_signal(struct cursor *c) {
    uint8_t v = cursor_u8(c);
    if (v >= TABLE_KINDS) *c = (struct cursor){.bad = true};
    return v >= TABLE_KINDS ? 0 : (enum signal)v;
}

static void get_part(struct cursor *c, struct manifest_part *p) {
    get_tenant(c, p->tenant);
    p->signal = get_signal(c);
    p->id = cursor_u64(c);
    p->day = (int32_t)cursor_u32(c);
    p->rows = cursor_u64(c);
    p->bytes = cursor_u64(c);
    p->time_min = (int64_t)cursor_u64(c);
    p->time_max = (int64_t)cursor_u64(c);
    p->deletes_applied = cursor_u64(c);
}

static void get_delete(struct cursor *c, struct manifest_delete *d) {
    d->id = cursor_u64(c);
    d->sequence = cursor_u64(c);
    d->created_ns = (int64_t)cursor_u64(c);
    get_tenant(c, d->tenant);
    d->request = cursor_str(c);
}

static bool operation_read(struct cursor *c, struct operation *out) {
    *out = (struct operation){.kind = (enum manifest_operation)cursor_u8(c)};
    switch (out->kind) {
    case OPERATION_NEXT:
        out->next.next_part = cursor_u64(c);
        out->next.next_delete = cursor_u64(c);
        out->next.log_from = cursor_u64(c);
        out->next.sequence = cursor_u64(c);
        break;
    case OPERATION_PART_ADD:
        get_part(c, &out->part);
        c->bad |= out->part.signal >= TABLE_SERIES;
        break;
    case OPERATION_ROLLUP_ADD:
        get_part(c, &out->part);
        c->bad |= out->part.signal != TABLE_ROLLUPS;
        break;
    case OPERATION_SERIES_ADD:
        get_part(c, &out->part);
        out->part.age = cursor_u64(c);
        c->bad |= out->part.signal != TABLE_SERIES;
        break;
    case OPERATION_COVERED:
        get_tenant(c, out->table.tenant);
        out->table.signal = get_signal(c);
        out->table.covered = cursor_u64(c);
        break;
    case OPERATION_LOG_FROM: out->next.log_from = cursor_u64(c); break;
    case OPERATION_DELETE: get_delete(c, &out->delete); break;
    case OPERATION_PART_REMOVE:
    case OPERATION_DELETE_DONE: out->id = cursor_u64(c); break;
    default: c->bad = true; break;
    }
    return !c->bad;
}

static void set_covered(struct manifest_state *s, const struct manifest_table *t) {
    struct manifest_table *old = find_table(s, str_of(t->tenant), t->signal);
    if (old)
        old->covered = MAX(old->covered, t->covered);
    else
        *vec_push(&s->tables) = *t;
    if (t->signal != TABLE_ROLLUPS) s->sequence = MAX(s->sequence, t->covered);
}

static bool remove_part(struct manifest_state *s, uint64_t id) {
    for (size_t i = 0; i < s->parts.n; i++) {
        if (s->parts.v[i].id != id) continue;
        memmove(&s->parts.v[i], &s->parts.v[i + 1], (s->parts.n - i - 1) * sizeof *s->parts.v);
        s->parts.n--;
        return true;
    }
    return false;
}

static bool remove_delete(struct manifest_state *s, uint64_t id) {
    for (size_t i = 0; i < s->deletes.n; i++) {
        if (s->deletes.v[i].id != id) continue;
        mem_free((char *)(uintptr_t)s->deletes.v[i].request.p);
        memmove(&s->deletes.v[i], &s->deletes.v[i + 1], (s->deletes.n - i - 1) * sizeof *s->deletes.v);
        s->deletes.n--;
        return true;
    }
    return false;
}

static bool operation_apply(struct manifest_state *s, const struct operation *o) {
    switch (o->kind) {
    case OPERATION_NEXT:
        s->next_part = MAX(s->next_part, o->next.next_part);
        s->next_delete = MAX(s->next_delete, o->next.next_delete);
        s->log_from = MAX(s->log_from, o->next.log_from);
        s->sequence = MAX(s->sequence, o->next.sequence);
        return true;
    case OPERATION_PART_ADD:
    case OPERATION_SERIES_ADD:
    case OPERATION_ROLLUP_ADD:
        s->next_part = MAX(s->next_part, o->part.id + 1);
        *vec_push(&s->parts) = o->part;
        return true;
    case OPERATION_PART_REMOVE: return remove_part(s, o->id);
    case OPERATION_COVERED: set_covered(s, &o->table); return true;
    case OPERATION_LOG_FROM: s->log_from = MAX(s->log_from, o->next.log_from); return true;
    case OPERATION_DELETE:
        s->next_delete = MAX(s->next_delete, o->delete.id + 1);
        *vec_push(&s->deletes) = o->delete;
        s->deletes.v[s->deletes.n - 1].request = (struct str){str_dup(o->delete.request), o->delete.request.n};
        return true;
    case OPERATION_DELETE_DONE: return remove_delete(s, o->id);
    }
    return false;
}

err manifest_state_apply(struct manifest_state *s, struct str edit) {
    struct cursor c = {edit.p, edit.n, false};
    struct operation o;
    while (c.n > 0) {
        if (!operation_read(&c, &o)) return err_new(ERR_CORRUPT, "an operation cannot be read");
        if (!operation_apply(s, &o))
            return err_new(ERR_CORRUPT, "operation %d on %llu, which is not there", (int)o.kind,
                           (unsigned long long)o.id);
    }
    return c.bad ? err_new(ERR_CORRUPT, "an operation cannot be read") : NULL;
}

static void operation_dump(const struct operation *o, struct buf *out) {
    const struct manifest_part *p = &o->part;
    switch (o->kind) {
    case OPERATION_NEXT:
        buf_add_fmt(out, "  next part %llu, next delete %llu, log from segment %llu, sequence %llu\n",
                    (unsigned long long)o->next.next_part, (unsigned long long)o->next.next_delete,
                    (unsigned long long)o->next.log_from, (unsigned long long)o->next.sequence);
        break;
    case OPERATION_PART_ADD:
    case OPERATION_SERIES_ADD:
    case OPERATION_ROLLUP_ADD: {
        struct path path = path_part(".", p->tenant, p->signal, p->day, p->id);
        buf_add_fmt(out, "  add %s: %llu rows, %llu bytes, deletes applied to %llu\n", path.text + 2,
                    (unsigned long long)p->rows, (unsigned long long)p->bytes, (unsigned long long)p->deletes_applied);
        break;
    }
    case OPERATION_PART_REMOVE: buf_add_fmt(out, "  remove part %llu\n", (unsigned long long)o->id); break;
    case OPERATION_COVERED:
        buf_add_fmt(out, "  %s/%s covered to sequence %llu\n", o->table.tenant, table_name(o->table.signal),
                    (unsigned long long)o->table.covered);
        break;
    case OPERATION_LOG_FROM: buf_add_fmt(out, "  log from segment %llu\n", (unsigned long long)o->next.log_from); break;
    case OPERATION_DELETE:
        buf_add_fmt(out, "  delete %llu of %s, to sequence %llu\n", (unsigned long long)o->delete.id, o->delete.tenant,
                    (unsigned long long)o->delete.sequence);
        break;
    case OPERATION_DELETE_DONE: buf_add_fmt(out, "  delete %llu is done\n", (unsigned long long)o->id); break;
    }
}

void edit_dump(struct str edit, struct buf *out) {
    struct cursor c = {edit.p, edit.n, false};
    struct operation o;
    while (c.n > 0) {
        if (!operation_read(&c, &o)) {
            buf_add_text(out, "  an operation that cannot be read\n");
            return;
        }
        operation_dump(&o, out);
    }
}
