/* Any bytes as a request that is edited and taken apart by spans. Put together again, what the decoder takes has as many spans as before; edited twice,
 * an upsert changes nothing more. */
#include "signal/metrics/points_decode.h"
#include "signal/otlp.h"
#include "signal/otlp_edit.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool put_again(void *context, const struct otlp_span_bytes *span) {
    otlp_put_span(span, context);
    return true;
}

/* Every third row has none; some share one. */
static struct str id_of(void *context, uint32_t row) {
    (void)context;
    return row % 3 == 2 ? STR("") : row % 7 ? STR("id-1") : STR("id-2");
}

static uint64_t rows_of(struct otlp_decoder *d, struct str request, bool *out_taken) {
    const struct otlp_limits limits = {.time_min = INT64_MIN, .time_max = INT64_MAX};
    struct otlp_result r = {0};
    uint64_t rows = 0;
    err e = otlp_decode(d, SIGNAL_SPANS, request, &limits, &r);
    *out_taken = !e;
    if (!e) {
        rows = r.rows;
        for (int i = 0; i < OTLP_REASONS; i++) rows += r.rejected[i];
        batch_unref(r.blob);
    }
    err_free(e);
    return rows;
}

static struct str id_of_exemplar(void *context, const struct otlp_exemplar_bytes *e) {
    (void)context;
    return e->own_count ? e->own[0].text : e->resource_count ? e->resource[0].key : e->trace_id.n ? STR("id") : STR("");
}

static uint64_t points_of(struct points_decoder *d, struct str request, bool *out_taken) {
    const struct otlp_limits limits = {.time_min = INT64_MIN, .time_max = INT64_MAX};
    struct points_result r = {0};
    uint64_t rows = 0;
    err e = points_decode_otlp(d, request, &limits, &r);
    *out_taken = !e;
    if (!e) {
        rows = r.points;
        for (int i = 0; i < POINTS_REASONS; i++) rows += r.rejected[i];
        batch_unref(r.blob);
    }
    err_free(e);
    return rows;
}

/* A request of metrics that the decoder takes is given ids, and is taken as before; given twice nothing changes. */
static void put_exemplar_ids(struct str request) {
    struct points_decoder *d = points_decoder_new();
    AUTO_BUF struct buf once, twice;
    bool taken, still;
    buf_init(&once, 16 * MIB);
    buf_init(&twice, 16 * MIB);
    uint64_t rows = points_of(d, request, &taken);
    bool given = otlp_put_exemplar_ids(request, STR("correlation_id"), id_of_exemplar, NULL, &once);
    if (taken && !given && !once.full) __builtin_trap();
    if (taken && given && !once.full) {
        if (points_of(d, buf_str(&once), &still) != rows || !still) __builtin_trap();
        if (!otlp_put_exemplar_ids(buf_str(&once), STR("correlation_id"), id_of_exemplar, NULL, &twice) ||
            !str_equal(buf_str(&once), buf_str(&twice)))
            __builtin_trap();
    }
    points_decoder_free(d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct otlp_edit edits[] = {{OTLP_UPSERT, STR("service.name"), STR("\x0a\x01z")},
                                             {OTLP_DELETE, STR("a"), STR("")},
                                             {OTLP_INSERT, STR("k"), STR("\x18\x05")}};
    struct str request = {(const char *)data, size};
    struct otlp_decoder *d = otlp_decoder_new();
    AUTO_BUF struct buf again, once, twice;
    bool taken, still;
    buf_init(&again, 16 * MIB);
    buf_init(&once, 16 * MIB);
    buf_init(&twice, 16 * MIB);
    uint64_t rows = rows_of(d, request, &taken);
    bool walked = otlp_spans_each(request, put_again, &again);
    if (taken && !walked) __builtin_trap();
    if (taken && !again.full && (rows_of(d, buf_str(&again), &still) != rows || !still)) __builtin_trap();
    bool edited = otlp_edit_resources(request, edits, 3, &once);
    if (taken && !edited && !once.full) __builtin_trap();
    if (taken && edited && !once.full) {
        if (rows_of(d, buf_str(&once), &still) != rows || !still) __builtin_trap();
        if (!otlp_edit_resources(buf_str(&once), edits, 3, &twice) || !str_equal(buf_str(&once), buf_str(&twice)))
            __builtin_trap();
    }
    buf_clear(&once);
    buf_clear(&twice);
    bool given = otlp_put_ids(request, true, STR("correlation_id"), id_of, NULL, &once);
    if (taken && !given && !once.full) __builtin_trap();
    if (taken && given && !once.full) { /* attributes of a row have a limit, over which it is refused: counted alike */
        if (rows_of(d, buf_str(&once), &still) != rows || !still) __builtin_trap();
        if (!otlp_put_ids(buf_str(&once), true, STR("correlation_id"), id_of, NULL, &twice) ||
            !str_equal(buf_str(&once), buf_str(&twice)))
            __builtin_trap();
    }
    otlp_decoder_free(d);
    put_exemplar_ids(request);
    return 0;
}
