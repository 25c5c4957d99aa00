/* What all files of a data directory share: how they begin, how they are named, and how their bytes are read.
 *
 *   0        8         12         16         24                56      64
 *   │ magic  │ version │ reserved │ features │ the file's own  │ check │       little-endian; check: XXH3-64 of bytes 0–55
 *
 * Invariants: this layout is the same in every version for ever, so that any clew can tell a newer file from a damaged one
 * (12). LOCK, manifest and log segments begin so; parts have a beginning of their own (docs/formats/part.md).
 * Limits: tenant names 1–63 bytes of [A-Za-z0-9_.-], not beginning with a dot; data directory paths at most 3,800 bytes.
 * Threads: pure.
 */
#pragma once

#include "base/base.h"
#include "signal/field.h"

enum {
    FORMAT_VERSION = 1,
    FORMAT_PATH_BYTES = 4096,
    FORMAT_DIR_BYTES = 3800,
    TENANT_BYTES = 64,  /* with its end */
    FORMAT_ROLLUPS = 1, /* of a manifest: files of rollups */
    FORMAT_SAYS = 1,    /* of a log segment: records of points that refer to others */
    FORMAT_PACKED = 2,  /* of a log segment: those records are packed */
};
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "files are little-endian and read in place");

struct format_head {
    char magic[8];
    uint32_t version, reserved;
    uint64_t features; /* bits a reader must know: FORMAT_… */
    uint64_t own[4];
    uint64_t check;
};
static_assert(sizeof(struct format_head) == 64, "on disk");

/* The tables of a tenant: one of rows for each signal, the series, and the rollups, which the log knows nothing of. Numbers are on disk. */
#define TABLE_SERIES SIGNALS
#define TABLE_ROLLUPS (SIGNALS + 1)
#define TABLE_KINDS ((int)SIGNALS + 2)
const char *table_name(enum signal table); /* "spans", "logs", "series", "rollups" */

extern const char format_magic_lock[8], format_magic_manifest[8], format_magic_log[8], format_magic_texts[8];

void format_head_make(struct format_head *out, const char magic[8], const uint64_t own[4]);
/* ERR_CORRUPT: too short, another kind of file, or damaged. ERR_INVALID: of a newer format; the text says what to do. */
err format_head_read(struct str bytes, const char magic[8], const char *path, struct format_head *out);

struct path {
    char text[FORMAT_PATH_BYTES];
};
struct path path_make(const char *format, ...) __attribute__((format(printf, 1, 2)));

enum { DAY_NS_PER_S = 86400 };
static const int64_t day_ns = (int64_t)DAY_NS_PER_S * 1000000000;
static inline int32_t day_of(int64_t ns) { return (int32_t)(ns / day_ns - (ns % day_ns < 0)); } /* since 1970 */
/* The first and the last day there are begin and end with what int64 has. */
static inline int64_t day_first_ns(int32_t day) { return day <= day_of(INT64_MIN) ? INT64_MIN : day * day_ns; }
int64_t day_last_ns(int32_t day);
/* tenants/NAME/spans/20261125-0000000007.part */
struct path path_part(const char *dir, const char *tenant, enum signal signal, int32_t day, uint64_t id);
struct path path_table(const char *dir, const char *tenant, enum signal signal);
bool tenant_is_valid(struct str name);

/* Reading what may be damaged: past the end everything is zero and `bad` stays set. */
struct cursor {
    const char *p;
    size_t n;
    bool bad;
};
struct str cursor_bytes(struct cursor *c, size_t n);
uint64_t cursor_u64(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
uint8_t cursor_u8(struct cursor *c);
struct str cursor_str(struct cursor *c); /* u32 size, bytes */
void put_le_u64(struct buf *b, uint64_t v);
void put_le_u32(struct buf *b, uint32_t v);
void put_le_str(struct buf *b, struct str s);

/* Makes the entry of a folder or file durable in the folder above it. */
err path_sync_parent(const char *path);
err file_copy(const char *from, const char *to,
              uint64_t bytes_max);                       /* makes `to`, copies at most bytes_max, syncs it */
err file_link_or_copy(const char *from, const char *to); /* another file system: a copy */
