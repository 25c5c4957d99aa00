/* A cache of short texts: in the process, or a Redis by its protocol (RESP 2: commands as arrays of bulk strings; https://redis.io/docs, "Redis
 * serialization protocol"). A Redis that does not answer within half a second is as if nothing were there, and asked again a second later. */
#include <stdio.h>

#include "base/text.h"
#include "shop.h"
#include "os/clock.h"
#include "os/socket.h"

enum { PLACES = 1024, TEXT_BYTES = 63, ANSWER_BYTES = 4096 };

struct shop_cache {
    struct lock lock;
    char address[64]; /* of the Redis; empty: in the process */
    int fd;           /* -1: not connected */
    int64_t next_try_ns;
    struct place {
        char key[64], value[TEXT_BYTES + 1];
        int64_t until_ns; /* monotonic; 0: free */
    } places[PLACES];
};

err shop_cache_new(const char *url, struct shop_cache **out) {
    struct str rest = str_of(url);
    if (url && !str_starts_with(rest, STR("redis://")))
        return err_new(ERR_INVALID, "a cache is as redis://127.0.0.1:6379");
    if (url) rest = (struct str){rest.p + 8, rest.n - 8};
    if (rest.n >= 64) return err_new(ERR_INVALID, "the address of the cache is too long");
    struct shop_cache *c = mem_new_of(struct shop_cache);
    lock_init(&c->lock);
    c->fd = -1;
    if (rest.n) snprintf(c->address, sizeof c->address, STR_FMT, STR_ARG(rest));
    err e = rest.n ? socket_address_check(c->address) : NULL;
    if (e)
        shop_cache_free(c);
    else
        *out = c;
    return err_wrap(e, "the cache");
}

void shop_cache_free(struct shop_cache *c) {
    if (!c) return;
    if (c->fd >= 0) socket_close(c->fd);
    lock_done(&c->lock);
    mem_free(c);
}

/* ---- in the process -------------------------------------------------------------------------------------------------- */

/* The place of a key, or one to put it: free, over, or the one that is over first. */
static struct place *place_of(struct shop_cache *c, const char *key, bool *out_there) {
    struct place *best = &c->places[0];
    int64_t now = clock_monotonic_ns();
    for (struct place *p = c->places; p < c->places + PLACES; p++) {
        bool over = p->until_ns <= now;
        if (!over && !strcmp(p->key, key)) {
            *out_there = true;
            return p;
        }
        if (over) p->until_ns = 0;
        if (p->until_ns < best->until_ns) best = p;
    }
    *out_there = false;
    return best;
}

/* ---- Redis ------------------------------------------------------------------------------------------------------------ */

static void hang_up(struct shop_cache *c) {
    if (c->fd >= 0) socket_close(c->fd);
    c->fd = -1;
    c->next_try_ns = clock_monotonic_ns() + 1000 * SHOP_MS;
}

static bool connected_wait(struct shop_cache *c) {
    if (c->fd >= 0) return true;
    if (clock_monotonic_ns() < c->next_try_ns) return false;
    err e = socket_connect_wait(c->address, 500 * SHOP_MS, &c->fd);
    if (!e) return true;
    err_free(e);
    c->fd = -1;
    hang_up(c);
    return false;
}

static bool send_wait(struct shop_cache *c, struct str bytes, int64_t until) {
    while (bytes.n) {
        size_t n = 0;
        err e = socket_write(c->fd, &(struct socket_piece){bytes.p, bytes.n}, 1, &n);
        bool bad = e != NULL;
        err_free(e);
        if (bad || (!n && !socket_ready_wait(c->fd, true, until))) return false;
        bytes = (struct str){bytes.p + n, bytes.n - n};
    }
    return true;
}

/* How long the answer is that begins at p: 0: not whole yet; SIZE_MAX: none of ours. *out: a bulk string's text, p NULL without. */
static size_t answer_size(const char *p, size_t n, struct str *out) {
    const char *end = memmem(p, n, "\r\n", 2);
    int64_t length;
    *out = (struct str){0};
    if (!end) return n > 512 ? SIZE_MAX : 0;
    size_t head = (size_t)(end - p) + 2;
    if (*p == '+' || *p == ':') return head;
    if (*p != '$') return SIZE_MAX;
    err e = parse_i64(str_span(p + 1, head - 3), &length);
    bool bad = e || length > TEXT_BYTES;
    err_free(e);
    if (bad) return SIZE_MAX;
    if (length < 0) return head;
    if (n < head + (size_t)length + 2) return 0;
    *out = str_span(p + head, (size_t)length);
    return head + (size_t)length + 2;
}

/* One command and its answer, to text[64] when it is a text. False: nothing, or nobody answers. */
static bool command_wait(struct shop_cache *c, const char *const *words, size_t count, char *text) {
    AUTO_BUF struct buf order;
    char answer[ANSWER_BYTES];
    size_t have = 0, size = 0;
    struct str value = {0};
    int64_t until = clock_monotonic_ns() + 500 * SHOP_MS;
    buf_init(&order, 8 * KIB);
    buf_add_fmt(&order, "*%zu\r\n", count);
    for (size_t i = 0; i < count; i++) buf_add_fmt(&order, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
    bool good = !order.full && connected_wait(c) && send_wait(c, buf_str(&order), until);
    while (good && !size) {
        size_t n = 0;
        bool ended = false;
        err e = socket_read(c->fd, answer + have, sizeof answer - have, &n, &ended);
        good = !e && !ended && (n || socket_ready_wait(c->fd, false, until));
        err_free(e);
        have += n;
        if (good && have) size = answer_size(answer, have, &value);
        good = good && size != SIZE_MAX && have < sizeof answer;
    }
    if (!good) hang_up(c);
    if (!good || !value.p || !text) return false;
    memcpy(text, value.p, value.n);
    text[value.n] = 0;
    return true;
}

/* ---- both --------------------------------------------------------------------------------------------------------------- */

bool shop_cache_get_wait(struct shop_cache *c, const char *key, char out[64]) {
    bool there;
    lock_take(&c->lock);
    if (*c->address) {
        there = command_wait(c, (const char *const[]){"GET", key}, 2, out);
    } else {
        const struct place *p = place_of(c, key, &there);
        if (there) snprintf(out, 64, "%s", p->value);
    }
    lock_give(&c->lock);
    return there;
}

void shop_cache_set_wait(struct shop_cache *c, const char *key, const char *value, int64_t ttl_ms) {
    char ttl[24];
    bool there;
    snprintf(ttl, sizeof ttl, "%lld", (long long)ttl_ms);
    lock_take(&c->lock);
    if (*c->address && ttl_ms) {
        command_wait(c, (const char *const[]){"SET", key, value, "PX", ttl}, 5, NULL);
    } else if (*c->address) {
        command_wait(c, (const char *const[]){"DEL", key}, 2, NULL);
    } else {
        struct place *p = place_of(c, key, &there);
        snprintf(p->key, sizeof p->key, "%s", key);
        snprintf(p->value, sizeof p->value, "%s", value);
        p->until_ns = ttl_ms ? clock_monotonic_ns() + ttl_ms * SHOP_MS : 0;
    }
    lock_give(&c->lock);
}
