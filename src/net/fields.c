#include "net/fields_priv.h"

#include <llhttp/llhttp.h>

struct reading {
    struct head_fields *fields;
    const char *base;
};

/* Longer, if llhttp hands one piece over in parts. */
static void piece_extend(const struct reading *reading, struct head_piece *piece, const char *at, size_t n) {
    uint16_t offset = (uint16_t)(at - reading->base);
    if (piece->n == 0) piece->at = offset;
    piece->n = (uint16_t)(offset + n - piece->at);
}

static int on_target(llhttp_t *parser, const char *at, size_t n) {
    struct reading *reading = parser->data;
    piece_extend(reading, &reading->fields->target, at, n);
    return 0;
}

static int on_name(llhttp_t *parser, const char *at, size_t n) {
    struct reading *reading = parser->data;
    struct head_fields *f = reading->fields;
    if (f->count >= FIELDS_MAX) return HPE_USER;
    piece_extend(reading, &f->names[f->count], at, n);
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t n) {
    struct reading *reading = parser->data;
    struct head_fields *f = reading->fields;
    if (f->count >= FIELDS_MAX) return HPE_USER;
    piece_extend(reading, &f->values[f->count], at, n);
    return 0;
}

static void entry_clear(struct head_fields *f) {
    if (f->count < FIELDS_MAX) f->names[f->count] = f->values[f->count] = (struct head_piece){0};
}

static int on_value_end(llhttp_t *parser) {
    struct head_fields *f = ((struct reading *)parser->data)->fields;
    if (f->count >= FIELDS_MAX) return HPE_USER;
    f->count++;
    entry_clear(f);
    return 0;
}

static int on_head_end(llhttp_t *parser) {
    (void)parser;
    return HPE_PAUSED; /* bodies are not llhttp's: net.h */
}

static const llhttp_settings_t settings = {
    .on_url = on_target,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_end,
    .on_headers_complete = on_head_end,
};

const char *fields_read(struct head_fields *f, const char *base, size_t at, size_t n, bool *out_method_unknown) {
    struct reading reading = {f, base};
    llhttp_t parser;
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    parser.data = &reading;
    f->count = 0;
    f->target = (struct head_piece){0};
    entry_clear(f);
    llhttp_errno_t e = llhttp_execute(&parser, base + at, n);
    *out_method_unknown = e == HPE_INVALID_METHOD;
    if (e != HPE_PAUSED) return e == HPE_OK ? "the head has no end" : llhttp_get_error_reason(&parser);
    f->chunked = parser.flags & F_CHUNKED;
    f->has_length = parser.flags & F_CONTENT_LENGTH;
    f->length = parser.content_length;
    return NULL;
}
