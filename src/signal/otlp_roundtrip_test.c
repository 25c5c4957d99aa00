/* Random requests of everything that OTLP has: decoded, encoded, decoded again they say the same, and canonical ones come
 * out byte for byte. The requests are made by a writer that shares no code with the encoder. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/hash.h"
#include "signal/otlp.h"
#include "signal/message_testing_priv.h"

enum { SEEDS = 400 };

static const struct otlp_limits all_times = {INT64_MIN, INT64_MAX, 77};

static void fill_event(struct maker *k, struct message *m) {
    char text[40];
    add_fixed64(m, 1, rare(k));
    add_bytes(m, 2, random_text(k, text));
    add_attributes(k, m, 3);
    add_varint(m, 4, rare32(k));
}

static void fill_link(struct maker *k, struct message *m) {
    char text[40];
    if (!chance_one_in(k->c, 5)) add_id(k, m, 1, 16);
    if (!chance_one_in(k->c, 5)) add_id(k, m, 2, 8);
    add_bytes(m, 3, random_text(k, text));
    add_attributes(k, m, 4);
    add_varint(m, 5, rare32(k));
    add_fixed32(m, 6, rare32(k));
}

static void fill_status(struct maker *k, struct message *m) {
    char text[40];
    add_bytes(m, 2, random_text(k, text));
    add_varint(m, 3, rare_enum(k));
}

static void fill_span(struct maker *k, struct message *m) {
    char text[40];
    add_id(k, m, 1, 16);
    add_id(k, m, 2, 8);
    if (chance_one_in(k->c, 3)) add_bytes(m, 3, random_text(k, text));
    if (!chance_one_in(k->c, 3)) add_id(k, m, 4, 8);
    add_bytes(m, 5, random_text(k, text));
    add_varint(m, 6, chance_below(k->c, 6));
    add_fixed64(m, 7, chance_next(k->c) >> 1);
    add_fixed64(m, 8, rare(k));
    add_attributes(k, m, 9);
    add_varint(m, 10, rare32(k));
    for (uint32_t n = chance_one_in(k->c, 3) ? chance_below(k->c, 4) : 0; n > 0; n--)
        add_message(k, m, 11, true, fill_event);
    add_varint(m, 12, rare32(k));
    for (uint32_t n = chance_one_in(k->c, 3) ? chance_below(k->c, 4) : 0; n > 0; n--)
        add_message(k, m, 13, true, fill_link);
    add_varint(m, 14, rare32(k));
    add_message(k, m, 15, false, fill_status);
    add_fixed32(m, 16, rare32(k));
}

static void fill_log(struct maker *k, struct message *m) {
    char text[40];
    AUTO_BUF struct buf any;
    buf_init(&any, MIB);
    add_fixed64(m, 1, rare(k));
    add_varint(m, 2, rare_enum(k));
    add_bytes(m, 3, random_text(k, text));
    random_any(k->c, 4, &any);
    add_bytes(m, 5, buf_str(&any));
    add_attributes(k, m, 6);
    add_varint(m, 7, rare32(k));
    add_fixed32(m, 8, rare32(k));
    if (chance_one_in(k->c, 2)) add_id(k, m, 9, 16);
    if (chance_one_in(k->c, 2)) add_id(k, m, 10, 8);
    add_fixed64(m, 11, rare(k));
    if (chance_one_in(k->c, 3)) add_bytes(m, 12, random_text(k, text));
}

static void fill_scope_spans(struct maker *k, struct message *m) {
    char text[40];
    add_message(k, m, 1, false, fill_scope);
    for (uint32_t n = 1 + chance_below(k->c, 6); n > 0; n--) add_message(k, m, 2, true, fill_span);
    add_bytes(m, 3, random_text(k, text));
}

static void fill_scope_logs(struct maker *k, struct message *m) {
    char text[40];
    add_message(k, m, 1, false, fill_scope);
    for (uint32_t n = 1 + chance_below(k->c, 6); n > 0; n--) add_message(k, m, 2, true, fill_log);
    add_bytes(m, 3, random_text(k, text));
}

static void fill_resource_spans(struct maker *k, struct message *m) {
    char text[40];
    add_message(k, m, 1, false, fill_resource);
    for (uint32_t n = 1 + chance_below(k->c, 3); n > 0; n--) add_message(k, m, 2, true, fill_scope_spans);
    add_bytes(m, 3, random_text(k, text));
}

static void fill_resource_logs(struct maker *k, struct message *m) {
    char text[40];
    add_message(k, m, 1, false, fill_resource);
    for (uint32_t n = 1 + chance_below(k->c, 3); n > 0; n--) add_message(k, m, 2, true, fill_scope_logs);
    add_bytes(m, 3, random_text(k, text));
}

static void make_request(struct chance *c, enum signal signal, bool canonical, struct buf *out) {
    struct maker k = {c, canonical};
    struct message *m = mem_new_of(struct message);
    for (uint32_t n = 1 + chance_below(c, 3); n > 0; n--)
        add_message(&k, m, 1, true, signal == SIGNAL_SPANS ? fill_resource_spans : fill_resource_logs);
    flatten(c, canonical, m, out);
    mem_free(m);
}

static struct batch_blob *decode(struct otlp_decoder *d, enum signal signal, struct str body, struct batch *out) {
    struct otlp_result r;
    err e = otlp_decode(d, signal, body, &all_times, &r);
    if (e) fail_msg("%s", err_text(e));
    assert_non_null(r.blob);
    for (int i = 0; i < OTLP_REASONS; i++) assert_int_equal(r.rejected[i], 0);
    struct batch_blob *checked = NULL; /* what the decoder makes is what opening accepts */
    e = batch_open(batch_bytes(r.blob), &checked);
    if (e) fail_msg("%s", err_text(e));
    batch_unref(checked);
    batch_view(r.blob, out);
    assert_int_equal(out->rows, r.rows);
    return r.blob;
}

static void round_trip(struct otlp_decoder *d, uint64_t seed, enum signal signal, bool canonical) {
    struct chance c = {seed};
    struct batch first, second;
    AUTO_BUF struct buf body, again;
    buf_init(&body, 16 * MIB);
    buf_init(&again, 16 * MIB);
    make_request(&c, signal, canonical, &body);
    struct batch_blob *one = decode(d, signal, buf_str(&body), &first);
    otlp_encode(&first, &again);
    assert_false(again.full);
    struct batch_blob *two = decode(d, signal, buf_str(&again), &second);
    assert_batches_equal(&first, &second);
    if (canonical) {
        assert_int_equal(again.n, body.n);
        assert_memory_equal(again.p, body.p, body.n);
    }
    batch_unref(one);
    batch_unref(two);
}

static void canonical_requests_come_out_byte_for_byte(void **state) {
    (void)state;
    struct otlp_decoder *d = otlp_decoder_new(); /* one for all: what it learned from others must not show */
    for (uint64_t seed = 0; seed < SEEDS; seed++) round_trip(d, seed, seed % 2 ? SIGNAL_LOGS : SIGNAL_SPANS, true);
    otlp_decoder_free(d);
}

static void fields_in_any_order_say_the_same(void **state) {
    (void)state;
    struct otlp_decoder *d = otlp_decoder_new();
    for (uint64_t seed = 0; seed < SEEDS; seed++) round_trip(d, seed, seed % 2 ? SIGNAL_LOGS : SIGNAL_SPANS, false);
    otlp_decoder_free(d);
}

static void a_reused_decoder_gives_what_a_fresh_one_gives(void **state) {
    (void)state;
    struct otlp_decoder *reused = otlp_decoder_new();
    for (uint64_t seed = 0; seed < 40; seed++) {
        enum signal signal = seed % 2 ? SIGNAL_LOGS : SIGNAL_SPANS;
        struct chance c = {seed / 4}; /* of each kind two requests alike */
        struct batch a, b;
        AUTO_BUF struct buf body;
        buf_init(&body, 16 * MIB);
        if (seed % 8 < 4)
            make_request(&c, signal, true, &body);
        else
            load_request(&c, signal, &body);
        struct otlp_decoder *fresh = otlp_decoder_new();
        struct batch_blob *one = decode(reused, signal, buf_str(&body), &a),
                          *two = decode(fresh, signal, buf_str(&body), &b);
        assert_batches_equal(&a, &b);
        batch_unref(one);
        batch_unref(two);
        otlp_decoder_free(fresh);
    }
    otlp_decoder_free(reused);
}

/* Values that repeat share a string; those that do not stop being looked up, and are marked. */
static void a_decoder_learns_which_values_repeat(void **state) {
    (void)state;
    struct otlp_decoder *d = otlp_decoder_new();
    struct chance c = {5};
    bool target_unique = false, method_unique = false;
    for (int i = 0; i < 4; i++) {
        struct batch b;
        AUTO_BUF struct buf body;
        buf_init(&body, 16 * MIB);
        load_request(&c, SIGNAL_SPANS, &body);
        struct batch_blob *blob = decode(d, SIGNAL_SPANS, buf_str(&body), &b);
        for (uint32_t k = 0; k < b.key_count; k++) {
            struct str name = batch_string(&b, b.keys[k].name);
            if (str_equal(name, STR("http.target"))) target_unique = b.keys[k].unique;
            if (str_equal(name, STR("http.method"))) method_unique = b.keys[k].unique;
        }
        assert_int_equal(b.rows, 500);
        assert_int_equal(b.set_rows[SET_RESOURCES], 10);
        batch_unref(blob);
    }
    assert_true(target_unique && !method_unique);
    otlp_decoder_free(d);
}

/* No cut of a request is anything but an error or a shorter request, and a decoder works on after it. */
static void a_cut_request_is_an_error(void **state) {
    (void)state;
    struct otlp_decoder *d = otlp_decoder_new();
    struct chance c = {11};
    AUTO_BUF struct buf body;
    buf_init(&body, 16 * MIB);
    make_request(&c, SIGNAL_SPANS, true, &body);
    uint32_t errors = 0;
    for (size_t n = 1; n < body.n; n++) {
        struct otlp_result r;
        AUTO_FREE char *cut = mem_new(n); /* exactly sized: ASan sees one byte too far */
        memcpy(cut, body.p, n);
        err e = otlp_decode(d, SIGNAL_SPANS, str_span(cut, n), &all_times, &r);
        if (e) {
            assert_int_equal(err_kind(e), ERR_INVALID);
            assert_non_null(strstr(err_text(e), "at byte"));
            err_free(e);
            errors++;
        } else
            batch_unref(r.blob);
    }
    assert_true(errors >= body.n - 4);
    struct batch b;
    batch_unref(decode(d, SIGNAL_SPANS, buf_str(&body), &b));
    otlp_decoder_free(d);
}

/* Any byte changed: an error or a batch that opens. */
static void damaged_requests_never_make_bad_batches(void **state) {
    (void)state;
    struct otlp_decoder *d = otlp_decoder_new();
    for (uint64_t seed = 0; seed < 12; seed++) {
        struct chance c = {seed + 50};
        AUTO_BUF struct buf body;
        buf_init(&body, 16 * MIB);
        make_request(&c, SIGNAL_LOGS, true, &body);
        for (size_t i = 0; i < body.n; i += 1 + body.n / 300) {
            struct otlp_result r;
            char was = body.p[i];
            body.p[i] = (char)(was ^ 1 << chance_below(&c, 8));
            err e = otlp_decode(d, SIGNAL_LOGS, buf_str(&body), &all_times, &r);
            body.p[i] = was;
            if (!e && r.blob) {
                struct batch_blob *opened = NULL;
                err bad = batch_open(batch_bytes(r.blob), &opened);
                if (bad) fail_msg("%s", err_text(bad));
                batch_unref(opened);
                batch_unref(r.blob);
            }
            err_free(e);
        }
    }
    otlp_decoder_free(d);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(canonical_requests_come_out_byte_for_byte),
        cmocka_unit_test(fields_in_any_order_say_the_same),
        cmocka_unit_test(a_reused_decoder_gives_what_a_fresh_one_gives),
        cmocka_unit_test(a_decoder_learns_which_values_repeat),
        cmocka_unit_test(a_cut_request_is_an_error),
        cmocka_unit_test(damaged_requests_never_make_bad_batches),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
