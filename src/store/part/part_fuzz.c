/* A part whose bytes were changed, with checksums that fit: whatever is in it, opening, scanning, fetching and checking it end
 * with an answer or an error.
 *
 *   byte 0: bit 0 the signal of a small part, made here; bit 1: instead the rest of the input is the file
 *   then patches of the part's file: offset (2 bytes), value (1 byte), how (1 byte: 0 set, else xor)
 */
#include "base/hash.h"
#include "os/sim/sim.h"
#include "signal/otlp.h"
#include "signal/testing_priv.h"
#include "store/part/part_read_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROWS_MAX = 2048, MEMORY_MAX = 64 << 20 };

static void must(err e) {
    if (e) __builtin_trap();
}

/* ---- the part to change ------------------------------------------------------------------------------------------- */

static struct batch_blob *decode_request(struct chance *c, enum signal signal) {
    struct otlp_decoder *d = otlp_decoder_new();
    struct otlp_limits limits = {.time_min = INT64_MIN, .time_max = INT64_MAX};
    struct otlp_result result;
    struct buf body;
    buf_init(&body, 16 * MIB);
    load_request(c, signal, &body);
    must(otlp_decode(d, signal, buf_str(&body), &limits, &result));
    otlp_decoder_free(d);
    buf_done(&body);
    return result.blob;
}

static struct str make_part(enum signal signal) {
    struct chance c = {7};
    struct batch_builder b;
    struct batch batches[2];
    struct part_info info;
    struct file *f;
    size_t n;
    batch_builder_init(&b, signal);
    random_batch(&c, &b, 40);
    struct batch_blob *blobs[] = {batch_builder_finish(&b), decode_request(&c, signal)};
    for (int i = 0; i < 2; i++) batch_view(blobs[i], &batches[i]);
    sim_reset(1);
    must(part_write("p", signal, 1, batches, 2, INT64_MIN, INT64_MAX, NULL, 64 * MIB, &info));
    char *bytes = mem_new((size_t)info.bytes);
    must(file_open("p", FILE_READ, &f));
    must(file_read(f, bytes, (size_t)info.bytes, 0, &n));
    file_close(f);
    for (int i = 0; i < 2; i++) batch_unref(blobs[i]);
    batch_builder_done(&b);
    return str_span(bytes, n);
}

static void patch(char *bytes, size_t n, const uint8_t *data, size_t size) {
    for (; size >= 4; data += 4, size -= 4) {
        size_t at = ((size_t)data[0] | (size_t)data[1] << 8) * 3 % n;
        bytes[at] = (char)(data[3] ? bytes[at] ^ data[2] : data[2]);
    }
}

/* ---- what may be done with a part --------------------------------------------------------------------------------- */

static struct column_ref attribute(const char *name) {
    return (struct column_ref){.target = TARGET_ANY, .key = str_of(name)};
}

static void scan(struct part *p, uint32_t group, struct column_ref column, enum operator op, const char *text) {
    struct arena a;
    struct scan_stats stats = {0};
    struct part_scan *s;
    struct predicate predicate;
    struct chunk chunk;
    struct column_ref wanted[] = {{.field = FIELD_TRACE_ID}, {.field = FIELD_PARENT_ID}, {.field = FIELD_TIME},
                                  {.field = FIELD_NAME},     {.field = FIELD_OBSERVED},  attribute("http.target"),
                                  {.field = FIELD_BODY},     attribute("user.id"),       attribute("service.name")};
    struct scan_request q = {.time_min = INT64_MIN,
                             .time_max = INT64_MAX - 1,
                             .predicates = &predicate,
                             .predicate_count = 1,
                             .columns = wanted,
                             .column_count = LENGTH(wanted)};
    bool may_match;
    arena_init(&a, MEMORY_MAX);
    must(predicate_make(&a, column, op, str_of(text), &predicate));
    err e = part_scan_open(p, &q, &a, &s, &may_match);
    if (!e && may_match) e = part_scan_group(s, group, &a, &chunk, &stats);
    err_free(e);
    predicate_done(&predicate);
    arena_done(&a);
}

static void fetch(struct part *p, uint32_t group) {
    struct scan_stats stats = {0};
    struct batch_builder b;
    int64_t low, high;
    uint32_t n, rows[ROWS_MAX];
    part_group_range(p, group, &low, &high, &n);
    n = MIN(n, (uint32_t)ROWS_MAX);
    for (uint32_t i = 0; i < n; i++) rows[i] = i;
    batch_builder_init(&b, part_info(p)->signal);
    err e = part_fetch(p, group, rows, n, &b, &stats);
    err_free(e);
    e = part_fetch(p, group, rows, MIN(n, 3u), &b, &stats);
    err_free(e);
    batch_builder_done(&b);
}

static err ignore_rows(void *context, uint32_t group, const uint32_t *rows, size_t n) {
    (void)context, (void)group, (void)rows, (void)n;
    return NULL;
}

static void ignore_piece(void *context, const struct size_piece *p) { (void)context, (void)p; }

static void ignore_resource(void *context, const struct batch *b, uint32_t row, uint64_t rows, uint64_t bytes) {
    (void)context, (void)b, (void)row, (void)rows, (void)bytes;
}

static const struct size_sink ignore_sizes = {.piece = ignore_piece, .resource = ignore_resource};

static void use(struct part *p) {
    struct arena a;
    struct scan_stats stats = {0};
    arena_init(&a, MEMORY_MAX);
    uint32_t groups = MIN(part_info(p)->groups, 4u);
    for (uint32_t g = 0; g < groups; g++) {
        scan(p, g, (struct column_ref){.target = TARGET_TEXT}, OP_WORDS, "completed a* \"b\"");
        scan(p, g, attribute("user.id"), OP_NOT_EQUAL, "1");
        scan(p, g, attribute("http.status_code"), OP_GREATER, "7");
        scan(p, g, attribute("a.b"), OP_MATCH, "a.*b");
        scan(p, g, (struct column_ref){.target = TARGET_EVENT, .key = STR("x")}, OP_EXISTS, "");
        scan(p, g, (struct column_ref){.target = TARGET_FIELD, .field = FIELD_SPAN_ID}, OP_NOT_MATCH, "^0");
        fetch(p, g);
    }
    err sized = part_piece_sizes(p, &ignore_sizes);
    err_free(sized);
    sized = part_resource_sizes(p, &(struct scan_request){0}, &ignore_sizes, &stats);
    err_free(sized);
    err e = part_find_trace(p, (const unsigned char *)"0123456789abcdef", &a, ignore_rows, NULL, &stats);
    err_free(e);
    arena_done(&a);
}

/* A merge writes what it reads: only to be opened again. */
static void merge(struct part *p) {
    struct part_info info;
    struct part *merged;
    sim_reset(1);
    err e = part_merge("m", 2, &p, 1, NULL, 64 * MIB, &info);
    if (!e) {
        must(part_open("m", &merged));
        use(merged);
        part_unref(merged);
    }
    err_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct str made[SIGNALS];
    if (size < 1) return 0;
    if (!made[0].p)
        for (int i = 0; i < SIGNALS; i++) made[i] = make_part((enum signal)i);
    struct str from = data[0] & 2 ? str_span(data + 1, size - 1) : made[data[0] & 1];
    char *bytes = mem_new(from.n + 1);
    memcpy(bytes, from.p, from.n);
    if (!(data[0] & 2)) patch(bytes, from.n, data + 1, size - 1);
    struct part *p;
    err e = part_open_bytes(str_span(bytes, from.n), true, &p);
    if (!e) {
        use(p);
        if (!(data[0] & 4)) merge(p);
        part_unref(p);
    }
    err_free(e);
    mem_free(bytes);
    return 0;
}
