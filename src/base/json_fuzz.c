/* Reads any bytes as JSON and, where they are, writes them again: the second reading must see the same tokens. */
#include <stdlib.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Copies the value at the reader into the writer; numbers become strings, so that their text is kept. */
static void copy_token(struct json_writer *w, const struct json_reader *r, enum json_token t) {
    switch (t) {
    case JSON_OBJECT: json_object(w); break;
    case JSON_OBJECT_END: json_object_end(w); break;
    case JSON_ARRAY: json_array(w); break;
    case JSON_ARRAY_END: json_array_end(w); break;
    case JSON_KEY: json_key(w, r->value); break;
    case JSON_STRING:
    case JSON_NUMBER: json_str(w, r->value); break;
    case JSON_TRUE:
    case JSON_FALSE: json_bool(w, t == JSON_TRUE); break;
    case JSON_NULL: json_null(w); break;
    case JSON_END:
    case JSON_ERROR: break;
    }
}

/* A hash of all tokens and values; *good says whether the text was JSON. */
static uint64_t read_all(struct str text, struct json_writer *w, bool *good) {
    struct json_reader r;
    json_reader_init(&r, text, JSON_DEPTH_MAX);
    uint64_t hash = 0;
    enum json_token t;
    while ((t = json_next(&r)) != JSON_END && t != JSON_ERROR) {
        bool has_value = t == JSON_KEY || t == JSON_STRING || t == JSON_NUMBER;
        if (has_value && !utf8_is_valid(r.value)) abort();
        hash = hash_mix(hash, t == JSON_NUMBER ? JSON_STRING : t);
        if (has_value) hash = hash_mix(hash, hash_bytes(r.value.p, r.value.n));
        if (w) copy_token(w, &r, t);
    }
    *good = t == JSON_END;
    err e = json_reader_err(&r);
    if ((e != NULL) == *good) abort();
    err_free(e);
    json_reader_done(&r);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bool good, good_again, skipped;
    struct str text = str_span(data, size);
    AUTO_BUF struct buf out = {.max = 64 * MIB};
    struct json_writer w;
    json_writer_init(&w, &out);
    uint64_t hash = read_all(text, &w, &good);
    struct json_reader r;
    json_reader_init(&r, text, JSON_DEPTH_MAX);
    skipped = json_skip(&r) && json_next(&r) == JSON_END;
    json_reader_done(&r);
    if (skipped != good) abort();
    if (good && (read_all(buf_str(&out), NULL, &good_again) != hash || !good_again)) abort();
    return 0;
}
