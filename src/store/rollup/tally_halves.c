/* Halves of edges: which of them belong together. */
#include <stdlib.h>

#include "base/hash.h"
#include "store/rollup/tally_priv.h"

enum {
    SLOTS_FIRST = 256,
    OF_PLAIN = 512,
    OF_PEER = 256 /* added to the connection: of a client alone and the peer that it names */
};

uint64_t rollup_half_key(const unsigned char trace_id[16], uint64_t client_span) {
    unsigned char bytes[24];
    memcpy(bytes, trace_id, 16);
    memcpy(bytes + 16, &client_span, 8);
    return hash_bytes(bytes, sizeof bytes);
}

/* That of a key; 0: it has no client. */
static uint32_t *client_slot(const struct tally *t, uint64_t key) {
    for (uint32_t at = (uint32_t)hash_keyed(key, 0);; at++) {
        uint32_t *slot = &t->client_slots[at & t->client_mask];
        if (!*slot || t->clients.v[*slot - 1].key == key) return slot;
    }
}

/* Clients of one key are matched together: each is marked once, however many of both sides come. */
static void match_clients(struct tally *t, uint32_t first) {
    if (t->clients.v[first].is_matched) return;
    for (uint32_t c = first + 1; c; c = t->client_next[c - 1]) t->clients.v[c - 1].is_matched = true;
}

static void place_client(struct tally *t, uint32_t number) {
    struct tally_half *c = &t->clients.v[number];
    uint32_t *slot = client_slot(t, c->key), first = *slot;
    t->client_next[number] = 0;
    if (!first) {
        *slot = number + 1;
        return;
    }
    if (c->is_matched) match_clients(t, first - 1);
    c->is_matched = t->clients.v[first - 1].is_matched;
    t->client_next[number] = t->client_next[first - 1];
    t->client_next[first - 1] = number + 1;
}

static void forget_index(struct tally *t) {
    mem_free(t->client_slots);
    mem_free(t->client_next);
    t->client_slots = t->client_next = NULL;
    t->client_mask = 0;
    t->indexed = 0;
}

/* Those that came since. */
static void index_clients(struct tally *t) {
    size_t room = t->client_slots ? (size_t)t->client_mask + 1 : 0;
    if (t->clients.n > room / 2) {
        for (room = SLOTS_FIRST; t->clients.n > room / 2;) room *= 2;
        forget_index(t);
        t->client_slots = mem_new_array(uint32_t, room);
        t->client_next = mem_new_array(uint32_t, room / 2);
        t->client_mask = (uint32_t)room - 1;
    }
    while (t->indexed < t->clients.n) place_client(t, (uint32_t)t->indexed++);
}

void tally_put_half(struct tally *t, const struct tally_half *h) {
    if (h->is_plain && !h->is_server)
        *vec_push(&t->parents) = (struct tally_parent){.key = h->key,
                                                       .arrived_ns = h->arrived_ns,
                                                       .party = h->party,
                                                       .start_minute = (uint32_t)(h->call.start_ns / rollup_minute_ns)};
    else
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

/* The namespace and the name of a party: what stands behind the first text. */
static struct str service_of(struct str party) {
    const char *end = party.n ? memmem(party.p, party.n, "\0\0", 2) : NULL;
    return end ? (struct str){end + 2, party.n - 2 - (size_t)(end - party.p)} : party;
}

static bool is_same_service(const struct tally *t, uint32_t a, uint32_t b) {
    return a == b || str_equal(service_of(strings_get(&t->parties, a)), service_of(strings_get(&t->parties, b)));
}

/* The edge of two parties of t, made when it is asked for first. plain: has no keys if both are one service. */
static struct tally_edge edge_of(struct tally *t, uint32_t client, uint32_t server, uint8_t connection, bool plain) {
    uint32_t ids[3] = {client, server, connection + (plain ? OF_PLAIN : 0)};
    struct tally_edge_asked *asked =
        &t->edges_asked[hash_mix((uint64_t)client << 32 | server, ids[2]) % LENGTH(t->edges_asked)];
    if (asked->is_known && memcmp(asked->ids, ids, sizeof ids) == 0) return asked->edge;
    uint32_t known = t->pairs.n, edge = strings_intern(&t->pairs, (struct str){(const char *)ids, sizeof ids});
    if (edge == known)
        *vec_push(&t->edges) = plain && is_same_service(t, client, server)
                                   ? (struct tally_edge){{TALLY_NO_KEY, TALLY_NO_KEY}}
                                   : make_edge(t, client, server, connection);
    *asked = (struct tally_edge_asked){.is_known = true, .edge = t->edges.v[edge]};
    memcpy(asked->ids, ids, sizeof ids);
    return asked->edge;
}

/* A party of `of` as one of t's. */
static uint32_t party_in(struct tally *t, const struct tally *of, uint32_t party) {
    return of == t ? party : strings_intern(&t->parties, strings_get(&of->parties, party));
}

/* False: a plain one that its own service calls. */
static bool pair(struct tally *t, const struct tally *of_client, const struct tally_half *c,
                 const struct tally_half *s) {
    struct rollup_call server = s->call, client = c->call;
    struct tally_edge edge =
        edge_of(t, party_in(t, of_client, c->party), s->party, MAX(c->connection, s->connection), s->is_plain);
    if (edge.keys[0] == TALLY_NO_KEY) return false;
    server.failed = client.failed = server.failed || client.failed;
    client.start_ns = server.start_ns;
    rollup_sink_add(&t->sink, edge.keys[0], &server);
    rollup_sink_add(&t->sink, edge.keys[1], &client);
    return true;
}

void tally_pair_parent(struct tally *t, const struct tally *of, const struct tally_parent *p,
                       const struct tally_half *s) {
    struct tally_edge edge = edge_of(t, party_in(t, of, p->party), s->party, s->connection, true);
    if (edge.keys[0] != TALLY_NO_KEY) rollup_sink_add(&t->sink, edge.keys[0], &s->call);
}

/* The first client half of a key. */
static const struct tally_half *find_client(const struct tally *t, uint64_t key) {
    uint32_t first = t->client_slots ? *client_slot(t, key) : 0;
    return first ? &t->clients.v[first - 1] : NULL;
}

/* Servers that find a client go. */
static void pair_from(struct tally *t, const struct tally *clients) {
    size_t left = 0;
    for (size_t i = 0; i < t->servers.n; i++) {
        const struct tally_half *s = &t->servers.v[i], *c = find_client(clients, s->key);
        if (!c) {
            if (left != i) t->servers.v[left] = *s;
            left++;
            continue;
        }
        if (pair(t, clients, c, s) && clients == t) match_clients(t, (uint32_t)(c - t->clients.v));
    }
    t->servers.n = left;
}

void tally_pair(struct tally *t) {
    index_clients(t);
    pair_from(t, t);
}

void tally_pair_with(struct tally *t, const struct tally *clients) {
    pair_from(t, clients);
    tally_pair_with_parents(t, clients);
}

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
            h.is_looked_for = false;
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

void half_filter_init(struct half_filter *f, size_t halves, int64_t unmatched_before_ns) {
    *f = (struct half_filter){.unmatched_before_ns = unmatched_before_ns};
    key_filter_init(&f->keys, halves);
}

void half_filter_done(struct half_filter *f) { key_filter_done(&f->keys); }

void half_filter_add(struct half_filter *f, struct tally *t) {
    for (size_t i = 0; i < t->clients.n; i++) key_filter_add(&f->keys, t->clients.v[i].key);
    for (size_t i = 0; i < t->servers.n; i++) key_filter_add(&f->keys, t->servers.v[i].key);
    assert(!f->parents[1]);
    f->parents[f->parents[0] != NULL] = tally_parent_filter(t);
}

static bool may_pair(const struct half_filter *f, const struct tally_half *h) {
    if (key_filter_has(&f->keys, h->key)) return true;
    for (size_t i = 0; i < LENGTH(f->parents) && f->parents[i] && h->is_server; i++)
        if (key_filter_has(f->parents[i], h->key)) return true;
    return false;
}

void tally_take_half(struct tally *t, const struct half_filter *f, const struct tally_half *h) {
    if (!f || may_pair(f, h))
        tally_put_half(t, h);
    else if (!h->is_server && h->call.start_ns < f->unmatched_before_ns)
        count_unmatched(t, h);
}

/* ---- what is left ----------------------------------------------------------------------------------------------- */

void tally_count_unmatched(struct tally *t, int64_t before_ns) {
    for (size_t i = 0; i < t->clients.n; i++)
        if (t->clients.v[i].call.start_ns < before_ns) count_unmatched(t, &t->clients.v[i]);
}

/* Plain ones have the room that is left. */
static size_t count_halves(const struct tally *t) {
    size_t n = t->clients.n + t->servers.n;
    for (size_t i = 0; i < t->servers.n; i++) n -= t->servers.v[i].is_plain;
    return n;
}

/* A half that waits for its server again may pair with one that waits, too: the next flush looks. */
size_t tally_settle(struct tally *t, struct tally *waiting, const struct tally_again *again) {
    AUTO_FREE uint32_t *numbers = mem_new_array(uint32_t, t->parties.n + 1);
    size_t n = 0, halves = count_halves(waiting), room = again->halves_max - MIN(halves, again->halves_max);
    index_clients(waiting);
    for (size_t i = 0; i < t->clients.n; i++) {
        struct tally_half c = t->clients.v[i];
        if (c.is_matched || find_client(waiting, c.key)) continue;
        if (c.call.start_ns < again->from_ns || c.call.start_ns > again->to_ns || n == room) {
            count_unmatched(t, &c);
            continue;
        }
        c.arrived_ns = again->arrived_ns;
        c.party = text_of(waiting, t, numbers, c.party);
        c.peer = c.peer ? text_of(waiting, t, numbers, c.peer) : 0;
        tally_put_half(waiting, &c);
        n++;
    }
    return n;
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
    tally_keep_parents(t, counted, is_counted, context);
}

/* How many of the first clients and servers have the oldest `over` of all that are not plain. Each side came in order of arrival. */
static void oldest_of(const struct tally *t, size_t over, size_t first[2]) {
    for (first[0] = first[1] = 0; over > 0; over--) {
        while (first[1] < t->servers.n && t->servers.v[first[1]].is_plain) first[1]++;
        bool client = first[0] < t->clients.n, server = first[1] < t->servers.n;
        if (client && server) client = t->clients.v[first[0]].arrived_ns <= t->servers.v[first[1]].arrived_ns;
        first[client ? 0 : 1]++;
    }
}

/* Of the first servers those that are not plain, and the first plain ones. */
static void drop_servers(struct tally *t, size_t first, size_t plain) {
    size_t left = 0;
    for (size_t i = 0, seen = 0; i < t->servers.n; i++) {
        const struct tally_half s = t->servers.v[i];
        if (s.is_plain ? seen++ >= plain : i >= first) t->servers.v[left++] = s;
    }
    t->servers.n = left;
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
    size_t all = count_halves(t), plain = t->clients.n + t->servers.n - all,
           over = all > halves_max ? all - halves_max : 0, room = halves_max - (all - over);
    oldest_of(t, over, first);
    for (size_t i = 0; i < first[0]; i++) count_unmatched(t, &t->clients.v[i]);
    t->clients.n -= first[0];
    if (first[0]) memmove(t->clients.v, t->clients.v + first[0], t->clients.n * sizeof *t->clients.v);
    size_t plain_max = MIN(room, (size_t)WAITING_PLAIN_MAX);
    drop_servers(t, first[1], plain - MIN(plain, plain_max));
    tally_expire_parents(t, arrived_before_ns, MIN(room - MIN(plain, plain_max), (size_t)WAITING_PLAIN_MAX));
    forget_index(t);
    return over;
}
