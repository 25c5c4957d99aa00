/* Prints bytes and ns per row of text columns: text_bench [file of lines …]. Built-in texts first, then each file's lines. */
#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

#include "os/clock.h"
#include "store/column/text_fixtures_priv.h"
#include "store/column/text_format_priv.h"
#include "store/column/text_priv.h"

enum { GROUP = 16384, GROUPS = 8 };

static double now_ns(void) { return (double)clock_process_cpu_ns(); }

/* zstd over the lines of a whole group at once: what the split must beat. */
static double zstd_bytes(const struct str *texts, uint32_t n, int level, double *out_ns) {
    struct buf raw, packed;
    buf_init(&raw, SIZE_MAX / 2);
    buf_init(&packed, SIZE_MAX / 2);
    for (uint32_t i = 0; i < n; i++) buf_add_str(&raw, texts[i]), buf_add_byte(&raw, '\n');
    buf_reserve(&packed, ZSTD_compressBound(raw.n));
    double start = now_ns();
    size_t bytes = ZSTD_compress(packed.p, ZSTD_compressBound(raw.n), raw.p, raw.n, level);
    *out_ns = (now_ns() - start) / n;
    buf_done(&raw);
    buf_done(&packed);
    return (double)bytes / n;
}

static size_t packed_dictionary(const struct strings *part) {
    size_t bound = ZSTD_compressBound(part->heap_size);
    char *out = mem_new(bound);
    size_t n = ZSTD_compress(out, bound, part->heap ? part->heap : "", part->heap_size, 1) + part->n;
    mem_free(out);
    return n;
}

struct figures {
    double bytes, encode_ns, decode_ns, get_ns, words_us, absent_us, digits_us;
    uint32_t fallback_rows, skeletons;
};

static double time_words(const struct text_skeletons *s, struct str block, uint32_t n, const char *query) {
    enum { ROUNDS = 20 };
    double start = now_ns();
    for (int i = 0; i < ROUNDS; i++) {
        struct arena a;
        arena_init(&a, 64 * MIB);
        struct words *w;
        struct text_match m;
        struct text_block *t;
        uint32_t *found = mem_new_array(uint32_t, n);
        if (words_parse(&a, str_of(query), &w) || text_match_make(&a, s, w, &m) ||
            text_block_open(&a, s, block, n, &t) || text_find_words(t, &m, w, found))
            abort();
        mem_free(found);
        arena_done(&a);
    }
    return (now_ns() - start) / ROUNDS / 1000;
}

static void read_group(const struct strings *part, struct str block, const struct str *texts, uint32_t n,
                       struct figures *f) {
    struct text_skeletons s = {part->n, part->end, part->heap};
    struct arena a;
    struct text_block *t;
    struct str *out = mem_new_array(struct str, n);
    for (int round = 0; round < 3; round++) {
        arena_init(&a, 64 * MIB);
        double start = now_ns();
        if (text_block_open(&a, &s, block, n, &t) || text_get_many(t, NULL, n, out)) abort();
        f->decode_ns = (now_ns() - start) / n;
        for (uint32_t i = 0; i < n; i++)
            if (!str_equal(out[i], texts[i])) abort();
        if (round < 2) arena_done(&a);
    }
    f->fallback_rows = text_block_fallback_rows(t);
    struct buf b;
    buf_init(&b, MIB * 16);
    double start = now_ns();
    for (uint32_t i = 0; i < 1000; i++) buf_clear(&b), text_get(t, i * 7919u % n, &b);
    f->get_ns = (now_ns() - start) / 1000;
    f->words_us = time_words(&s, block, n, "request");
    f->absent_us = time_words(&s, block, n, "absentword");
    f->digits_us = time_words(&s, block, n, "4fd2a6b019c3");
    buf_done(&b);
    mem_free(out);
    arena_done(&a);
}

static void bench(const char *name, const struct str *texts, uint32_t n) {
    struct strings part;
    strings_init(&part);
    struct text_encoder *t = text_encoder_new(&part);
    struct figures f = {0};
    struct buf b, last;
    buf_init(&b, SIZE_MAX / 2);
    buf_init(&last, SIZE_MAX / 2);
    uint32_t done = 0, group = MIN(n, (uint32_t)GROUP), groups = n / group;
    double raw = 0, level1_ns, level3_ns, start = now_ns();
    for (; done < groups * group; done += group) {
        buf_clear(&last);
        text_encode(t, texts + done, group, &last);
        f.bytes += (double)last.n;
    }
    f.encode_ns = (now_ns() - start) / done;
    for (uint32_t i = 0; i < done; i++) raw += (double)texts[i].n;
    f.skeletons = part.n;
    read_group(&part, buf_str(&last), texts + done - group, group, &f);
    double level1 = zstd_bytes(texts + done - group, group, 1, &level1_ns),
           level3 = zstd_bytes(texts + done - group, group, 3, &level3_ns);
    printf("%-12s raw %6.1f  split %6.2f + %5.2f dictionary  zstd -1 %6.2f  -3 %6.2f | encode %5.0f (zstd %4.0f, "
           "%4.0f)  decode %4.0f"
           "  get %5.0f ns | word %5.1f  absent %5.1f  id %6.1f us a group | %5u skeletons, %4.1f %% fallback\n",
           name, raw / done, f.bytes / done, (double)packed_dictionary(&part) / done, level1, level3, f.encode_ns,
           level1_ns, level3_ns, f.decode_ns, f.get_ns, f.words_us, f.absent_us, f.digits_us, f.skeletons,
           100.0 * f.fallback_rows / group);
    buf_done(&b);
    buf_done(&last);
    text_encoder_free(t);
    strings_done(&part);
}

static void bench_file(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return;
    }
    static char all[8 << 20];
    size_t n = fread(all, 1, sizeof all, file);
    fclose(file);
    struct str rest = {all, n}, *texts = mem_new_array(struct str, n + 1);
    uint32_t count = 0;
    while (rest.n) {
        str_cut(rest, '\n', &texts[count], &rest);
        if (texts[count].n && texts[count].p[texts[count].n - 1] == '\r') texts[count].n--;
        count++;
    }
    const char *name = strrchr(path, '/');
    if (count) bench(name ? name + 1 : path, texts, count);
    mem_free(texts);
}

int main(int argc, char **argv) {
    static const struct {
        const char *name;
        enum texts kind;
    } kinds[] = {{"targets", TEXTS_TARGETS},
                 {"bodies", TEXTS_BODIES},
                 {"ids", TEXTS_IDS},
                 {"few", TEXTS_FEW},
                 {"prose", TEXTS_PROSE}};
    for (size_t k = 0; k < LENGTH(kinds); k++) {
        struct strings heap;
        struct str *texts = texts_make(kinds[k].kind, 1, GROUP * GROUPS, &heap);
        bench(kinds[k].name, texts, GROUP * GROUPS);
        mem_free(texts);
        strings_done(&heap);
    }
    for (int i = 1; i < argc; i++) bench_file(argv[i]);
    return 0;
}
