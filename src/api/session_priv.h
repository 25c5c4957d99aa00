/* Sessions of the page: what a login cookie stands for. The browser holds 256 random bits, the server their SHA-256 and the
 * token they were got with; a session ends with its token.
 *
 * Limits: SESSIONS_MAX, of one token SESSIONS_OF_TOKEN_MAX: the oldest of that token, else of all, makes room. They live
 * twelve hours at most and end with the process.
 * Threads: one at a time; access.c holds its lock. Times: wall, ns.
 */
#pragma once

#include "api/token.h"

enum { SESSIONS_MAX = 1024, SESSIONS_OF_TOKEN_MAX = 16, SESSION_TEXT_BYTES = 64, SESSION_HOURS = 12 };
extern const char session_cookie[]; /* its name */

struct sessions {
    struct session {
        uint64_t token_id; /* of a free place: 0, and expires 0 */
        int64_t created, expires;
        unsigned char hash[TOKEN_HASH_BYTES];
    } v[SESSIONS_MAX];
};
/* A new one; its text goes to `out` (not terminated). token_expires 0: never. */
void session_begin(struct sessions *s, uint64_t token_id, int64_t now, int64_t token_expires,
                   char out[SESSION_TEXT_BYTES]);
/* The one of that text that has not ended, NULL if none. The time it takes tells nothing of others' texts. */
struct session *session_find(struct sessions *s, struct str text, int64_t now);
void session_end(struct session *one);
size_t session_count(const struct sessions *s, int64_t now);
/* The session's text in a Cookie field, empty if it has none. */
struct str session_of_cookie(struct str cookie);
