#include "api/session_priv.h"

#include "base/text.h"
#include "os/clock.h"

const char session_cookie[] = "clew_session";
static const int64_t hour_ns = 3600 * (int64_t)1000000000;

static bool is_live(const struct session *one, int64_t now) { return one->expires > now; }

/* A free place, or the oldest of this token if it has its share, or of all. */
static struct session *place_for(struct sessions *s, uint64_t token_id, int64_t now) {
    struct session *free_place = NULL, *oldest = &s->v[0], *own = NULL;
    size_t owned = 0;
    for (size_t i = 0; i < SESSIONS_MAX; i++) {
        struct session *one = &s->v[i];
        if (!is_live(one, now)) {
            free_place = one;
            continue;
        }
        if (one->created < oldest->created) oldest = one;
        if (one->token_id != token_id) continue;
        if (!own || one->created < own->created) own = one;
        owned++;
    }
    if (owned >= SESSIONS_OF_TOKEN_MAX) return own;
    return free_place ? free_place : oldest;
}

void session_begin(struct sessions *s, uint64_t token_id, int64_t now, int64_t token_expires,
                   char out[SESSION_TEXT_BYTES]) {
    unsigned char random[SESSION_TEXT_BYTES / 2];
    AUTO_BUF struct buf text;
    buf_init(&text, 2 * SESSION_TEXT_BYTES);
    random_bytes(random, sizeof random);
    put_hex(&text, random, sizeof random);
    struct session *one = place_for(s, token_id, now);
    *one = (struct session){.token_id = token_id, .created = now, .expires = now + SESSION_HOURS * hour_ns};
    if (token_expires) one->expires = MIN(one->expires, token_expires);
    token_hash(buf_str(&text), one->hash);
    memcpy(out, text.p, SESSION_TEXT_BYTES);
}

/* Compares hashes, which nobody can steer by choosing texts, so it may stop early. */
struct session *session_find(struct sessions *s, struct str text, int64_t now) {
    unsigned char hash[TOKEN_HASH_BYTES];
    if (text.n != SESSION_TEXT_BYTES) return NULL;
    token_hash(text, hash);
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        if (is_live(&s->v[i], now) && token_bytes_equal(s->v[i].hash, hash, sizeof hash)) return &s->v[i];
    return NULL;
}

void session_end(struct session *one) { *one = (struct session){0}; }

size_t session_count(const struct sessions *s, int64_t now) {
    size_t n = 0;
    for (size_t i = 0; i < SESSIONS_MAX; i++) n += is_live(&s->v[i], now);
    return n;
}

struct str session_of_cookie(struct str cookie) {
    struct str pair, name, value;
    for (bool more = cookie.n > 0; more;) {
        more = str_cut(cookie, ';', &pair, &cookie);
        if (str_cut(str_trim(pair), '=', &name, &value) && str_equal(name, str_of(session_cookie))) return value;
    }
    return (struct str){"", 0};
}
