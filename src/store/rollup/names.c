#include "store/rollup/names_priv.h"

static const struct str other = STR(ROLLUP_OTHER);

void rollup_names_init(struct rollup_names *n) {
    *n = (struct rollup_names){0};
    lock_init(&n->lock);
    strings_init(&n->services);
    strings_init(&n->operations);
    strings_init(&n->edges);
    buf_init(&n->scratch, SIZE_MAX);
}

void rollup_names_done(struct rollup_names *n) {
    strings_done(&n->services);
    strings_done(&n->operations);
    strings_done(&n->edges);
    vec_done(&n->operation_counts);
    buf_done(&n->scratch);
    lock_done(&n->lock);
}

/* Whether the text is known, or may be from now on. */
static bool admit(struct strings *known, struct str text, uint32_t most, uint32_t *out) {
    if (strings_find(known, text, out)) return true;
    if (known->n >= most) return false;
    *out = strings_intern(known, text);
    return true;
}

static void put_text(struct buf *b, struct str s) {
    uint64_t n = s.n;
    buf_add(b, &n, sizeof n);
    buf_add_str(b, s);
}

static void admit_span(struct rollup_names *n, struct rollup_key *key) {
    uint32_t service, operation;
    buf_clear(&n->scratch);
    for (int i = ROLLUP_ENVIRONMENT; i <= ROLLUP_SERVICE; i++) put_text(&n->scratch, key->texts[i]);
    if (!admit(&n->services, buf_str(&n->scratch), ROLLUP_SERVICES_MAX, &service)) {
        for (int i = ROLLUP_ENVIRONMENT; i <= ROLLUP_OPERATION; i++) key->texts[i] = other;
        return;
    }
    if (service >= n->operation_counts.n) *vec_push(&n->operation_counts) = 0;
    buf_clear(&n->scratch);
    buf_add(&n->scratch, &service, sizeof service);
    buf_add_str(&n->scratch, key->texts[ROLLUP_OPERATION]);
    bool full = n->operation_counts.v[service] >= ROLLUP_OPERATIONS_MAX;
    uint32_t before = n->operations.n;
    if (!admit(&n->operations, buf_str(&n->scratch), full ? 0 : ROLLUP_ALL_OPERATIONS_MAX, &operation))
        key->texts[ROLLUP_OPERATION] = other;
    n->operation_counts.v[service] += n->operations.n - before;
}

static void admit_edge(struct rollup_names *n, struct rollup_key *key) {
    uint32_t edge;
    buf_clear(&n->scratch);
    for (int i = 0; i < ROLLUP_TEXTS; i++) put_text(&n->scratch, key->texts[i]);
    if (admit(&n->edges, buf_str(&n->scratch), ROLLUP_EDGES_MAX, &edge)) return;
    key->texts[ROLLUP_CLIENT_NAMESPACE] = key->texts[ROLLUP_SERVER_NAMESPACE] = (struct str){0};
    key->texts[ROLLUP_ENVIRONMENT] = key->texts[ROLLUP_CLIENT] = key->texts[ROLLUP_SERVER] = other;
}

void rollup_names_admit(struct rollup_names *n, struct rollup_key *key) {
    lock_take(&n->lock);
    if (key->view == ROLLUP_SPANS)
        admit_span(n, key);
    else
        admit_edge(n, key);
    lock_give(&n->lock);
}
