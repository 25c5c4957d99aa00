/* Any bytes as the file of what is said about metrics, as they are and behind a head that fits them: an error or sayings, nothing else. */
#include "base/hash.h"
#include "store/engine/series_table_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void keep(void *context, const struct series_metadata *m) { metric_texts_add(context, m); }

static err scan(struct str bytes, struct metric_texts *t) { return metric_texts_scan(bytes, "fuzz", keep, t); }

static void list(struct metric_texts *t) {
    struct series_metadata *m;
    struct arena a;
    uint32_t n;
    arena_init(&a, 64 * MIB);
    err e = metric_texts_list(t, (struct str){0}, &a, &m, &n);
    for (uint32_t i = 1; i < n && !e; i++) assert(str_compare(m[i - 1].name, m[i].name) <= 0);
    err_free(e);
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct metric_texts *t = metric_texts_new(NULL);
    struct format_head head;
    struct buf b;
    err_free(scan(str_span(data, size), t));
    if (size >= 1) {
        struct str body = str_span(data + 1, size - 1);
        buf_init(&b, 64 * MIB);
        format_head_make(&head, format_magic_texts, (uint64_t[4]){data[0], body.n, hash_bytes(body.p, body.n), 0});
        buf_add(&b, &head, sizeof head);
        buf_add_str(&b, body);
        err_free(scan(buf_str(&b), t));
        buf_done(&b);
    }
    list(t);
    metric_texts_free(t);
    return 0;
}
