/* What a log record is called in a link: its time and a hash of what it says. Both are of its content alone, so the name survives
 * flushes, merges, backups and restarts; hash_bytes is XXH3, which may be written down. Records equal to the last byte share it. */
#include "query/query_priv.h"

#include "base/hash.h"

static uint64_t text(uint64_t h, struct str s) { return hash_bytes_seed(s.n ? s.p : "", s.n, h); }
static uint64_t number(uint64_t h, uint64_t v) { return hash_bytes_seed(&v, sizeof v, h); }

static uint64_t attributes(const struct batch *b, enum set s, uint32_t row, uint64_t h) {
    struct batch_attributes v = batch_attributes(b, s, row);
    h = number(h, v.n);
    for (uint32_t i = 0; i < v.n; i++) {
        const struct batch_key *key = &b->keys[v.keys[i]];
        bool is_text = key->type == VALUE_STRING || key->type == VALUE_BYTES || key->type == VALUE_ANY;
        h = number(text(h, batch_string(b, key->name)), key->type);
        if (is_text)
            h = text(h, batch_string(b, (uint32_t)v.values[i]));
        else if (key->type != VALUE_EMPTY)
            h = number(h, v.values[i]);
    }
    return h;
}

uint64_t query_log_identity(const struct batch *b, uint32_t row) {
    uint64_t h = number(0, batch_u64(b, SET_ROWS, FIELD_TIME, row));
    h = number(h, batch_u64(b, SET_ROWS, FIELD_OBSERVED, row));
    h = number(h, batch_u32(b, SET_ROWS, FIELD_SEVERITY, row));
    h = text(h, batch_text(b, SET_ROWS, FIELD_SEVERITY_TEXT, row));
    h = hash_bytes_seed(batch_id16(b, SET_ROWS, FIELD_TRACE_ID, row), 16, h);
    h = number(h, batch_u64(b, SET_ROWS, FIELD_SPAN_ID, row));
    h = text(h, batch_text(b, SET_ROWS, FIELD_NAME, row));
    h = number(h, batch_u32(b, SET_ROWS, FIELD_BODY_TYPE, row));
    h = text(h, batch_text(b, SET_ROWS, FIELD_BODY, row));
    uint32_t scope = batch_u32(b, SET_ROWS, FIELD_SCOPE, row);
    h = text(text(h, batch_text(b, SET_SCOPES, FIELD_NAME, scope)), batch_text(b, SET_SCOPES, FIELD_VERSION, scope));
    h = attributes(b, SET_ROWS, row, attributes(b, SET_SCOPES, scope, h));
    return attributes(b, SET_RESOURCES, batch_u32(b, SET_ROWS, FIELD_RESOURCE, row), h);
}
