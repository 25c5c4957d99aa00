#include "ingest/rollup/rollup.h"

#include "base/text.h"
#include "signal/otlp.h"

enum { KIND_SERVER = 2, KIND_CLIENT, KIND_PRODUCER, KIND_CONSUMER, KINDS };
enum { STATUS_ERROR = 2, STATUSES };
enum { TEXTS_BYTES_MAX = 64 << 20, SLOTS_FIRST = 64, SLOTS_FIRST_MAX = 4096, PROBES_MAX = 8 };

/* What tells the other end of a call. Where two stand in one line of a list below the first that is there counts. */
enum role {
    ROLE_NONE,
    ROLE_PEER_SERVICE,
    ROLE_DB_SYSTEM_NAME,
    ROLE_DB_SYSTEM,
    ROLE_DB_NAMESPACE,
    ROLE_DB_NAME,
    ROLE_SERVER_ADDRESS,
    ROLE_NET_PEER_NAME,
    ROLE_HTTP_HOST,
    ROLE_RPC_SERVICE,
    ROLE_MESSAGING_SYSTEM,
    ROLE_DESTINATION_NAME,
    ROLE_DESTINATION,
    ROLES
};
static const char *const role_names[ROLES] = {
    [ROLE_PEER_SERVICE] = "peer.service",
    [ROLE_DB_SYSTEM_NAME] = "db.system.name",
    [ROLE_DB_SYSTEM] = "db.system",
    [ROLE_DB_NAMESPACE] = "db.namespace",
    [ROLE_DB_NAME] = "db.name",
    [ROLE_SERVER_ADDRESS] = "server.address",
    [ROLE_NET_PEER_NAME] = "net.peer.name",
    [ROLE_HTTP_HOST] = "http.host",
    [ROLE_RPC_SERVICE] = "rpc.service",
    [ROLE_MESSAGING_SYSTEM] = "messaging.system",
    [ROLE_DESTINATION_NAME] = "messaging.destination.name",
    [ROLE_DESTINATION] = "messaging.destination",
};
/* Lists end with ROLE_NONE. */
static const uint8_t database_systems[] = {ROLE_DB_SYSTEM_NAME, ROLE_DB_SYSTEM, ROLE_NONE};
static const uint8_t database_places[] = {ROLE_DB_NAMESPACE, ROLE_DB_NAME, ROLE_SERVER_ADDRESS, ROLE_NET_PEER_NAME,
                                          ROLE_NONE};
static const uint8_t destinations[] = {ROLE_DESTINATION_NAME, ROLE_DESTINATION, ROLE_MESSAGING_SYSTEM, ROLE_NONE};
static const uint8_t destination_names[] = {ROLE_DESTINATION_NAME, ROLE_DESTINATION, ROLE_NONE};
static const uint8_t peers[] = {ROLE_PEER_SERVICE,   ROLE_DESTINATION_NAME, ROLE_DESTINATION,
                                ROLE_SERVER_ADDRESS, ROLE_NET_PEER_NAME,    ROLE_HTTP_HOST,
                                ROLE_RPC_SERVICE,    ROLE_MESSAGING_SYSTEM, ROLE_NONE};

struct sender {
    bool known;
    struct str environment, space, service;
};

/* The number of a key that was asked for already: by a resource and numbers of texts, so that no text is looked at once a span. */
struct slot {
    uint32_t resource, a, b;
    uint32_t what; /* enum what, kind and status; 0: free */
    uint32_t key;
};
enum what {
    WHAT_CALL = 1 << 16,
    WHAT_DATABASE = 2 << 16,
    WHAT_USER = 3 << 16,
    WHAT_DESTINATION = 4 << 16,
    WHAT_PUBLISHED = 5 << 16
};

struct rolling {
    const struct batch *b;
    struct rollup_sink *out;
    struct sender *senders; /* by resource */
    uint8_t *roles;         /* by key of the batch; NULL: not asked for so far */
    struct slot *slots;
    uint32_t slot_mask, slot_count, slots_first;
    uint32_t *by_id, id_shift; /* rows by span id: row + 1; NULL: not asked for so far */
    struct arena texts;
};

/* ---- texts ------------------------------------------------------------------------------------------------------ */

/* At a character's beginning, if the text is UTF-8. */
static struct str cut(struct str s) {
    if (s.n <= ROLLUP_TEXT_MAX) return s;
    size_t n = ROLLUP_TEXT_MAX;
    while (n > ROLLUP_TEXT_MAX - 4 && ((unsigned char)s.p[n] & 0xc0) == 0x80) n--;
    return (struct str){s.p, n};
}

static struct str resource_text(struct rolling *r, uint32_t resource, const char *key) {
    enum value_type type;
    uint64_t value;
    if (!batch_find_attribute(r->b, SET_RESOURCES, resource, str_of(key), &type, &value)) return STR("");
    if (type == VALUE_STRING) return cut(batch_string(r->b, (uint32_t)value));
    AUTO_BUF struct buf text;
    buf_init(&text, 4 * KIB);
    value_write_text(r->b, type, value, &text);
    struct str copy = arena_copy(&r->texts, cut(buf_str(&text)));
    return copy.p ? copy : STR("");
}

static struct str or_else(struct str text, struct str otherwise) { return text.n ? text : otherwise; }

/* As query has them (query.h, Words). */
static const struct sender *sender_of(struct rolling *r, uint32_t resource) {
    struct sender *s = &r->senders[resource];
    if (s->known) return s;
    struct str old = resource_text(r, resource, "deployment.environment");
    s->known = true;
    s->environment = or_else(resource_text(r, resource, "deployment.environment.name"), or_else(old, STR("default")));
    s->space = resource_text(r, resource, "service.namespace");
    s->service = or_else(resource_text(r, resource, "service.name"), STR("unknown_service"));
    return s;
}

/* ---- attributes of a span --------------------------------------------------------------------------------------- */

static uint8_t role_of(const struct batch *b, const struct batch_key *key) {
    struct str name = batch_string(b, key->name);
    if (key->type != VALUE_STRING || name.n < 7) return ROLE_NONE;
    for (uint8_t i = ROLE_NONE + 1; i < ROLES; i++)
        if (str_equal(name, str_of(role_names[i]))) return i;
    return ROLE_NONE;
}

/* Numbers of the texts of a span by role; 0, the empty text: it has none. Of one that stands twice the first. */
static void read_roles(struct rolling *r, uint32_t row, uint32_t out[ROLES]) {
    if (!r->roles) {
        r->roles = mem_new_array(uint8_t, r->b->key_count + 1);
        for (uint32_t k = 0; k < r->b->key_count; k++) r->roles[k] = role_of(r->b, &r->b->keys[k]);
    }
    memset(out, 0, ROLES * sizeof *out);
    struct batch_attributes v = batch_attributes(r->b, SET_ROWS, row);
    for (uint32_t i = 0; i < v.n; i++) {
        uint8_t role = r->roles[v.keys[i]];
        if (role != ROLE_NONE && !out[role]) out[role] = (uint32_t)v.values[i];
    }
}

static uint32_t first_of(const struct rolling *r, const uint32_t texts[ROLES], const uint8_t *list) {
    for (; *list != ROLE_NONE; list++)
        if (texts[*list] && batch_string(r->b, texts[*list]).n) return texts[*list];
    return 0;
}

/* ---- keys ------------------------------------------------------------------------------------------------------- */

static uint32_t hash_of(const struct slot *s) {
    uint64_t h = ((uint64_t)s->resource << 32 | s->a) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ h >> 29 ^ ((uint64_t)s->b << 32 | s->what)) * UINT64_C(0xbf58476d1ce4e5b9);
    return (uint32_t)(h >> 32);
}

static struct slot *find_slot(struct rolling *r, const struct slot *wanted) {
    for (uint32_t at = hash_of(wanted);; at++) {
        struct slot *s = &r->slots[at & r->slot_mask];
        if (!s->what ||
            (s->a == wanted->a && s->resource == wanted->resource && s->what == wanted->what && s->b == wanted->b))
            return s;
    }
}

static void grow_slots(struct rolling *r) {
    struct rolling bigger = {.slot_mask = r->slots ? r->slot_mask * 2 + 1 : r->slots_first - 1};
    bigger.slots = mem_new_array(struct slot, (size_t)bigger.slot_mask + 1);
    for (uint32_t i = 0; r->slots && i <= r->slot_mask; i++)
        if (r->slots[i].what) *find_slot(&bigger, &r->slots[i]) = r->slots[i];
    mem_free(r->slots);
    r->slots = bigger.slots;
    r->slot_mask = bigger.slot_mask;
}

static uint32_t call_key(struct rolling *r, const struct slot *s, uint8_t kind, uint8_t status) {
    const struct sender *sender = sender_of(r, s->resource);
    struct rollup_key key = {.view = ROLLUP_SPANS, .kind = kind, .status = status};
    key.texts[ROLLUP_ENVIRONMENT] = sender->environment;
    key.texts[ROLLUP_NAMESPACE] = sender->space;
    key.texts[ROLLUP_SERVICE] = sender->service;
    key.texts[ROLLUP_OPERATION] = cut(batch_string(r->b, s->a));
    key.texts[ROLLUP_UNUSED] = STR("");
    return rollup_sink_key(r->out, &key);
}

static struct rollup_key edge_key(enum rollup_view view, enum rollup_connection connection, struct str environment) {
    struct rollup_key key = {.view = (uint8_t)view, .kind = (uint8_t)connection};
    for (int i = 0; i < ROLLUP_TEXTS; i++) key.texts[i] = STR("");
    key.texts[ROLLUP_ENVIRONMENT] = environment;
    return key;
}

/* Texts: a what the database is called, b its system or 0 where a is what the caller calls its peer. */
static uint32_t database_key(struct rolling *r, const struct slot *s) {
    const struct sender *sender = sender_of(r, s->resource);
    struct rollup_key key = edge_key(ROLLUP_EDGE_CLIENT, ROLLUP_DATABASE, sender->environment);
    AUTO_BUF struct buf name;
    buf_init(&name, 4 * KIB);
    buf_add_str(&name, cut(batch_string(r->b, s->b)));
    if (s->a && s->b) buf_add_byte(&name, ':');
    buf_add_str(&name, cut(batch_string(r->b, s->a)));
    key.texts[ROLLUP_CLIENT_NAMESPACE] = sender->space;
    key.texts[ROLLUP_CLIENT] = sender->service;
    key.texts[ROLLUP_SERVER] = cut(buf_str(&name));
    return rollup_sink_key(r->out, &key);
}

/* Nobody's span calls this one: a client in front of the service. Or whatever calls it: the destination `a` that it takes its work from. */
static uint32_t root_key(struct rolling *r, const struct slot *s) {
    const struct sender *sender = sender_of(r, s->resource);
    struct rollup_key key = edge_key(ROLLUP_EDGE_SERVER, s->a ? ROLLUP_MESSAGING : ROLLUP_TO_PEER, sender->environment);
    key.texts[ROLLUP_CLIENT] = s->a ? cut(batch_string(r->b, s->a)) : STR(ROLLUP_USER);
    key.texts[ROLLUP_SERVER_NAMESPACE] = sender->space;
    key.texts[ROLLUP_SERVER] = sender->service;
    return rollup_sink_key(r->out, &key);
}

/* To the destination `a`. */
static uint32_t published_key(struct rolling *r, const struct slot *s) {
    const struct sender *sender = sender_of(r, s->resource);
    struct rollup_key key = edge_key(ROLLUP_EDGE_CLIENT, ROLLUP_MESSAGING, sender->environment);
    key.texts[ROLLUP_CLIENT_NAMESPACE] = sender->space;
    key.texts[ROLLUP_CLIENT] = sender->service;
    key.texts[ROLLUP_SERVER] = cut(batch_string(r->b, s->a));
    return rollup_sink_key(r->out, &key);
}

static uint32_t key_of(struct rolling *r, struct slot wanted) {
    if (r->slot_count * 2 > r->slot_mask || !r->slots) grow_slots(r);
    struct slot *s = find_slot(r, &wanted);
    if (s->what) return s->key;
    enum what what = (enum what)(wanted.what & 0xff0000);
    wanted.key = what == WHAT_CALL        ? call_key(r, &wanted, wanted.what >> 8 & 0xff, wanted.what & 0xff)
                 : what == WHAT_DATABASE  ? database_key(r, &wanted)
                 : what == WHAT_PUBLISHED ? published_key(r, &wanted)
                                          : root_key(r, &wanted);
    *s = wanted;
    r->slot_count++;
    return wanted.key;
}

/* ---- spans ------------------------------------------------------------------------------------------------------ */

static struct rollup_call call_of(const struct batch *b, uint32_t row, uint32_t status) {
    uint64_t time = batch_u64(b, SET_ROWS, FIELD_TIME, row);
    int64_t duration = (int64_t)batch_u64(b, SET_ROWS, FIELD_DURATION, row);
    struct rollup_call call = {.start_ns = time > INT64_MAX ? INT64_MAX : (int64_t)time,
                               .duration_ns = duration < 0 ? 0 : MIN((uint64_t)duration, ROLLUP_DURATION_MAX_NS),
                               .failed = status == STATUS_ERROR,
                               .span_id = batch_u64(b, SET_ROWS, FIELD_SPAN_ID, row)};
    memcpy(call.trace_id, batch_id16(b, SET_ROWS, FIELD_TRACE_ID, row), sizeof call.trace_id);
    return call;
}

struct span {
    uint32_t row, resource, kind;
    const struct sender *sender;
    struct rollup_call call;
};

static uint32_t id_slot(const struct rolling *r, uint64_t id) {
    return (uint32_t)(id * UINT64_C(0x9e3779b97f4a7c15) >> r->id_shift);
}

/* Of all rows of the batch, whichever are asked for, so that any part of them says the same. Ids that somebody chose to stand in one place are left out. */
static void index_ids(struct rolling *r) {
    const struct batch *b = r->b;
    uint32_t bits = 6;
    while (bits < 31 && (UINT32_C(1) << bits) / 2 < b->rows) bits++;
    r->id_shift = 64 - bits;
    r->by_id = mem_new_array(uint32_t, (UINT32_C(1) << bits) + PROBES_MAX);
    for (uint32_t row = 0; row < b->rows; row++) {
        uint32_t *at = r->by_id + id_slot(r, batch_u64(b, SET_ROWS, FIELD_SPAN_ID, row)), *end = at + PROBES_MAX;
        while (at < end && *at) at++;
        if (at < end) *at = row + 1;
    }
}

/* With the words of query.h: environments do not tell services apart. */
static bool is_same_service(const struct sender *a, const struct sender *b) {
    return a == b || (str_equal(a->service, b->service) && str_equal(a->space, b->space));
}

/* Most spans have a parent of their own service, and most of those in their own batch: nobody else need look for it. */
static bool has_own_parent(struct rolling *r, const struct span *s, uint64_t parent) {
    const struct batch *b = r->b;
    if (!r->by_id) index_ids(r);
    const uint32_t *at = r->by_id + id_slot(r, parent);
    for (int i = 0; i < PROBES_MAX && at[i]; i++) {
        uint32_t other = at[i] - 1;
        if (batch_u64(b, SET_ROWS, FIELD_SPAN_ID, other) == parent &&
            memcmp(batch_id16(b, SET_ROWS, FIELD_TRACE_ID, other), s->call.trace_id, sizeof s->call.trace_id) == 0)
            return is_same_service(s->sender, sender_of(r, batch_u32(b, SET_ROWS, FIELD_RESOURCE, other)));
    }
    return false;
}

static void add_half(struct rolling *r, const struct span *s, struct rollup_half *half) {
    half->environment = s->sender->environment;
    half->space = s->sender->space;
    half->service = s->sender->service;
    half->call = s->call;
    rollup_sink_half(r->out, half);
}

static void add_parent(struct rolling *r, const struct span *s) {
    rollup_sink_parent(r->out, &(struct rollup_parent){.environment = s->sender->environment,
                                                       .space = s->sender->space,
                                                       .service = s->sender->service,
                                                       .trace_id = s->call.trace_id,
                                                       .span_id = s->call.span_id,
                                                       .start_ns = s->call.start_ns});
}

static void add_plain(struct rolling *r, const struct span *s) {
    uint64_t parent = batch_u64(r->b, SET_ROWS, FIELD_PARENT_ID, s->row);
    if (!parent || has_own_parent(r, s, parent)) return;
    add_half(r, s, &(struct rollup_half){.is_server = true, .is_plain = true, .client_span = parent, .peer = STR("")});
}

/* False: a call of a database, which is no half. */
static bool add_caller(struct rolling *r, const struct span *s) {
    uint32_t texts[ROLES];
    read_roles(r, s->row, texts);
    uint32_t system = first_of(r, texts, database_systems);
    if (s->kind == KIND_CLIENT && system) {
        uint32_t peer = first_of(r, texts, (const uint8_t[]){ROLE_PEER_SERVICE, ROLE_NONE});
        struct slot slot = {s->resource, peer ? peer : first_of(r, texts, database_places), peer ? 0 : system,
                            WHAT_DATABASE, 0};
        rollup_sink_add(r->out, key_of(r, slot), &s->call);
        return false;
    }
    bool messaging = s->kind == KIND_PRODUCER || texts[ROLE_MESSAGING_SYSTEM];
    uint32_t to = messaging ? first_of(r, texts, s->kind == KIND_PRODUCER ? destinations : destination_names) : 0;
    if (to) rollup_sink_add(r->out, key_of(r, (struct slot){s->resource, to, 0, WHAT_PUBLISHED, 0}), &s->call);
    add_half(r, s,
             &(struct rollup_half){.is_remembered = s->kind == KIND_PRODUCER,
                                   .connection = messaging ? ROLLUP_MESSAGING : ROLLUP_DIRECT,
                                   .client_span = s->call.span_id,
                                   .peer = to ? STR("") : cut(batch_string(r->b, first_of(r, texts, peers)))});
    return true;
}

static void add_called(struct rolling *r, const struct span *s) {
    uint64_t parent = batch_u64(r->b, SET_ROWS, FIELD_PARENT_ID, s->row);
    struct slot slot = {s->resource, 0, 0, WHAT_USER, 0};
    if (s->kind == KIND_CONSUMER) {
        uint32_t texts[ROLES];
        read_roles(r, s->row, texts);
        slot.a = first_of(r, texts, destinations);
        slot.what = slot.a ? WHAT_DESTINATION : WHAT_USER;
    }
    if (!parent || slot.a) rollup_sink_add(r->out, key_of(r, slot), &s->call);
    if (!parent) return;
    add_half(r, s,
             &(struct rollup_half){.is_server = true,
                                   .connection = s->kind == KIND_CONSUMER ? ROLLUP_MESSAGING : ROLLUP_DIRECT,
                                   .client_span = parent,
                                   .peer = STR("")});
}

static void add_span(struct rolling *r, uint32_t row) {
    const struct batch *b = r->b;
    uint32_t kind = batch_u32(b, SET_ROWS, FIELD_KIND, row), status = batch_u32(b, SET_ROWS, FIELD_STATUS, row);
    if (kind >= KINDS) kind = 0;
    if (status >= STATUSES) status = 0;
    struct span s = {.row = row, .resource = batch_u32(b, SET_ROWS, FIELD_RESOURCE, row), .kind = kind};
    s.call = call_of(b, row, status);
    struct slot slot = {s.resource, batch_u32(b, SET_ROWS, FIELD_NAME, row), 0, WHAT_CALL | kind << 8 | status, 0};
    rollup_sink_add(r->out, key_of(r, slot), &s.call);
    s.sender = sender_of(r, s.resource);
    bool calls = (kind == KIND_CLIENT || kind == KIND_PRODUCER) && add_caller(r, &s);
    if (!calls) add_parent(r, &s);
    if (kind == KIND_SERVER || kind == KIND_CONSUMER)
        add_called(r, &s);
    else
        add_plain(r, &s);
}

static void run(void *context, const struct batch *b, const uint32_t *rows, uint32_t n, struct rollup_sink *out) {
    (void)context;
    if (b->signal != SIGNAL_SPANS || n == 0) return;
    struct rolling r = {.b = b, .out = out, .senders = mem_new_array(struct sender, b->set_rows[SET_RESOURCES] + 1)};
    arena_init(&r.texts, TEXTS_BYTES_MAX);
    r.slots_first = SLOTS_FIRST; /* about a key for every second span, half of them free */
    while (r.slots_first < n && r.slots_first < SLOTS_FIRST_MAX) r.slots_first *= 2;
    for (uint32_t i = 0; i < n; i++) add_span(&r, rows ? rows[i] : i);
    arena_done(&r.texts);
    mem_free(r.senders);
    mem_free(r.roles);
    mem_free(r.slots);
    mem_free(r.by_id);
}

struct rollup_function rollup_of_spans(void) {
    return (struct rollup_function){.run = run};
}
