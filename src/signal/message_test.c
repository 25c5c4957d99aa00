/* The writer of random messages (message_testing_priv.h). */
#include "signal/message_testing_priv.h"

struct buf *add(struct message *m, uint32_t number) {
    assert(m->n < FIELDS_MAX);
    m->numbers[m->n] = number;
    buf_init(&m->fields[m->n], MIB);
    return &m->fields[m->n++];
}

void add_bytes(struct message *m, uint32_t number, struct str s) {
    if (s.n) put_wire_bytes(add(m, number), number, s);
}
void add_varint(struct message *m, uint32_t number, uint64_t v) {
    if (v) put_wire_varint(add(m, number), number, v);
}
void add_fixed64(struct message *m, uint32_t number, uint64_t v) {
    if (v) put_wire_fixed64(add(m, number), number, v);
}
void add_fixed32(struct message *m, uint32_t number, uint32_t v) {
    if (v) put_wire_fixed32(add(m, number), number, v);
}

/* Canonical: in order of numbers. Else shuffled, but repeated fields stay in order among themselves, with strangers between. */
void flatten(struct chance *c, bool canonical, struct message *m, struct buf *out) {
    bool done[FIELDS_MAX] = {0};
    for (uint32_t i = 0; i < m->n; i++) {
        uint32_t pick = UINT32_MAX;
        if (canonical) {
            for (uint32_t j = 0; j < m->n; j++)
                if (!done[j] && (pick == UINT32_MAX || m->numbers[j] < m->numbers[pick])) pick = j;
        } else {
            do pick = chance_below(c, m->n);
            while (done[pick]);
            for (uint32_t j = pick; j-- > 0;)
                if (!done[j] && m->numbers[j] == m->numbers[pick]) pick = j;
            if (chance_one_in(c, 4)) put_wire_bytes(out, 1000 + chance_below(c, 100), STR("from the future"));
            if (chance_one_in(c, 4)) put_wire_fixed32(out, 99, 1);
        }
        done[pick] = true;
        buf_add_str(out, buf_str(&m->fields[pick]));
        buf_done(&m->fields[pick]);
    }
    m->n = 0;
}

struct str random_text(struct maker *k, char text[40]) {
    uint32_t n = chance_one_in(k->c, 4) ? 0 : chance_below(k->c, chance_one_in(k->c, 2) ? 4 : 40);
    for (uint32_t i = 0; i < n; i++) text[i] = (char)('a' + chance_below(k->c, n < 4 ? 2 : 26));
    if (n > 1 && chance_one_in(k->c, 20)) text[0] = (char)0xff; /* not UTF-8: kept */
    return str_span(text, n);
}

void add_attributes(struct maker *k, struct message *m, uint32_t number) {
    static const char *const keys[] = {"http.method", "http.route",  "user.id",
                                       "a",           "thread.name", "exception.stacktrace"};
    uint32_t first = chance_below(k->c, 2), n = chance_one_in(k->c, 5) ? 0 : chance_below(k->c, 8);
    for (uint32_t i = 0; i < n; i++) {
        char text[40];
        AUTO_BUF struct buf any, entry;
        buf_init(&any, MIB);
        buf_init(&entry, MIB);
        struct message parts = {0};
        if (chance_one_in(k->c, 3))
            random_any(k->c, 4, &any);
        else
            put_wire_bytes(&any, 1, random_text(k, text));
        add_bytes(&parts, 1, chance_one_in(k->c, 6) ? random_text(k, text) : str_of(keys[(first + i) % LENGTH(keys)]));
        put_wire_bytes(add(&parts, 2), 2, buf_str(&any));
        flatten(k->c, k->canonical, &parts, &entry);
        put_wire_bytes(add(m, number), number, buf_str(&entry));
    }
}

/* A sub-message in field `number`, made by `fill`. */
void add_message(struct maker *k, struct message *m, uint32_t number, bool if_empty,
                 void (*fill)(struct maker *k, struct message *m)) {
    struct message *sub = mem_new_of(struct message);
    AUTO_BUF struct buf bytes;
    buf_init(&bytes, 16 * MIB);
    fill(k, sub);
    flatten(k->c, k->canonical, sub, &bytes);
    mem_free(sub);
    if (bytes.n || if_empty) put_wire_bytes(add(m, number), number, buf_str(&bytes));
}

uint64_t rare(struct maker *k) { return chance_one_in(k->c, 4) ? chance_next(k->c) >> chance_below(k->c, 64) : 0; }
uint32_t rare32(struct maker *k) { return (uint32_t)rare(k); }
uint64_t rare_enum(struct maker *k) { return (uint64_t)(int64_t)(int32_t)rare32(k); }

void add_id(struct maker *k, struct message *m, uint32_t number, size_t n) {
    uint64_t id[2] = {chance_next(k->c) | 1, chance_next(k->c)};
    add_bytes(m, number, str_span(id, n));
}

void fill_resource(struct maker *k, struct message *m) {
    add_attributes(k, m, 1);
    add_varint(m, 2, rare32(k));
}

void fill_scope(struct maker *k, struct message *m) {
    char text[40];
    add_bytes(m, 1, random_text(k, text));
    add_bytes(m, 2, random_text(k, text));
    add_attributes(k, m, 3);
    add_varint(m, 4, rare32(k));
}
