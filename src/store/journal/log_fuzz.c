/* Any bytes as a log segment. Checks stop a mutation from getting far, so they are mended first if the input asks for it (its
 * first byte): then lengths, offsets and sequences are the fuzzer's. */
#include "base/hash.h"
#include "store/journal/log_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static err see(void *context, const struct log_record *r) {
    uint64_t *sum = context;
    for (size_t i = 0; i < r->blob.n; i++) *sum += (unsigned char)r->blob.p[i];
    return r->tenant.n < TENANT_BYTES ? NULL : err_new(ERR_INTERNAL, "a tenant's name of %zu bytes", r->tenant.n);
}

/* Gives the head and each thing that looks like a record head the checks it should have. */
static void mend(char *p, size_t n) {
    struct format_head head;
    memcpy(&head, p, sizeof head);
    memcpy(head.magic, format_magic_log, 8);
    head.version = FORMAT_VERSION;
    head.features = 0;
    head.check = hash_bytes(&head, offsetof(struct format_head, check));
    memcpy(p, &head, sizeof head);
    for (size_t at = SEGMENT_HEAD_BYTES; at + RECORD_HEAD_BYTES <= n; at += 8) {
        struct record_head r;
        memcpy(&r, p + at, sizeof r);
        if (r.magic != RECORD_MAGIC) continue;
        size_t left = n - at - RECORD_HEAD_BYTES;
        if (r.blob_bytes <= left) r.blob_check = hash_bytes(p + at + RECORD_HEAD_BYTES, r.blob_bytes);
        r.check = hash_bytes_seed(&r, offsetof(struct record_head, check), head.own[1]);
        memcpy(p + at, &r, sizeof r);
    }
}

/* The fuzzer's bytes begin where records do: 4 KiB of head in each input would only slow it down. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_BUF struct buf findings = {0};
    struct segment_reading reading;
    struct segment_head head;
    uint64_t sum = 0;
    if (size < 1) return 0;
    static const char zeros[SEGMENT_HEAD_BYTES - sizeof(struct format_head)];
    AUTO_BUF struct buf segment;
    struct format_head start;
    buf_init(&segment, 64 * MIB);
    format_head_make(&start, format_magic_log, (uint64_t[4]){1, 1, 1, 1});
    buf_add(&segment, &start, sizeof start);
    buf_add(&segment, zeros, sizeof zeros);
    buf_add(&segment, data + 1, size - 1);
    if (segment.full || !segment.p) return 0;
    if (data[0] & 1) mend(segment.p, segment.n);
    buf_init(&findings, MIB);
    err e = segment_head_read(buf_str(&segment), "fuzz", &head);
    if (!e) e = segment_read(buf_str(&segment), "fuzz", &head, see, &sum, &findings, &reading);
    if (!e && reading.end > segment.n) __builtin_trap();
    err_free(e);
    return 0;
}
