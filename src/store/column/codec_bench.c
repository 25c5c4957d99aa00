/* Prints ns per value and bytes per value of the number codecs. */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "os/clock.h"
#include "store/column/codes_priv.h"
#include "store/column/hash_index_priv.h"
#include "store/column/ints_priv.h"

enum { GROUP = 16384, ROUNDS = 60 };

static uint64_t seed = 1;
static uint64_t chance(void) { return seed = hash_u64(seed + 0x9e37); }

static double now_ns(void) { return (double)clock_process_cpu_ns(); }

static uint64_t v[GROUP], out[GROUP];
static uint32_t codes[GROUP], rows[GROUP];

static void bench_ints(const char *name) {
    static const char *const kinds[] = {"constant", "frames", "delta", "dictionary"};
    struct buf b;
    buf_init(&b, 16 * MIB);
    double start = now_ns();
    for (int i = 0; i < ROUNDS; i++) buf_clear(&b), ints_encode(v, GROUP, &b);
    double encode = (now_ns() - start) / ROUNDS / GROUP;
    struct ints c;
    if (ints_open(buf_str(&b), GROUP, &c)) abort();
    start = now_ns();
    for (int i = 0; i < ROUNDS * 10; i++) ints_decode(&c, 0, GROUP, out);
    double decode = (now_ns() - start) / ROUNDS / 10 / GROUP;
    if (memcmp(v, out, sizeof v) != 0) abort();
    uint64_t sum = 0;
    start = now_ns();
    for (uint32_t i = 0; i < GROUP; i++) sum += ints_get(&c, i * 7919 % GROUP);
    double get = (now_ns() - start) / GROUP;
    printf("%-28s %-10s %6.2f bytes  encode %5.2f  decode %5.2f  get %6.1f ns%s\n", name, kinds[c.kind],
           (double)b.n / GROUP, encode, decode, get, sum == 1 ? " " : "");
    buf_done(&b);
}

static void bench_codes(unsigned width) {
    struct buf b;
    buf_init(&b, 16 * MIB);
    for (int i = 0; i < GROUP; i++) codes[i] = (uint32_t)(chance() & bits_mask(width));
    double start = now_ns();
    for (int i = 0; i < ROUNDS; i++) buf_clear(&b), codes_encode(codes, GROUP, &b);
    double encode = (now_ns() - start) / ROUNDS / GROUP;
    struct codes c;
    if (codes_open(buf_str(&b), GROUP, &c)) abort();
    uint64_t *wanted = mem_new_array(uint64_t, codes_wanted_words(&c));
    wanted[0] = 2;
    start = now_ns();
    for (int i = 0; i < ROUNDS * 10; i++) codes_decode(&c, 0, GROUP, codes);
    double decode = (now_ns() - start) / ROUNDS / 10 / GROUP;
    uint32_t found = 0;
    start = now_ns();
    for (int i = 0; i < ROUNDS * 10; i++) found += codes_select(&c, wanted, rows);
    double select = (now_ns() - start) / ROUNDS / 10 / GROUP;
    start = now_ns();
    for (int i = 0; i < ROUNDS * 10; i++) found += codes_count(&c, wanted);
    double count = (now_ns() - start) / ROUNDS / 10 / GROUP;
    printf("codes of %2u bits             %6.2f bytes  encode %5.2f  decode %5.2f  select %5.2f  count %5.2f ns (%u)\n",
           width, (double)b.n / GROUP, encode, decode, select, count, found);
    mem_free(wanted);
    buf_done(&b);
}

static void bench_index(uint32_t n) {
    struct hash_index_entry *entries = mem_new_array(struct hash_index_entry, n);
    for (uint32_t i = 0; i < n; i++) entries[i] = (struct hash_index_entry){chance(), i / (n / 62 + 1)};
    struct buf b;
    buf_init(&b, 64 * MIB);
    double start = now_ns();
    hash_index_encode(entries, n, &b);
    double build = (now_ns() - start) / n;
    struct hash_index x;
    if (hash_index_open(buf_str(&b), &x)) abort();
    uint32_t groups[16], found = 0, wrong = 0;
    start = now_ns();
    for (uint32_t i = 0; i < n; i += 10) found += hash_index_find(&x, entries[i].hash, groups, LENGTH(groups));
    double find = (now_ns() - start) / (n / 10.0);
    for (uint32_t i = 0; i < 100000; i++) wrong += hash_index_find(&x, chance(), groups, LENGTH(groups));
    printf("hash index of %7u         %6.2f bytes  build %5.1f  find %5.1f ns  false groups %.2f %% a lookup (%u)\n", n,
           (double)b.n / n, build, find, wrong / 1000.0, found);
    mem_free(entries);
    buf_done(&b);
}

int main(void) {
    for (int i = 0; i < GROUP; i++) v[i] = (i ? v[i - 1] : 1790000000000000000u) + chance() % 3600000;
    bench_ints("sorted times");
    for (int i = 0; i < GROUP; i++) v[i] = 1000000u + ((chance() % 100000) << chance() % 10);
    bench_ints("durations");
    for (int i = 0; i < GROUP; i++) v[i] = chance() % 8 ? 200 : 404 + chance() % 100 / 50 * 99;
    bench_ints("status codes");
    for (int i = 0; i < GROUP; i++) v[i] = chance() % 100000;
    bench_ints("numbers below 100,000");
    for (int i = 0; i < GROUP; i++) v[i] = chance();
    bench_ints("random 64 bits");
    for (int i = 0; i < GROUP; i++) v[i] = 7;
    bench_ints("constant");
    for (unsigned width = 1; width <= 16; width += width < 8 ? 3 : 4) bench_codes(width);
    bench_index(100000);
    bench_index(1000000);
    return 0;
}
