/* What a part costs and gives, with rows of the load law: encode µs and bytes a row, by column; lookups; searches.
 *
 *   part_bench [spans|logs] [rows, default 200000] [folder, default /tmp] [writes, default 5: more to profile]
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "os/clock.h"
#include "signal/otlp.h"
#include "signal/testing_priv.h"
#include "store/part/part_read_priv.h"

struct bench {
    enum signal signal;
    struct batch *batches;
    size_t count;
    size_t rows;
    char path[256], merged[256];
    struct part *part;
};

static void must(err e) {
    if (!e) return;
    fprintf(stderr, "%s\n", err_text(e));
    exit(1);
}

/* CPU time: the machine is shared. */
static double now_ms(void) { return (double)clock_process_cpu_ns() / 1e6; }

/* Two connections' requests, one after the other, over one hour. */
static void make_batches(struct bench *b, size_t rows) {
    struct chance c = {42};
    struct otlp_decoder *d = otlp_decoder_new();
    struct otlp_limits limits = {.time_min = INT64_MIN, .time_max = INT64_MAX};
    struct buf body;
    double decode_ms = 0;
    buf_init(&body, 64 * MIB);
    b->count = (rows + 499) / 500;
    b->batches = mem_new_array(struct batch, b->count);
    for (size_t i = 0; i < b->count; i++) {
        struct otlp_result result;
        buf_clear(&body);
        load_request(&c, b->signal, &body);
        double start = now_ms();
        must(otlp_decode(d, b->signal, buf_str(&body), &limits, &result));
        decode_ms += now_ms() - start;
        batch_view(result.blob, &b->batches[i]);
        b->rows += b->batches[i].rows;
    }
    printf("%zu %s in %zu batches, decoded at %.3f µs a row\n", b->rows, signal_names[b->signal], b->count,
           decode_ms * 1e3 / (double)b->rows);
    buf_done(&body);
    otlp_decoder_free(d);
}

static void bench_write(struct bench *b, uint64_t times) {
    double best = 1e9;
    struct part_info info;
    for (uint64_t i = 0; i < times; i++) {
        err_free(path_remove(b->path));
        double start = now_ms();
        must(part_write(b->path, b->signal, 1, b->batches, b->count, INT64_MIN, INT64_MAX, NULL, 64 * MIB, &info));
        best = MIN(best, now_ms() - start);
    }
    printf("write: %.3f µs a row, %.2f bytes a row, %u groups\n", best * 1e3 / (double)b->rows,
           (double)info.bytes / (double)b->rows, info.groups);
}

/* ---- bytes by column ---------------------------------------------------------------------------------------------- */

struct column_bytes {
    char name[80];
    uint64_t bytes, count;
    uint8_t encoding;
};

static int most_first(const void *a, const void *b) {
    uint64_t x = ((const struct column_bytes *)a)->bytes, y = ((const struct column_bytes *)b)->bytes;
    return (x < y) - (x > y);
}

static void print_columns(struct bench *b) {
    struct column_bytes columns[256];
    size_t n = 0;
    const struct part *p = b->part;
    for (uint32_t i = 0; i < p->block_count; i++) {
        struct buf name;
        buf_init(&name, 79);
        part_block_name(p, &p->blocks[i], &name);
        size_t at = 0;
        while (at < n && strcmp(columns[at].name, name.p) != 0) at++;
        if (at == LENGTH(columns)) continue;
        if (at == n) {
            columns[n] = (struct column_bytes){.encoding = p->blocks[i].encoding};
            memcpy(columns[n++].name, name.p, name.n + 1);
        }
        columns[at].bytes += p->blocks[i].size;
        columns[at].count += p->blocks[i].count;
        buf_done(&name);
    }
    qsort(columns, n, sizeof *columns, most_first);
    for (size_t i = 0; i < n; i++)
        printf("  %8.3f B/row  %8.3f B/value  encoding %2d  %s\n", (double)columns[i].bytes / (double)b->rows,
               (double)columns[i].bytes / (double)columns[i].count, columns[i].encoding, columns[i].name);
    const struct part_footer *f = (const void *)(p->map.p + p->map.n - sizeof *f);
    static const char *const names[SECTIONS] = {"strings",  "skeletons", "keys",   "shapes",
                                                "entities", "traces",    "groups", "blocks"};
    for (int i = 0; i < SECTIONS; i++)
        printf("  %8.3f B/row  section %s\n", (double)f->sections[i].size / (double)b->rows, names[i]);
    printf("  dictionary: %u strings, %zu bytes\n", p->strings.n, (size_t)p->strings.end[p->strings.n - 1]);
}

/* ---- lookups ------------------------------------------------------------------------------------------------------ */

struct lookup {
    struct part *p;
    struct batch_builder *out;
    struct scan_stats stats;
    size_t rows;
};

static err fetch_found(void *context, uint32_t group, const uint32_t *rows, size_t n) {
    struct lookup *l = context;
    l->rows += n;
    return part_fetch(l->p, group, rows, n, l->out, &l->stats);
}

static void bench_traces(struct bench *b) {
    struct chance c = {1};
    struct batch_builder builder;
    struct arena arena;
    struct lookup l = {.p = b->part, .out = &builder};
    double best = 1e9;
    int n = 300;
    batch_builder_init(&builder, b->signal);
    arena_init(&arena, 64 * MIB);
    for (int round = 0; round < 3; round++) {
        double start = now_ms();
        for (int i = 0; i < n; i++) {
            const struct batch *from = &b->batches[chance_below(&c, (uint32_t)b->count)];
            const unsigned char *id = batch_id16(from, SET_ROWS, FIELD_TRACE_ID, chance_below(&c, from->rows));
            must(part_find_trace(b->part, id, &arena, fetch_found, &l, &l.stats));
            arena_clear(&arena);
            batch_builder_clear(&builder);
        }
        best = MIN(best, now_ms() - start);
    }
    printf("trace by id, fetched: %.1f µs each (%.1f rows)\n", best * 1e3 / n, (double)l.rows / n / 3);
    batch_builder_done(&builder);
    arena_done(&arena);
}

/* ---- searches ----------------------------------------------------------------------------------------------------- */

static size_t run_scan(struct bench *b, const struct scan_request *q, size_t limit) {
    struct arena scan_arena, group_arena;
    struct scan_stats stats = {0};
    struct part_scan *scan;
    bool may_match;
    size_t found = 0;
    arena_init(&scan_arena, 256 * MIB);
    arena_init(&group_arena, 256 * MIB);
    must(part_scan_open(b->part, q, &scan_arena, &scan, &may_match));
    for (uint32_t g = b->part->info.groups; may_match && g-- > 0 && found < limit;) {
        struct chunk chunk;
        must(part_scan_group(scan, g, &group_arena, &chunk, &stats));
        found += chunk.n;
        arena_clear(&group_arena);
    }
    arena_done(&scan_arena);
    arena_done(&group_arena);
    return found;
}

/* The same over the batches as they are in memory. */
static size_t run_batch_scan(struct bench *b, const struct scan_request *q, size_t limit) {
    struct arena arena;
    struct scan_stats stats = {0};
    size_t found = 0;
    arena_init(&arena, 256 * MIB);
    for (size_t i = b->count; i-- > 0 && found < limit;) {
        struct chunk chunk;
        must(batch_scan(&b->batches[i], q, &arena, &chunk, &stats));
        found += chunk.n;
        arena_clear(&arena);
    }
    arena_done(&arena);
    return found;
}

struct search {
    const char *name;
    struct column_ref column[2];
    enum operator op[2];
    const char *text[2];
    int predicates, columns;
    bool count_only;
    size_t limit;
};

#define ATTRIBUTE(name)                                                                                                \
    {                                                                                                                  \
        .target = TARGET_ATTRIBUTE, .key = { name, sizeof name - 1 }                                                   \
    }
#define RESOURCE(name)                                                                                                 \
    {                                                                                                                  \
        .target = TARGET_RESOURCE, .key = { name, sizeof name - 1 }                                                    \
    }
#define TEXT                                                                                                           \
    { .target = TARGET_TEXT }
#define FIELD(f)                                                                                                       \
    { .target = TARGET_FIELD, .field = (f) }

static void bench_search(struct bench *b, const struct search *s) {
    struct arena a;
    struct predicate predicates[2];
    struct column_ref wanted[] = {FIELD(FIELD_TIME), FIELD(FIELD_DURATION), FIELD(FIELD_NAME), RESOURCE("service.name"),
                                  FIELD(FIELD_TRACE_ID)};
    if (b->signal == SIGNAL_LOGS) wanted[1].field = FIELD_SEVERITY, wanted[2].field = FIELD_BODY;
    arena_init(&a, MIB);
    for (int i = 0; i < s->predicates; i++)
        must(predicate_make(&a, s->column[i], s->op[i], str_of(s->text[i]), &predicates[i]));
    struct scan_request q = {.time_min = INT64_MIN,
                             .time_max = INT64_MAX,
                             .predicates = predicates,
                             .predicate_count = (size_t)s->predicates,
                             .columns = wanted,
                             .column_count = (size_t)s->columns,
                             .count_only = s->count_only};
    double best = 1e9, best_memory = 1e9;
    size_t found = 0, limit = s->limit ? s->limit : SIZE_MAX;
    for (int i = 0; i < 5; i++) {
        double start = now_ms();
        found = run_scan(b, &q, limit);
        best = MIN(best, now_ms() - start);
        start = now_ms();
        run_batch_scan(b, &q, limit);
        best_memory = MIN(best_memory, now_ms() - start);
    }
    double million = 1e6 / (double)b->rows;
    printf("search %-32s %8zu rows, ms per 1 M: %9.3f, in memory %9.3f\n", s->name, found, best * million,
           best_memory * million);
    for (int i = 0; i < s->predicates; i++) predicate_done(&predicates[i]);
    arena_done(&a);
}

static const struct search span_searches[] = {
    {"everything counted", .count_only = true},
    {"five columns of everything", .columns = 5},
    {"service = and status = 503",
     {RESOURCE("service.name"), ATTRIBUTE("http.status_code")},
     {OP_EQUAL, OP_EQUAL},
     {"cart", "503"},
     2,
     .count_only = true},
    {"user.id = (first batch's)", {ATTRIBUTE("user.id")}, {OP_EQUAL}, {NULL}, 1, .columns = 5},
    {"order.id = (first batch's)", {ATTRIBUTE("order.id")}, {OP_EQUAL}, {NULL}, 1, .columns = 5},
    {"service = and route =",
     {RESOURCE("service.name"), ATTRIBUTE("http.route")},
     {OP_EQUAL, OP_EQUAL},
     {NULL, NULL},
     2,
     .columns = 5},
    {"duration > 1 s", {FIELD(FIELD_DURATION)}, {OP_GREATER}, {"1000000000"}, 1, .columns = 5},
    {"status = 2", {FIELD(FIELD_STATUS)}, {OP_EQUAL}, {"2"}, 1, .columns = 5},
    {"http.target ~ 7[0-9]*1$", {ATTRIBUTE("http.target")}, {OP_MATCH}, {"7[0-9]*1$"}, 1, .count_only = true},
    {"words: timeout", {TEXT}, {OP_WORDS}, {"timeout"}, 1, .count_only = true},
    {"words: nosuchword", {TEXT}, {OP_WORDS}, {"nosuchword"}, 1, .count_only = true},
};

static const struct search log_searches[] = {
    {"everything counted", .count_only = true},
    {"five columns of everything", .columns = 5},
    {"words: completed, counted", {TEXT}, {OP_WORDS}, {"completed"}, 1, .count_only = true},
    {"words: completed, newest 100", {TEXT}, {OP_WORDS}, {"completed"}, 1, .columns = 5, .limit = 100},
    {"words: nosuchword", {TEXT}, {OP_WORDS}, {"nosuchword"}, 1, .count_only = true},
    {"words: quetzal (rare)", {TEXT}, {OP_WORDS}, {"quetzal"}, 1, .columns = 5},
    {"words: \"completed\" as a phrase", {TEXT}, {OP_WORDS}, {"\"completed\""}, 1, .count_only = true},
    {"severity >= 17", {FIELD(FIELD_SEVERITY)}, {OP_GREATER_EQUAL}, {"17"}, 1, .count_only = true},
};

static void bench_searches(struct bench *b) {
    const struct search *all = b->signal == SIGNAL_SPANS ? span_searches : log_searches;
    size_t n = b->signal == SIGNAL_SPANS ? LENGTH(span_searches) : LENGTH(log_searches);
    for (size_t i = 0; i < n; i++) {
        struct search s = all[i];
        char texts[2][128];
        for (int j = 0; j < s.predicates; j++) {
            if (s.text[j]) continue;
            enum set set = s.column[j].target == TARGET_RESOURCE ? SET_RESOURCES : SET_ROWS;
            struct str text = batch_attribute_text(&b->batches[0], set, 0, s.column[j].key);
            snprintf(texts[j], sizeof texts[j], STR_FMT, STR_ARG(text));
            s.text[j] = texts[j];
        }
        bench_search(b, &s);
    }
}

static void bench_merge(struct bench *b) {
    struct part_info info;
    struct part *parts[] = {b->part};
    err_free(path_remove(b->merged));
    double start = now_ms();
    must(part_merge(b->merged, 2, parts, 1, NULL, 64 * MIB, &info));
    printf("merge by copying groups: %.3f µs a row\n", (now_ms() - start) * 1e3 / (double)b->rows);
    err_free(path_remove(b->merged));
}

/* Parts of 5,000 rows: every group is decoded and written anew. */
static void bench_small_merge(struct bench *b) {
    enum { PARTS = 16, BATCHES = 10 };
    struct part *parts[PARTS];
    struct part_info info;
    size_t rows = 0;
    char path[300];
    if (b->count < PARTS * BATCHES) return;
    for (int i = 0; i < PARTS; i++) {
        snprintf(path, sizeof path, "%s.%d", b->path, i);
        err_free(path_remove(path));
        must(part_write(path, b->signal, 1, b->batches + i * BATCHES, BATCHES, INT64_MIN, INT64_MAX, NULL, 64 * MIB,
                        &info));
        must(part_open(path, &parts[i]));
        part_doom(parts[i]);
        rows += info.rows;
    }
    err_free(path_remove(b->merged));
    double start = now_ms();
    must(part_merge(b->merged, 2, parts, PARTS, NULL, 64 * MIB, &info));
    printf("merge of small parts: %.3f µs a row, %.2f bytes a row\n", (now_ms() - start) * 1e3 / (double)rows,
           (double)info.bytes / (double)rows);
    err_free(path_remove(b->merged));
    for (int i = 0; i < PARTS; i++) part_unref(parts[i]);
}

int main(int argc, char **argv) {
    struct bench b = {.signal = argc > 1 && strcmp(argv[1], "logs") == 0 ? SIGNAL_LOGS : SIGNAL_SPANS};
    uint64_t rows = 200000, writes = 5;
    const char *folder = argc > 3 ? argv[3] : "/tmp";
    if (argc > 2) must(parse_u64(str_of(argv[2]), &rows));
    if (argc > 4) must(parse_u64(str_of(argv[4]), &writes));
    snprintf(b.path, sizeof b.path, "%s/clew_part_bench.part", folder);
    snprintf(b.merged, sizeof b.merged, "%s/clew_part_bench_merged.part", folder);
    make_batches(&b, (size_t)rows);
    bench_write(&b, writes);
    double start = now_ms();
    must(part_open(b.path, &b.part));
    printf("open: %.3f ms\n", now_ms() - start);
    print_columns(&b);
    bench_traces(&b);
    bench_searches(&b);
    bench_merge(&b);
    bench_small_merge(&b);
    part_doom(b.part);
    part_unref(b.part);
    for (size_t i = 0; i < b.count; i++) batch_unref(b.batches[i].blob);
    mem_free(b.batches);
    return 0;
}
