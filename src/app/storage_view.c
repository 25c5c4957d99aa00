/* clew storage: what telemetry takes on disk, asked of a running clew or counted in the files. One view for both. */
#include <stdio.h>

#include "api/api.h"
#include "app/json_tree.h"
#include "app/view.h"
#include "base/budget.h"
#include "base/text.h"
#include "os/clock.h"
#include "query/storage.h"

enum { ANSWER_BYTES_MAX = 64 << 20, NAME_COLUMNS = 38, BAR_COLUMNS = 20, LISTED = 20 };

/* ---- drawing ---------------------------------------------------------------------------------------------------- */

static double share_of(int64_t bytes, int64_t all) {
    return all > 0 && bytes > 0 ? MIN((double)bytes / (double)all, 1.0) : 0;
}

/* Size, share and a bar. */
static void put_amount(struct buf *out, int64_t bytes, int64_t all, const struct colors *c) {
    AUTO_BUF struct buf size;
    buf_init(&size, 64);
    put_size(&size, (uint64_t)MAX(bytes, 0));
    double share = share_of(bytes, all);
    int bar = (int)(share * BAR_COLUMNS + 0.5);
    buf_add_fmt(out, "%11s %5.1f %% %s", size.p, 100 * share, c->cyan);
    for (int i = 0; i < MIN(bar, (int)BAR_COLUMNS); i++) buf_add_text(out, "█");
    buf_add_fmt(out, "%s%*s ", c->reset, BAR_COLUMNS - MIN(bar, (int)BAR_COLUMNS), "");
}

static void put_number(struct buf *out, const struct json_node *of, const char *key) {
    put_count(out, (uint64_t)MAX(json_tree_number(of, key), 0));
}

/* "http.route (string)", "events.name", "dictionary: strings" */
static void put_column_name(struct buf *out, const struct json_node *column) {
    AUTO_BUF struct buf name;
    buf_init(&name, 256 * KIB);
    struct str kind = json_tree_text(column, "kind"), set = json_tree_text(column, "set"),
               type = json_tree_text(column, "type");
    if (str_equal(kind, STR("dictionary"))) buf_add_text(&name, "dictionary: ");
    if (set.n && !str_equal(set, STR("rows"))) buf_add_fmt(&name, STR_FMT ".", STR_ARG(set));
    buf_add_str(&name, json_tree_text(column, "name"));
    if (type.n) buf_add_fmt(&name, " (" STR_FMT ")", STR_ARG(type));
    view_put_name(out, buf_str(&name), NAME_COLUMNS);
}

static void put_column(struct buf *out, const struct json_node *column, int64_t all, const struct colors *c) {
    put_column_name(out, column);
    put_amount(out, json_tree_number(column, "bytes"), all, c);
    if (json_tree_number(column, "values")) {
        put_number(out, column, "values");
        buf_add_text(out, " values");
    }
    if (json_tree_number(column, "sampled_values")) {
        buf_add_fmt(out, "%s; of ", c->dim);
        put_number(out, column, "sampled_values");
        buf_add_text(out, " about ");
        put_number(out, column, "distinct_values");
        buf_add_fmt(out, " differ%s", c->reset);
    }
    buf_add_byte(out, '\n');
}

static void put_service(struct buf *out, const struct json_node *service, int64_t all, const struct colors *c) {
    view_put_name(out, json_tree_text(service, "service"), NAME_COLUMNS);
    put_amount(out, json_tree_number(service, "bytes"), all, c);
    put_number(out, service, "rows");
    buf_add_text(out, " rows");
    if (json_tree_number(service, "memory_rows")) {
        buf_add_text(out, ", and in memory ");
        put_number(out, service, "memory_rows");
    }
    buf_add_byte(out, '\n');
}

static void put_left_out(struct buf *out, const struct json_node *signal, const char *key, int64_t all,
                         const struct colors *c) {
    const struct json_node *left = json_tree_get(signal, key);
    if (!json_tree_number(left, "count")) return;
    AUTO_BUF struct buf name;
    buf_init(&name, KIB);
    buf_add_text(&name, "and ");
    put_number(&name, left, "count");
    buf_add_text(&name, " more (--limit)");
    view_put_name(out, buf_str(&name), NAME_COLUMNS);
    put_amount(out, json_tree_number(left, "bytes"), all, c);
    buf_add_byte(out, '\n');
}

static void put_head(struct buf *out, const struct json_node *signal, const struct colors *c) {
    int64_t bytes = json_tree_number(signal, "bytes"), rows = json_tree_number(signal, "rows");
    const struct json_node *memory = json_tree_get(signal, "memory");
    buf_add_fmt(out, "%s" STR_FMT "%s  ", c->bold, STR_ARG(json_tree_text(signal, "signal")), c->reset);
    put_size(out, (uint64_t)MAX(bytes, 0));
    buf_add_text(out, " in ");
    put_number(out, signal, "parts");
    buf_add_text(out, json_tree_number(signal, "parts") == 1 ? " part, " : " parts, ");
    put_number(out, signal, "rows");
    buf_add_text(out, " rows");
    if (rows > 0) buf_add_fmt(out, " of %.1f B", (double)bytes / (double)rows);
    if (json_tree_number(memory, "rows")) {
        buf_add_text(out, "; in memory ");
        put_number(out, memory, "rows");
        buf_add_text(out, " rows");
    }
    buf_add_byte(out, '\n');
}

static void put_signal(struct buf *out, const struct json_node *signal, const struct colors *c) {
    int64_t all = json_tree_number(signal, "bytes");
    const struct json_node *columns = json_tree_get(signal, "columns"), *services = json_tree_get(signal, "services");
    put_head(out, signal, c);
    for (const struct json_node *n = columns->first; n; n = n->next) put_column(out, n, all, c);
    put_left_out(out, signal, "columns_left_out", all, c);
    if (services->first) buf_add_fmt(out, "  %sby service%s\n", c->dim, c->reset);
    for (const struct json_node *n = services->first; n; n = n->next) put_service(out, n, all, c);
    put_left_out(out, signal, "services_left_out", all, c);
}

err view_storage(struct str answer, const struct colors *c, struct buf *out, struct buf *notes) {
    AUTO_ARENA struct arena a;
    const struct json_node *tree;
    arena_init(&a, VIEW_BYTES_MAX);
    TRY(json_tree_read(&a, answer, &tree));
    const struct json_node *signals = json_tree_get(tree, "signals");
    for (const struct json_node *n = signals->first; n; n = n->next) put_signal(out, n, c);
    if (json_tree_get(tree, "partial")->type == JSON_TRUE) {
        buf_add_text(notes, "partial: ");
        put_terminal(notes, json_tree_text(tree, "partial_reason"));
        buf_add_byte(notes, '\n');
    }
    return NULL;
}

/* ---- asking ----------------------------------------------------------------------------------------------------- */

static err ask(const struct arguments *a, uint64_t limit, struct buf *out) {
    AUTO_BUF struct buf path;
    bool traces = argument_flag(a, OPTION_TRACES), logs = argument_flag(a, OPTION_LOGS);
    buf_init(&path, 32 * KIB);
    buf_add_fmt(&path, "/api/v1/admin/storage?distinct=true&limit=%llu", (unsigned long long)limit);
    command_add_param(&path, "signal", traces == logs ? STR("all") : traces ? STR("spans") : STR("logs"));
    command_add_option(&path, "start", a, OPTION_START);
    command_add_option(&path, "end", a, OPTION_END);
    return command_ask_wait(a, "GET", path.p, (struct str){0}, out);
}

/* The same answer, made here. */
static err count(struct store *store, struct str tenant, const struct query_storage *r, struct buf *out) {
    struct query_storage_signal signals[SIGNALS];
    struct json_writer w;
    struct query q;
    query_begin(&q,
                &(struct query_options){.store = store, .tenant = tenant, .timeout_ns = 3600 * (int64_t)1000000000});
    err e = query_storage(&q, r, signals);
    if (!e) {
        json_writer_init(&w, out);
        json_object(&w);
        api_write_storage(&w, tenant, r, signals);
        json_member(&w, "partial", bool, q.stats.bad_blocks > 0);
        if (q.stats.bad_blocks) json_member(&w, "partial_reason", text, q.stats.bad_text);
        json_object_end(&w);
    }
    query_end(&q);
    return e;
}

static err read_time(const struct arguments *a, enum option o, int64_t *out) {
    return a->given[o] ? argument_blame(a, o, parse_time(argument_text(a, o), clock_wall_ns(), out)) : NULL;
}

static err count_files(const struct arguments *a, uint64_t limit, struct buf *out) {
    AUTO_FREE char *dir = str_dup(argument_text(a, OPTION_DATA));
    struct str tenant = argument_text(a, OPTION_TENANT);
    bool traces = argument_flag(a, OPTION_TRACES), logs = argument_flag(a, OPTION_LOGS);
    struct query_storage r = {.time_min = INT64_MIN,
                              .time_max = INT64_MAX,
                              .columns_max = (size_t)limit,
                              .services_max = (size_t)limit,
                              .distinct = true};
    struct budget budget;
    struct store *store;
    r.signals[SIGNAL_SPANS] = traces || !logs;
    r.signals[SIGNAL_LOGS] = logs || !traces;
    TRY(read_time(a, OPTION_START, &r.time_min));
    TRY(read_time(a, OPTION_END, &r.time_max));
    TRY(command_open_data(dir, &budget, &store));
    err e = count(store, tenant.n ? tenant : STR("default"), &r, out);
    err closing = store_close(store);
    if (!e) return closing;
    err_free(closing);
    return e;
}

/* --data as a flag alone reads files: CLEW_DATA may be meant for the server beside. */
err command_storage(const struct arguments *a) {
    AUTO_BUF struct buf answer = {0}, out = {0}, notes = {0};
    struct colors colors;
    uint64_t limit = LISTED;
    bool files = a->given[OPTION_DATA] && !a->from_environment[OPTION_DATA];
    TRY(command_colors(a, &colors));
    if (a->given[OPTION_LIMIT]) TRY(argument_u64(a, OPTION_LIMIT, &limit));
    if (limit < 1 || limit > QUERY_STORAGE_MAX) return err_new(ERR_INVALID, "--limit: from 1 to %d", QUERY_STORAGE_MAX);
    if (files) buf_init(&answer, ANSWER_BYTES_MAX);
    TRY((files ? count_files : ask)(a, limit, &answer));
    buf_init(&out, ANSWER_BYTES_MAX);
    buf_init(&notes, 64 * KIB);
    if (argument_flag(a, OPTION_JSON)) {
        command_say(STR_FMT, STR_ARG(buf_str(&answer)));
        return NULL;
    }
    TRY(view_storage(buf_str(&answer), &colors, &out, &notes));
    command_print(&out);
    if (notes.n) fputs(notes.p, stderr);
    return NULL;
}
