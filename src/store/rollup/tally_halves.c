/* Halves of edges: which of them belong together. */
#include <stdlib.h>

#include "base/hash.h"
#include "store/rollup/tally_priv.h"

enum { SLOTS_FIRST = 256, OF_PEER = 256 /* added to the connection: of a client alone and the peer that it names */ };

uint64_t rollup_half_key(const unsigned char trace_id[16], uint64_t client_span) {
    unsigned char bytes[24];
    memcpy(bytes, trace_id, 16);
    memcpy(bytes + 16, &client_span, 8);
    return hash_bytes(bytes, sizeof bytes);
}

static void place_client(struct tally *t, uint32_t number) {
    uint32_t at = (uint32_t)t->clients.v[number].key & t->client_mask;
    while (t->client_slots[at]) at = (at + 1) & t->client_mask;
    t->client_slots[at] = number + 1;
}

/* Those that came since. */
static void index_clients(struct tally *t) {
    size_t room = t->client_slots ? (size_t)t->client_mask + 1 : 0;
    if (t->clients.n > room / 2) {
        for (room = SLOTS_FIRST; t->clients.n > room / 2;) room *= 2;
        mem_free(t->client_slots);
        t->client_slots = mem_new_array(uint32_t, room);
        t->client_mask = (uint32_t)room - 1;
        t->indexed = 0;
    }
    while (t->indexed < t->clients.n) place_client(t, (uint32_t)t->indexed++);
}

void tally_put_half(struct tally *t, const struct tally_half *h) {
    *(h->is_server ? vec_push(&t->servers) : vec_push(&t->clients)) = *h;
}

static uint32_t edge_key(struct tally *t, enum rollup_view view, uint8_t connection,
                         const struct str texts[ROLLUP_TEXTS]) {
    struct rollup_key key = {.view = (uint8_t)view, .kind = connection};
    memcpy(key.texts, texts, sizeof key.texts);
    return rollup_sink_key(&t->sink, &key);
}

/* Environment, namespace and service out of a party's bytes, which are a key's. */
static bool party_texts(struct str bytes, struct arena *a, struct str out[3]) {
    AUTO_BUF struct buf key;
    struct rollup_key read;
    buf_init(&key, SIZE_MAX);
    buf_add_byte(&key, 0);
    buf_add_str(&key, bytes);
    for (int i = 0; i < 6; i++) buf_add_byte(&key, 0); /* two more texts, kind, status */
    bool ok = rollup_key_read(buf_str(&key), a, &read);
    for (int i = 0; i < 3 && ok; i++) out[i] = arena_copy(a, read.texts[i]);
    return ok && !a->full;
}

static struct tally_edge make_edge(struct tally *t, uint32_t client_party, uint32_t server_party, uint8_t connection) {
    AUTO_ARENA struct arena a;
    struct str client[3] = {{0}}, server[3] = {{0}}, texts[ROLLUP_TEXTS];
    arena_init(&a, SIZE_MAX);
    party_texts(strings_get(&t->parties, client_party), &a, client);
    party_texts(strings_get(&t->parties, server_party), &a, server);
    texts[ROLLUP_ENVIRONMENT] = server[0];
    texts[ROLLUP_CLIENT_NAMESPACE] = client[1];
    texts[ROLLUP_CLIENT] = client[2];
    texts[ROLLUP_SERVER_NAMESPACE] = server[1];
    texts[ROLLUP_SERVER] = server[2];
    return (struct tally_edge){
        {edge_key(t, ROLLUP_EDGE_SERVER, connection, texts), edge_key(t, ROLLUP_EDGE_CLIENT, connection, texts)}};
}

static void pair(struct tally *t, const struct tally *of_client, const struct tally_half *c,
                 const struct tally_half *s) {
    struct rollup_call server = s->call, client = c->call;
    uint8_t connection = MAX(c->connection, s->connection);
    uint32_t party =
        of_client == t ? c->party : strings_intern(&t->parties, strings_get(&of_client->parties, c->party));
    uint32_t known = t->pairs.n, ids[3] = {party, s->party, connection};
    uint32_t edge = strings_intern(&t->pairs, (struct str){(const char *)ids, sizeof ids});
    if (edge == known) *vec_push(&t->edges) = make_edge(t, party, s->party, connection);
    server.failed = client.failed = server.failed || client.failed;
    client.start_ns = server.start_ns;
    rollup_sink_add(&t->sink, t->edges.v[edge].keys[0], &server);
    rollup_sink_add(&t->sink, t->edges.v[edge].keys[1], &client);
}

/* The first client half of a server's span; all of that span are matched where they may be. */
static const struct tally_half *find_client(const struct tally *t, const struct tally_half *s) {
    const struct tally_half *found = NULL;
    if (!t->client_slots) return NULL;
    for (uint32_t at = (uint32_t)s->key & t->client_mask; t->client_slots[at]; at = (at + 1) & t->client_mask) {
        const struct tally_half *c = &t->clients.v[t->client_slots[at] - 1];
        if (c->key == s->key && (!found || c < found)) found = c;
    }
    return found;
}

static void mark_clients(struct tally *t, const struct tally_half *s) {
    for (uint32_t at = (uint32_t)s->key & t->client_mask; t->client_slots[at]; at = (at + 1) & t->client_mask) {
        struct tally_half *c = &t->clients.v[t->client_slots[at] - 1];
        if (c->key == s->key) c->is_matched = true;
    }
}

/* Servers that find a client go. */
static void pair_from(struct tally *t, const struct tally *clients) {
    size_t left = 0;
    for (size_t i = 0; i < t->servers.n; i++) {
        struct tally_half s = t->servers.v[i];
        const struct tally_half *c = find_client(clients, &s);
        if (!c) {
            t->servers.v[left++] = s;
            continue;
        }
        pair(t, clients, c, &s);
        if (clients == t) mark_clients(t, &s);
    }
    t->servers.n = left;
}

void tally_pair(struct tally *t) {
    index_clients(t);
    pair_from(t, t);
}
void tally_pair_with(struct tally *t, const struct tally *clients) { pair_from(t, clients); }

/* A number of `from` as one of t's; numbers: those that are known, + 1. */
static uint32_t text_of(struct tally *t, const struct tally *from, uint32_t *numbers, uint32_t text) {
    if (!numbers[text]) numbers[text] = strings_intern(&t->parties, strings_get(&from->parties, text)) + 1;
    return numbers[text] - 1;
}

void tally_add_open_halves(struct tally *t, const struct tally *from, int64_t arrived_ns) {
    AUTO_FREE uint32_t *numbers = mem_new_array(uint32_t, from->parties.n + 1);
    for (int side = 0; side < 2; side++) {
        const struct tally_half *v = side ? from->servers.v : from->clients.v;
        size_t n = side ? from->servers.n : from->clients.n;
        for (size_t i = 0; i < n; i++) {
            struct tally_half h = v[i];
            if (h.is_matched && !h.is_remembered) continue;
            if (!h.arrived_ns) h.arrived_ns = arrived_ns;
            h.party = text_of(t, from, numbers, h.party);
            h.peer = h.peer ? text_of(t, from, numbers, h.peer) : 0;
            tally_put_half(t, &h);
        }
    }
}

static uint32_t peer_key(struct tally *t, const struct tally_half *c, uint8_t connection) {
    AUTO_ARENA struct arena a;
    struct str client[3] = {{0}}, texts[ROLLUP_TEXTS] = {{0}};
    arena_init(&a, SIZE_MAX);
    party_texts(strings_get(&t->parties, c->party), &a, client);
    texts[ROLLUP_ENVIRONMENT] = client[0];
    texts[ROLLUP_CLIENT_NAMESPACE] = client[1];
    texts[ROLLUP_CLIENT] = client[2];
    texts[ROLLUP_SERVER] = strings_get(&t->parties, c->peer);
    return edge_key(t, ROLLUP_EDGE_CLIENT, connection, texts);
}

/* Tens of thousands wait, of a few parties: a key is made once. */
static void count_unmatched(struct tally *t, const struct tally_half *c) {
    if (c->is_matched || !c->peer) return;
    uint8_t connection = MAX(c->connection, (uint8_t)ROLLUP_TO_PEER);
    uint32_t known = t->pairs.n, ids[3] = {c->party, c->peer, OF_PEER + connection};
    uint32_t edge = strings_intern(&t->pairs, (struct str){(const char *)ids, sizeof ids});
    if (edge == known) {
        uint32_t key = peer_key(t, c, connection);
        *vec_push(&t->edges) = (struct tally_edge){{key, key}};
    }
    rollup_sink_add(&t->sink, t->edges.v[edge].keys[1], &c->call);
}

/* ---- halves of a file ------------------------------------------------------------------------------------------- */

static uint32_t bit_of(const struct half_filter *f, uint64_t key) { return (uint32_t)(key >> 32) & f->mask; }

void half_filter_init(struct half_filter *f, size_t halves, int64_t unmatched_before_ns) {
    uint32_t room = 64;
    while (room < (UINT32_C(1) << 31) && room / 16 < halves) room *= 2;
    *f = (struct half_filter){mem_new_array(uint64_t, room / 64), room - 1, unmatched_before_ns};
}

void half_filter_done(struct half_filter *f) { mem_free(f->bits); }

void half_filter_add(struct half_filter *f, const struct tally *t) {
    for (size_t i = 0; i < t->clients.n; i++) {
        uint32_t bit = bit_of(f, t->clients.v[i].key);
        f->bits[bit / 64] |= UINT64_C(1) << bit % 64;
    }
    for (size_t i = 0; i < t->servers.n; i++) {
        uint32_t bit = bit_of(f, t->servers.v[i].key);
        f->bits[bit / 64] |= UINT64_C(1) << bit % 64;
    }
}

void tally_take_half(struct tally *t, const struct half_filter *f, const struct tally_half *h) {
    uint32_t bit = f ? bit_of(f, h->key) : 0;
    if (!f || f->bits[bit / 64] >> bit % 64 & 1)
        tally_put_half(t, h);
    else if (!h->is_server && h->call.start_ns < f->unmatched_before_ns)
        count_unmatched(t, h);
}

/* ---- what is left ----------------------------------------------------------------------------------------------- */

void tally_count_unmatched(struct tally *t, int64_t before_ns) {
    for (size_t i = 0; i < t->clients.n; i++)
        if (t->clients.v[i].call.start_ns < before_ns) count_unmatched(t, &t->clients.v[i]);
}

void tally_settle(struct tally *t, struct tally *waiting) {
    index_clients(waiting);
    for (size_t i = 0; i < t->clients.n; i++)
        if (!find_client(waiting, &t->clients.v[i])) count_unmatched(t, &t->clients.v[i]);
}

/* Servers of one client have one key: which of them it is. */
static uint64_t half_id(const struct tally_half *h) {
    return hash_mix(h->key, hash_mix((uint64_t)h->call.start_ns, h->call.duration_ns));
}

static int by_key(const void *x, const void *y) {
    uint64_t a = *(const uint64_t *)x, b = *(const uint64_t *)y;
    return a < b ? -1 : a > b;
}

/* Of one side of t those that stay: of hours that are none of these, or that `counted` has on that side, too. */
static void keep_side(struct tally *t, const struct tally *counted, bool servers,
                      bool (*is_counted)(void *context, int64_t time_ns), void *context) {
    size_t n = servers ? counted->servers.n : counted->clients.n, kept = servers ? t->servers.n : t->clients.n,
           left = 0;
    const struct tally_half *from = servers ? counted->servers.v : counted->clients.v;
    struct tally_half *v = servers ? t->servers.v : t->clients.v;
    AUTO_FREE uint64_t *keys = mem_new_array(uint64_t, n + 1);
    for (size_t i = 0; i < n; i++) keys[i] = half_id(&from[i]);
    if (n) qsort(keys, n, sizeof *keys, by_key);
    for (size_t i = 0; i < kept; i++) {
        uint64_t id = half_id(&v[i]);
        if (!is_counted(context, v[i].call.start_ns) || bsearch(&id, keys, n, sizeof *keys, by_key)) v[left++] = v[i];
    }
    if (servers)
        t->servers.n = left;
    else
        t->clients.n = left;
}

void tally_keep_halves(struct tally *t, const struct tally *counted, bool (*is_counted)(void *context, int64_t time_ns),
                       void *context) {
    keep_side(t, counted, false, is_counted, context);
    keep_side(t, counted, true, is_counted, context);
}

/* How many of the first clients and servers are the oldest `over` of all. Each side came in order of arrival. */
static void oldest_of(const struct tally *t, size_t over, size_t first[2]) {
    for (first[0] = first[1] = 0; over > 0; over--) {
        bool client = first[0] < t->clients.n, server = first[1] < t->servers.n;
        if (client && server) client = t->clients.v[first[0]].arrived_ns <= t->servers.v[first[1]].arrived_ns;
        first[client ? 0 : 1]++;
    }
}

uint64_t tally_expire(struct tally *t, int64_t arrived_before_ns, size_t halves_max) {
    size_t left = 0, first[2];
    for (size_t i = 0; i < t->clients.n; i++) { /* those that are done with wait no more */
        const struct tally_half c = t->clients.v[i];
        if (c.arrived_ns < arrived_before_ns)
            count_unmatched(t, &c);
        else if (!c.is_matched || c.is_remembered)
            t->clients.v[left++] = c;
    }
    t->clients.n = left;
    left = 0;
    for (size_t i = 0; i < t->servers.n; i++)
        if (t->servers.v[i].arrived_ns >= arrived_before_ns) t->servers.v[left++] = t->servers.v[i];
    t->servers.n = left;
    size_t all = t->clients.n + t->servers.n, over = all > halves_max ? all - halves_max : 0;
    oldest_of(t, over, first);
    for (size_t i = 0; i < first[0]; i++) count_unmatched(t, &t->clients.v[i]);
    t->clients.n -= first[0];
    t->servers.n -= first[1];
    if (first[0]) memmove(t->clients.v, t->clients.v + first[0], t->clients.n * sizeof *t->clients.v);
    if (first[1]) memmove(t->servers.v, t->servers.v + first[1], t->servers.n * sizeof *t->servers.v);
    mem_free(t->client_slots);
    t->client_slots = NULL;
    t->client_mask = 0;
    t->indexed = 0;
    return over;
}
