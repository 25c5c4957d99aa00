/* Servers whose parent is no client half: which of the spans that may be parents it is. Parents are many and servers that look for one are few, so these are
 * indexed, and parents walked through. */
#include <stdlib.h>

#include "base/hash.h"
#include "store/rollup/tally_priv.h"

/* ---- filters ---------------------------------------------------------------------------------------------------- */

void key_filter_init(struct key_filter *f, size_t keys) {
    uint32_t room = 64;
    while (room < (UINT32_C(1) << 31) && room / 16 < keys) room *= 2;
    *f = (struct key_filter){mem_new_array(uint64_t, room / 64), room - 1};
}

void key_filter_done(struct key_filter *f) { mem_free(f->bits); }

const struct key_filter *tally_parent_filter(struct tally *t) {
    struct key_filter *f = &t->parent_filter;
    if (!f->bits || t->parents.n > f->mask / 16) {
        key_filter_done(f);
        key_filter_init(f, 2 * t->parents.n);
        t->parents_filtered = 0;
    }
    while (t->parents_filtered < t->parents.n) key_filter_add(f, t->parents.v[t->parents_filtered++].key);
    return f;
}

/* ---- the search ------------------------------------------------------------------------------------------------- */

/* Of a tally the servers that look for a parent, by key. A parent may have any number of children: those of one key are a list. */
struct search {
    struct key_filter filter;
    uint32_t *slots, mask; /* the first of a key: its number + 1 */
    uint32_t *next;        /* by number of a server: the next of its key, + 1 */
    uint32_t *found;       /* by number of a server: its parent, + 1 */
};

static uint32_t *slot_of(const struct search *x, const struct tally *t, uint64_t key) {
    for (uint32_t at = (uint32_t)hash_keyed(key, 0);; at++) {
        uint32_t *s = &x->slots[at & x->mask];
        if (!*s || t->servers.v[*s - 1].key == key) return s;
    }
}

/* all false: those that were not looked for so far. Returns how many there are. */
static size_t search_init(struct search *x, const struct tally *t, bool all) {
    size_t n = 0;
    for (size_t i = 0; i < t->servers.n; i++) n += all || !t->servers.v[i].is_looked_for;
    if (!n) return 0;
    uint32_t room = 64;
    while (room / 2 < n) room *= 2;
    key_filter_init(&x->filter, n);
    x->slots = mem_new_array(uint32_t, room);
    x->mask = room - 1;
    x->next = mem_new_array(uint32_t, t->servers.n);
    x->found = mem_new_array(uint32_t, t->servers.n);
    for (uint32_t i = 0; i < t->servers.n; i++) {
        const struct tally_half *s = &t->servers.v[i];
        if (!all && s->is_looked_for) continue;
        uint32_t *slot = slot_of(x, t, s->key);
        x->next[i] = *slot;
        *slot = i + 1;
        key_filter_add(&x->filter, s->key);
    }
    return n;
}

static void search_done(struct search *x) {
    key_filter_done(&x->filter);
    mem_free(x->slots);
    mem_free(x->next);
    mem_free(x->found);
}

/* Of spans with one id the first is the parent of all children, and the others are not looked at: as many of both may have come. */
static void find_parents(struct search *x, const struct tally *t, const struct tally *of, size_t from, size_t to) {
    for (size_t i = from; i < to; i++) {
        uint64_t key = of->parents.v[i].key;
        if (!key_filter_has(&x->filter, key)) continue;
        uint32_t first = *slot_of(x, t, key);
        if (first && x->found[first - 1]) continue;
        for (uint32_t s = first; s; s = x->next[s - 1]) x->found[s - 1] = (uint32_t)i + 1;
    }
}

/* Servers that find a parent among [from, to) go. */
static void pair_among(struct tally *t, const struct tally *of, size_t from, size_t to, bool all) {
    struct search x;
    size_t left = 0;
    if (from >= to || !search_init(&x, t, all)) return;
    find_parents(&x, t, of, from, to);
    for (size_t i = 0; i < t->servers.n; i++) {
        const struct tally_half *s = &t->servers.v[i];
        if (x.found[i]) {
            tally_pair_parent(t, of, &of->parents.v[x.found[i] - 1], s);
            continue;
        }
        if (left != i) t->servers.v[left] = *s;
        left++;
    }
    t->servers.n = left;
    search_done(&x);
}

void tally_pair_parents(struct tally *t) {
    size_t n = t->parents.n, before = MIN(t->parents_looked_at, n);
    pair_among(t, t, before, n, true);
    pair_among(t, t, 0, before, false);
    for (size_t i = 0; i < t->servers.n; i++) t->servers.v[i].is_looked_for = true;
    t->parents_looked_at = n;
}

void tally_pair_with_parents(struct tally *t, const struct tally *of) { pair_among(t, of, 0, of->parents.n, true); }

/* ---- those that wait -------------------------------------------------------------------------------------------- */

struct tally_half tally_parent_half(const struct tally_parent *p) {
    return (struct tally_half){.key = p->key,
                               .is_plain = true,
                               .party = p->party,
                               .call.start_ns = p->start_minute * rollup_minute_ns,
                               .arrived_ns = p->arrived_ns};
}

void tally_add_parents(struct tally *t, const struct tally *from, int64_t arrived_ns) {
    AUTO_FREE uint32_t *numbers = mem_new_array(uint32_t, from->parties.n + 1); /* + 1; 0: not yet asked */
    size_t n = from->parents.n;
    for (size_t i = n - MIN(n, (size_t)WAITING_PLAIN_MAX); i < n; i++) {
        struct tally_parent p = from->parents.v[i];
        uint32_t *number = &numbers[p.party];
        if (!*number) *number = strings_intern(&t->parties, strings_get(&from->parties, p.party)) + 1;
        if (!p.arrived_ns) p.arrived_ns = arrived_ns;
        p.party = *number - 1;
        *vec_push(&t->parents) = p;
    }
}

static int by_key(const void *x, const void *y) {
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return a < b ? -1 : a > b;
}

/* Those that wait are few, and those that were counted many: they are walked through once. */
void tally_keep_parents(struct tally *t, const struct tally *counted,
                        bool (*is_counted)(void *context, int64_t time_ns), void *context) {
    struct key_filter filter;
    size_t n = t->parents.n, left = 0;
    AUTO_FREE uint64_t *keys = mem_new_array(uint64_t, n + 1);
    AUTO_FREE bool *seen = mem_new_array(bool, n + 1); /* of those keys */
    key_filter_init(&filter, n);
    for (size_t i = 0; i < n; i++) key_filter_add(&filter, keys[i] = t->parents.v[i].key);
    if (n) qsort(keys, n, sizeof *keys, by_key);
    for (size_t i = 0; i < counted->parents.n && n; i++) {
        uint64_t key = counted->parents.v[i].key;
        const uint64_t *at = key_filter_has(&filter, key) ? bsearch(&key, keys, n, sizeof key, by_key) : NULL;
        if (at) seen[at - keys] = true;
    }
    for (size_t i = 0; i < n; i++) {
        const struct tally_parent p = t->parents.v[i];
        const uint64_t *at = bsearch(&p.key, keys, n, sizeof p.key, by_key);
        if (!is_counted(context, p.start_minute * rollup_minute_ns) || seen[at - keys]) t->parents.v[left++] = p;
    }
    t->parents.n = left;
    key_filter_done(&filter);
}

void tally_expire_parents(struct tally *t, int64_t arrived_before_ns, size_t parents_max) {
    size_t left = 0, over = t->parents.n - MIN(t->parents.n, parents_max);
    for (size_t i = over; i < t->parents.n; i++)
        if (t->parents.v[i].arrived_ns >= arrived_before_ns) t->parents.v[left++] = t->parents.v[i];
    t->parents.n = left;
    t->parents_looked_at = t->parents_filtered = 0;
    key_filter_done(&t->parent_filter);
    t->parent_filter.bits = NULL;
}
