/* What the connections of a server share: options, spare request blocks, spare body buffers. */
#include "net/connection_priv.h"
#include "net/stream_priv.h"
#include "net/tls_priv.h"

#include "base/budget.h"

enum { REQUEST_MEMORY = 4 * 1024 * 1024, BODY_STEP = 64 * 1024, OUT_KEPT_MAX = 1024 };

static int64_t or_default(int64_t value, int64_t standard) { return value > 0 ? value : standard; }

void engine_init(struct http_engine *e, const struct http_server_options *o) {
    *e = (struct http_engine){.options = *o, .dated = true};
    const int64_t second = 1000000000;
    struct http_server_options *to = &e->options;
    if (to->body_max == 0) to->body_max = 64 * MIB;
    if (to->connections_max == 0) to->connections_max = 16384;
    to->head_ns = or_default(o->head_ns, 10 * second);
    to->idle_ns = or_default(o->idle_ns, 75 * second);
    to->body_ns = or_default(o->body_ns, 10 * second);
    to->write_ns = or_default(o->write_ns, 60 * second);
    to->end_ns = or_default(o->end_ns, second);
    to->handshake_ns = or_default(o->handshake_ns, 10 * second);
    to->linger_ns = or_default(o->linger_ns, 2 * second);
}

void engine_done(struct http_engine *e) {
    body_pool_clear(e);
    for (struct http_request *r = e->spare, *next; r; r = next) {
        next = r->next;
        buf_done(&r->out);
        mem_free(r);
    }
    e->spare = NULL;
    e->spare_count = 0;
    mem_free(take(&e->scratch));
}

/* ---- bodies ----------------------------------------------------------------------------------------------------- */

char *body_take(struct http_engine *e, size_t n, size_t *out_capacity) {
    if (n >= BODY_POOLED_MIN) {
        for (size_t i = 0; i < e->bodies_count; i++) { /* up to four times too large: big ones stay for big ones */
            if (e->bodies[i].capacity < n || e->bodies[i].capacity / 4 > n) continue;
            char *p = e->bodies[i].p;
            *out_capacity = e->bodies[i].capacity;
            e->bodies_bytes -= *out_capacity;
            e->bodies[i] = e->bodies[--e->bodies_count];
            return p;
        }
        n = (n + BODY_STEP - 1) / BODY_STEP * BODY_STEP; /* so that the next one, a little larger, fits too */
    }
    *out_capacity = n;
    return mem_grow(NULL, n);
}

void body_give(struct http_engine *e, char *p, size_t capacity) {
    bool keep = p && capacity >= BODY_POOLED_MIN && e->bodies_count < BODY_POOL_MAX &&
                capacity <= BODY_POOL_BYTES_MAX - e->bodies_bytes;
    if (!keep) {
        mem_free(p);
        return;
    }
    e->bodies[e->bodies_count].p = p;
    e->bodies[e->bodies_count++].capacity = capacity;
    e->bodies_bytes += capacity;
}

void body_pool_clear(struct http_engine *e) {
    while (e->bodies_count) mem_free(e->bodies[--e->bodies_count].p);
    e->bodies_bytes = 0;
}

/* ---- requests --------------------------------------------------------------------------------------------------- */

/* Fields that a new request must find empty; the head's piece tables and `first` keep what they hold. */
static void request_clear(struct http_request *r, struct http_engine *e) {
    struct buf out = r->out;
    memset(r, 0, offsetof(struct http_request, fields));
    r->engine = e;
    r->out = out;
    r->input = r->first;
    r->input_capacity = REQUEST_BLOCK - offsetof(struct http_request, first);
    arena_init(&r->memory, REQUEST_MEMORY);
}

struct http_request *request_take(struct http_engine *e) {
    struct http_request *r = e->spare;
    if (r) {
        e->spare = r->next;
        e->spare_count--;
    } else {
        r = mem_grow(NULL, REQUEST_BLOCK);
        r->out = (struct buf){0};
    }
    e->live_requests++;
    request_clear(r, e);
    return r;
}

static struct budget *budget_of(const struct http_request *r) { return r->engine->options.budget; }

bool request_body_budget(struct http_request *r, size_t n) {
    if (!budget_of(r)) return true;
    if (!budget_take(budget_of(r), n)) return false;
    r->body_budget_bytes += n;
    return true;
}

void request_body_budget_return(struct http_request *r, size_t n) {
    if (!budget_of(r) || n == 0) return;
    budget_give(budget_of(r), n);
    r->body_budget_bytes -= n;
}

void request_body_drop(struct http_request *r) {
    body_give(r->engine, r->body_buffer, r->body_capacity);
    if (r->body_budget_bytes) budget_give(budget_of(r), r->body_budget_bytes);
    r->body_buffer = NULL;
    r->body_capacity = r->body_budget_bytes = 0;
    r->body = (struct str){0};
}

bool request_input_reserve(struct http_request *r, size_t n) {
    if (n <= r->input_capacity) return true;
    size_t capacity = MAX(n, MIN((size_t)r->input_capacity * 2, (size_t)HEAD_MAX));
    size_t more = capacity - r->input_budget_bytes;
    if (budget_of(r) && !budget_take(budget_of(r), more)) return false;
    char *input = mem_grow(r->input == r->first ? NULL : r->input, capacity);
    if (r->input == r->first) memcpy(input, r->first, r->input_n);
    r->input = input;
    r->input_capacity = (uint32_t)capacity;
    r->input_budget_bytes = budget_of(r) ? capacity : 0;
    return true;
}

static void input_drop(struct http_request *r) {
    if (r->input_budget_bytes) budget_give(budget_of(r), r->input_budget_bytes);
    if (r->input != r->first) mem_free(r->input);
}

enum { REPLY_FREE = 1024, REPLY_ALWAYS = 64 * 1024 };

bool request_reply_budget(struct http_request *r, size_t n) {
    struct budget *budget = budget_of(r);
    if (!budget || n <= REPLY_FREE) return true;
    if (n <= REPLY_ALWAYS)
        budget_take_always(budget, n);
    else if (!budget_take(budget, n))
        return false;
    r->reply_budget_bytes = n;
    return true;
}

static void reply_drop(struct http_request *r) {
    if (r->reply_budget_bytes) budget_give(budget_of(r), r->reply_budget_bytes);
    mem_free(r->reply_owned);
}

void request_again(struct http_request *r) {
    struct http_request old = *r; /* all but what lies in `first` */
    size_t rest = r->input_n - r->input_used, first = REQUEST_BLOCK - offsetof(struct http_request, first);
    request_body_drop(r);
    reply_drop(r);
    stream_free(r->push);
    tls_identity_unref(r->identity);
    arena_done(&r->memory);
    request_clear(r, old.engine);
    r->connection = old.connection;
    r->input_n = (uint32_t)rest;
    if (old.input == r->first || rest <= first) {
        memmove(r->first, old.input + old.input_used, rest);
        old.engine = r->engine;
        if (old.input != r->first) input_drop(&old);
        return;
    }
    memmove(old.input, old.input + old.input_used, rest);
    r->input = old.input;
    r->input_capacity = old.input_capacity;
    r->input_budget_bytes = old.input_budget_bytes;
}

/* All memory but the block, the body and a small `out`. */
static void request_drop(struct http_request *r) {
    tls_identity_unref(r->identity);
    input_drop(r);
    reply_drop(r);
    stream_free(r->push);
    arena_done(&r->memory);
    if (r->out.capacity > OUT_KEPT_MAX) buf_done(&r->out);
}

void request_give(struct http_request *r) {
    struct http_engine *e = r->engine;
    request_body_drop(r);
    request_drop(r);
    e->live_requests--;
    if (e->spare_count < REQUESTS_SPARE_MAX) {
        r->next = e->spare;
        e->spare = r;
        e->spare_count++;
        return;
    }
    buf_done(&r->out);
    mem_free(r);
}

void request_forget(struct http_request *r) {
    mem_free(r->body_buffer);
    if (r->body_budget_bytes) budget_give(budget_of(r), r->body_budget_bytes);
    request_drop(r);
    buf_done(&r->out);
    mem_free(r);
}
