/* Texts for the tests and the bench of text columns: like those of programs, and hostile ones. */
#pragma once

#include <stdio.h>

#include "base/hash.h"
#include "base/map.h"

static inline uint64_t chance(uint64_t *seed) { return *seed = hash_u64(*seed + 0x9e37); }

enum texts {
    TEXTS_TARGETS, /* /api/v1/orders/83913/items/77 */
    TEXTS_BODIES,  /* five shapes of 88 bytes with a 12-digit hex id and numbers */
    TEXTS_IDS,     /* hex, decimal, prefixed, of many widths and cases */
    TEXTS_FEW,     /* a handful of texts without digits */
    TEXTS_WORDS,   /* random words of a small vocabulary, with and without digits, odd punctuation, all cases */
    TEXTS_BYTES,   /* any bytes */
    TEXTS_PROSE,   /* sentences that do not repeat */
    TEXTS_KINDS
};

/* Of each piece that is printed; a text is at most eight short ones, or one. */
enum { TEXT_ROOM = 256 };

static inline int text_make_word(uint64_t *seed, char *out) {
    static const char *const words[] = {"get",
                                        "GET",
                                        "Get",
                                        "user",
                                        "user_7",
                                        "USER_7",
                                        "a1",
                                        "1",
                                        "01",
                                        "007",
                                        "e5",
                                        "E5",
                                        "x",
                                        "_",
                                        "timeout",
                                        "Timeout9",
                                        "\xc3\xa9t\xc3\xa9",
                                        "42",
                                        "deadbeef",
                                        "dead8eef",
                                        "DEAD8EEF",
                                        "18446744073709551615",
                                        "99999999999999999999",
                                        "0x1f",
                                        "g"};
    static const char *const gaps[] = {" ", "-", "/", ".", "\"", "  ", ": ", "=", "\n", "", "*"};
    return snprintf(out, TEXT_ROOM, "%s%s", words[chance(seed) % LENGTH(words)], gaps[chance(seed) % LENGTH(gaps)]);
}

static inline int text_make_id(uint64_t *seed, char *out) {
    uint64_t a = chance(seed), b = chance(seed);
    switch (a >> 60) {
    case 0: return snprintf(out, TEXT_ROOM, "id=%016llx", (unsigned long long)b);
    case 1: return snprintf(out, TEXT_ROOM, "trace %016llx%016llx end", (unsigned long long)a, (unsigned long long)b);
    case 2: return snprintf(out, TEXT_ROOM, "%08X-%04X", (unsigned)b, (unsigned)a & 0xffff);
    case 3: return snprintf(out, TEXT_ROOM, "user_%u", (unsigned)(b % 3000));
    case 4: return snprintf(out, TEXT_ROOM, "took %ums", (unsigned)(b % 100000));
    case 5: return snprintf(out, TEXT_ROOM, "seq %06u", (unsigned)(b % 1000000));
    case 6: return snprintf(out, TEXT_ROOM, "blk_%llu", (unsigned long long)b);
    case 7: return snprintf(out, TEXT_ROOM, "n %0*u", (int)(a % 9 + 1), (unsigned)(b % 100));
    case 8: return snprintf(out, TEXT_ROOM, "0x%x", (unsigned)b);
    case 9:
        return snprintf(out, TEXT_ROOM, "v%u.%u.%u", (unsigned)(b % 3), (unsigned)(b >> 8) % 10,
                        (unsigned)(b >> 16) % 100);
    case 10: return snprintf(out, TEXT_ROOM, "ip-10-%u-%u", (unsigned)(b % 256), (unsigned)(b >> 8) % 256);
    case 11:
        return snprintf(out, TEXT_ROOM, "k%c%c%u%c", 'a' + (int)(b % 26), 'A' + (int)(b >> 8) % 26,
                        (unsigned)(b >> 20) % 100, 'q');
    case 12:
        return snprintf(out, TEXT_ROOM, "pod-%s-%c1", (const char *[]){"abc1", "xyz2", "qq9"}[b % 3],
                        'a' + (int)(b >> 8) % 3);
    case 13:
        return snprintf(
            out, TEXT_ROOM, "%.*s1", (int)(b % 200),
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
            "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
            "xxxxxxxxxxxxxxxxxx");
    default: return snprintf(out, TEXT_ROOM, "odd %05llx_%d", (unsigned long long)(b % 0xfffff), (int)(a % 7));
    }
}

static inline int text_make_body(uint64_t *seed, char *out) {
    uint64_t a = chance(seed), b = chance(seed);
    unsigned long long id = b & 0xffffffffffffu;
    switch (a % 5) {
    case 0:
        return snprintf(out, TEXT_ROOM,
                        "order %u accepted for user %u in %u ms, request %012llx, warehouse north, stock left %u",
                        (unsigned)(a >> 8) % 1000000, (unsigned)(a >> 28) % 10000, (unsigned)(a >> 42) % 500, id,
                        (unsigned)(a >> 51) % 500);
    case 1:
        return snprintf(out, TEXT_ROOM,
                        "payment %012llx authorised by provider stripe after %u ms, amount %u.%02u EUR, attempt %u", id,
                        (unsigned)(a >> 8) % 3000, (unsigned)(a >> 20) % 1000, (unsigned)(a >> 30) % 100,
                        (unsigned)(a >> 40) % 4);
    case 2:
        return snprintf(out, TEXT_ROOM,
                        "cache miss for key cart:%u, reading from the database took %u us, request %012llx, shard %u",
                        (unsigned)(a >> 8) % 100000, (unsigned)(a >> 28) % 20000, id, (unsigned)(a >> 48) % 16);
    case 3:
        return snprintf(out, TEXT_ROOM,
                        "upstream inventory answered 503 after %u ms, retry %u of 3, request %012llx, will back off",
                        (unsigned)(a >> 8) % 2000, (unsigned)(a >> 20) % 3 + 1, id);
    default:
        return snprintf(out, TEXT_ROOM,
                        "session %012llx of user %u renewed from 10.0.%u.%u, expires in %u s, no second factor", id,
                        (unsigned)(a >> 8) % 10000, (unsigned)(a >> 24) % 256, (unsigned)(a >> 32) % 256,
                        (unsigned)(a >> 40) % 3600);
    }
}

/* One text, of at most 600 bytes. */
static inline struct str text_make(enum texts kind, uint64_t *seed, char *out) {
    uint64_t a = chance(seed);
    int n = 0;
    switch (kind) {
    case TEXTS_TARGETS:
        n = snprintf(out, TEXT_ROOM, "/api/v1/orders/%u/items/%u", (unsigned)(a % 100000), (unsigned)(a >> 32) % 100);
        break;
    case TEXTS_BODIES: n = text_make_body(seed, out); break;
    case TEXTS_IDS: n = text_make_id(seed, out); break;
    case TEXTS_FEW:
        n = snprintf(out, TEXT_ROOM, "%s",
                     (const char *[]){"", "GET", "connection refused", "deadline exceeded by upstream"}[a % 4]);
        break;
    case TEXTS_WORDS:
        for (uint64_t i = a % 8; i > 0; i--) n += text_make_word(seed, out + n);
        break;
    case TEXTS_BYTES:
        for (n = 0; n < (int)(a % 60); n++) out[n] = (char)(chance(seed) % (a >> 40 & 1 ? 256 : 4));
        break;
    case TEXTS_PROSE:
        for (uint64_t i = a % 20 + 5; i > 0; i--) {
            for (uint64_t l = chance(seed) % 6 + 2; l > 0; l--) out[n++] = (char)('a' + chance(seed) % 8);
            out[n++] = ' ';
        }
        break;
    case TEXTS_KINDS:
    default: break;
    }
    return str_span(out, (size_t)n);
}

/* n texts; the heap is the caller's to free. */
static inline struct str *texts_make(enum texts kind, uint64_t seed, uint32_t n, struct strings *heap) {
    char text[1024];
    strings_init(heap);
    struct str *out = mem_new_array(struct str, n + 1);
    for (uint32_t i = 0; i < n; i++) strings_append(heap, text_make(kind, &seed, text));
    for (uint32_t i = 0; i < n; i++) out[i] = strings_get(heap, i);
    return out;
}
