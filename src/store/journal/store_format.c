#include "store/journal/store_format_priv.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/hash.h"
#include "os/file.h"

const char format_magic_lock[8] = {'c', 'l', 'e', 'w', 'L', 'O', 'C', 'K'};
const char format_magic_manifest[8] = {'c', 'l', 'e', 'w', 'M', 'A', 'N', 'I'};
const char format_magic_log[8] = {'c', 'l', 'e', 'w', 'L', 'O', 'G', 'S'};
const char format_magic_texts[8] = {'c', 'l', 'e', 'w', 'M', 'E', 'T', 'A'};

/* What a reader must know to read what this build writes; it reads what lacks it, too. */
static uint64_t features_of(const char magic[8]) {
    if (memcmp(magic, format_magic_manifest, 8) == 0) return FORMAT_ROLLUPS;
    return memcmp(magic, format_magic_log, 8) == 0 ? FORMAT_SAYS | FORMAT_PACKED : 0;
}

void format_head_make(struct format_head *out, const char magic[8], const uint64_t own[4]) {
    *out = (struct format_head){.version = FORMAT_VERSION, .features = features_of(magic)};
    memcpy(out->magic, magic, 8);
    memcpy(out->own, own, sizeof out->own);
    out->check = hash_bytes(out, offsetof(struct format_head, check));
}

err format_head_read(struct str bytes, const char magic[8], const char *path, struct format_head *out) {
    struct format_head h;
    if (bytes.n < sizeof h) return err_new(ERR_CORRUPT, "%s: shorter than its header", path);
    memcpy(&h, bytes.p, sizeof h);
    if (memcmp(h.magic, magic, 8) != 0) return err_new(ERR_CORRUPT, "%s: not a file of this kind", path);
    if (h.check != hash_bytes(&h, offsetof(struct format_head, check)))
        return err_new(ERR_CORRUPT, "%s: header is damaged", path);
    if (h.version > FORMAT_VERSION || (h.features & ~features_of(magic)))
        return err_new(
            ERR_INVALID,
            "%s is of format %u (features %llx); this clew reads format %d: use the newer clew that wrote it, "
            "or restore a backup made by this version",
            path, h.version, (unsigned long long)h.features, FORMAT_VERSION);
    *out = h;
    return NULL;
}

struct path path_make(const char *format, ...) {
    struct path p;
    va_list ap;
    va_start(ap, format);
    vsnprintf(p.text, sizeof p.text, format, ap);
    va_end(ap);
    return p;
}

int64_t day_last_ns(int32_t day) { return day >= day_of(INT64_MAX) ? INT64_MAX : day_first_ns(day + 1) - 1; }

/* Source: H. Hinnant, "chrono-compatible low-level date algorithms" (civil_from_days). */
static uint32_t day_as_number(int32_t day) {
    int64_t z = (int64_t)day + 719468, era = (z >= 0 ? z : z - 146096) / 146097;
    int64_t doe = z - era * 146097, yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    int64_t month = mp < 10 ? mp + 3 : mp - 9, year = yoe + era * 400 + (month <= 2);
    return (uint32_t)(year * 10000 + month * 100 + doy - (153 * mp + 2) / 5 + 1);
}

const char *table_name(enum signal table) {
    return table == TABLE_ROLLUPS ? "rollups" : table == TABLE_SERIES ? "series" : signal_names[table];
}

struct path path_table(const char *dir, const char *tenant, enum signal signal) {
    return path_make("%.3800s/tenants/%.63s/%s", dir, tenant, table_name(signal));
}

struct path path_part(const char *dir, const char *tenant, enum signal signal, int32_t day, uint64_t id) {
    return path_make("%.3800s/tenants/%.63s/%s/%08u-%010llu.part", dir, tenant, table_name(signal), day_as_number(day),
                     (unsigned long long)id);
}

bool tenant_is_valid(struct str name) {
    if (name.n == 0 || name.n >= TENANT_BYTES || name.p[0] == '.') return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && c != '_' && c != '-' && c != '.') return false;
    }
    return true;
}

struct str cursor_bytes(struct cursor *c, size_t n) {
    if (n > c->n) {
        *c = (struct cursor){.bad = true};
        return (struct str){NULL, 0};
    }
    struct str s = {c->p, n};
    c->p += n;
    c->n -= n;
    return s;
}

uint64_t cursor_u64(struct cursor *c) {
    uint64_t v = 0;
    struct str s = cursor_bytes(c, 8);
    if (s.n) memcpy(&v, s.p, 8);
    return v;
}

uint32_t cursor_u32(struct cursor *c) {
    uint32_t v = 0;
    struct str s = cursor_bytes(c, 4);
    if (s.n) memcpy(&v, s.p, 4);
    return v;
}

uint8_t cursor_u8(struct cursor *c) {
    struct str s = cursor_bytes(c, 1);
    return s.n ? (uint8_t)s.p[0] : 0;
}

struct str cursor_str(struct cursor *c) {
    return cursor_bytes(c, cursor_u32(c));
}

void put_le_u64(struct buf *b, uint64_t v) { buf_add(b, &v, 8); }
void put_le_u32(struct buf *b, uint32_t v) { buf_add(b, &v, 4); }

void put_le_str(struct buf *b, struct str s) {
    put_le_u32(b, (uint32_t)s.n);
    buf_add_str(b, s);
}

err path_sync_parent(const char *path) {
    struct path parent = path_make("%s", path);
    size_t n = strlen(parent.text);
    while (n > 1 && parent.text[n - 1] == '/') n--;
    while (n > 0 && parent.text[n - 1] != '/') n--;
    parent.text[n] = 0;
    return path_sync_dir(n ? parent.text : ".");
}

static err copy_bytes(struct file *from, struct file *to, uint64_t bytes_max) {
    AUTO_FREE char *piece = mem_new(MIB);
    for (uint64_t at = 0; at < bytes_max;) {
        size_t n = 0;
        TRY(file_read(from, piece, (size_t)MIN(bytes_max - at, MIB), at, &n));
        if (n == 0) break;
        TRY(file_write(to, piece, n, at));
        at += n;
    }
    return file_sync(to);
}

err file_copy(const char *from, const char *to, uint64_t bytes_max) {
    AUTO_CLOSE struct file *source = NULL, *copy = NULL;
    TRY(file_open(from, FILE_READ, &source));
    TRY(file_open(to, FILE_CREATE, &copy));
    return copy_bytes(source, copy, bytes_max);
}

err file_link_or_copy(const char *from, const char *to) {
    err e = path_link(from, to);
    if (!e || err_kind(e) != ERR_IO) return e;
    err_free(e);
    return file_copy(from, to, UINT64_MAX);
}
