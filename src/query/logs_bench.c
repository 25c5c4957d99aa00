/* What pages of log records cost: many records of one time, and the oldest of a long range.
 *
 *   query_logs_bench DIR [RECORDS]      DIR must not exist; it is left behind */
#include "query/query.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/budget.h"
#include "os/clock.h"
#include "signal/batch_build.h"

enum { BATCH = 1000, PAGE = 100, PAGES = 5 };
static const int64_t day_start_ns = 1767225600 * (int64_t)1000000000, ms = 1000000; /* 2026-01-01 */

enum shape { DISTINCT_BODIES, ONE_BODY, SPREAD_TIMES, SHAPES };
static const char *const shape_names[SHAPES] = {"one time, bodies differ", "one time and body, attributes differ",
                                                "one a millisecond"};

static void must(err e) {
    if (!e) return;
    fprintf(stderr, "%s\n", err_text(e));
    exit(1);
}

static int64_t wall(void) { return day_start_ns + 86400000 * ms; }

static void stored(void *context, err e) {
    must(e);
    atomic_fetch_add((_Atomic uint64_t *)context, 1);
}

static struct batch_blob *make(enum shape shape, uint32_t from, uint32_t n) {
    struct batch_builder b;
    batch_builder_init(&b, SIGNAL_LOGS);
    uint32_t scope = batch_builder_row(&b, SET_SCOPES), resource = batch_builder_row(&b, SET_RESOURCES);
    for (uint32_t i = from; i < from + n; i++) {
        char text[64];
        int64_t time = day_start_ns + (shape == SPREAD_TIMES ? i * ms : 0);
        uint32_t row = batch_builder_row(&b, SET_ROWS), first = (uint32_t)b.slots.n;
        uint32_t key = batch_builder_key(&b, STR("user.id"), VALUE_INT);
        snprintf(text, sizeof text, "request %u done", shape == ONE_BODY ? 0 : i * 2654435761u);
        batch_builder_set_u64(&b, SET_ROWS, FIELD_TIME, row, (uint64_t)time);
        batch_builder_set_u64(&b, SET_ROWS, FIELD_OBSERVED, row, (uint64_t)time);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_RESOURCE, row, resource);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_SCOPE, row, scope);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_BODY, row, strings_intern(&b.strings, str_of(text)));
        batch_builder_set_u32(&b, SET_ROWS, FIELD_BODY_TYPE, row, VALUE_STRING);
        *vec_push(&b.slots) = i;
        batch_builder_attributes(&b, SET_ROWS, row, &key, 1, first);
    }
    struct batch_blob *blob = batch_builder_finish(&b);
    batch_builder_done(&b);
    return blob;
}

static void fill(struct store *s, enum shape shape, uint32_t records) {
    _Atomic uint64_t done = 0;
    uint64_t sent = 0;
    for (uint32_t at = 0; at < records; at += BATCH, sent++) {
        must(store_append(s, STR("default"), make(shape, at, MIN((uint32_t)BATCH, records - at)), stored, &done));
        while (sent + 1 > atomic_load(&done) + 64) store_pump(s, 0);
    }
    while (atomic_load(&done) < sent) store_pump(s, 0);
    must(store_flush(s));
    must(store_merge_all(s));
}

static void measure(struct store *s, enum shape shape, enum query_order order) {
    char cursor[QUERY_CURSOR_MAX] = "";
    for (int i = 0; i < PAGES; i++) {
        struct query q;
        struct query_logs r = {.order = order, .limit = PAGE, .cursor = str_of(cursor)};
        struct query_logs_answer found;
        query_filter_init(&r.filter);
        query_begin(&q, &(struct query_options){.store = s, .memory_max_bytes = 1024 * MIB, .timeout_ns = 600000 * ms});
        int64_t start = clock_monotonic_ns();
        must(query_logs(&q, &r, &found));
        int64_t took = clock_monotonic_ns() - start;
        printf("%-38s %s page %d %10.2f ms %8zu KiB %4zu rows\n", shape_names[shape],
               order == QUERY_OLDEST ? "oldest" : "newest", i + 1, (double)took / 1e6, (size_t)(q.other_bytes / KIB),
               found.n);
        memcpy(cursor, found.next_cursor, sizeof cursor);
        query_end(&q);
    }
}

int main(int argc, char **argv) {
    if (argc < 2) return 2;
    uint32_t records = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 1000000;
    for (enum shape shape = 0; shape < SHAPES; shape++) {
        char dir[512];
        struct budget budget;
        struct store_options o;
        struct store *s;
        snprintf(dir, sizeof dir, "%s-%d", argv[1], (int)shape);
        budget_init(&budget, (uint64_t)4 << 30);
        store_options_default(&o);
        o.dir = dir;
        o.budget = &budget;
        o.manual = true;
        o.wall_ns = wall;
        must(store_open(&o, &s));
        fill(s, shape, records);
        measure(s, shape, QUERY_NEWEST);
        measure(s, shape, QUERY_OLDEST);
        must(store_close(s));
    }
    return 0;
}
