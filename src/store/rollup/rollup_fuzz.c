/* Hostile rollups: a whole file whose checksums are not looked at, read by minutes, hours and days, by keys and by service, with its halves; or, where the first byte is odd, a key. */
#include "store/rollup/file_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_key(struct str bytes) {
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf again;
    struct rollup_key key;
    arena_init(&a, 16 * MIB);
    buf_init(&again, 16 * MIB);
    if (!rollup_key_read(bytes, &a, &key)) return;
    rollup_key_write(&key, &again);
    if (!str_equal(buf_str(&again), bytes)) __builtin_trap();
}

static void read_file(struct str bytes) {
    static const int64_t steps[] = {60000000000, 0, 60000000000, 3600000000000, 0};
    struct rollup_request r = {.views = {true, true, true}, .time_max = INT64_MAX};
    struct scan_stats stats = {0};
    struct rollup_file *f;
    err e = rollup_file_open_bytes(bytes, true, &f);
    for (size_t k = 0; k < LENGTH(steps) && !e; k++) {
        struct tally t;
        r.by_service = k >= 2;
        r.views[ROLLUP_EDGE_SERVER] = r.views[ROLLUP_EDGE_CLIENT] = k < 2;
        tally_init(&t, NULL, steps[k]);
        err_free(rollup_file_read(f, &r, &t, &stats));
        err_free(rollup_file_read_halves(f, NULL, &t, &stats));
        tally_pair(&t);
        tally_pair_parents(&t);
        tally_count_unmatched(&t, INT64_MAX);
        tally_done(&t);
    }
    if (!e) rollup_file_unref(f);
    err_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1) return 0;
    size_t n = size - 1;
    AUTO_FREE char *bytes = mem_new(n + 8); /* at a multiple of 8, as a map is */
    memcpy(bytes, data + 1, n);
    (data[0] % 2 ? read_key : read_file)((struct str){bytes, n});
    return 0;
}
