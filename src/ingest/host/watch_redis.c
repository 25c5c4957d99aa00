/* Redis: INFO over RESP, under the names of redis_exporter. Source: redis.io, "Redis serialization protocol specification", "INFO". */
#include "base/text.h"
#include "ingest/host/watch_priv.h"
#include "ingest/host/wire_priv.h"

static const struct {
    const char *key, *name, *type;
} redis_rows[] = {
    {"uptime_in_seconds", "uptime_in_seconds", "gauge"},
    {"connected_clients", "connected_clients", "gauge"},
    {"blocked_clients", "blocked_clients", "gauge"},
    {"maxclients", "config_maxclients", "gauge"},
    {"used_memory", "memory_used_bytes", "gauge"},
    {"used_memory_rss", "memory_used_rss_bytes", "gauge"},
    {"used_memory_peak", "memory_used_peak_bytes", "gauge"},
    {"maxmemory", "memory_max_bytes", "gauge"},
    {"mem_fragmentation_ratio", "mem_fragmentation_ratio", "gauge"},
    {"rdb_changes_since_last_save", "rdb_changes_since_last_save", "gauge"},
    {"rdb_last_save_time", "rdb_last_save_timestamp_seconds", "gauge"},
    {"total_connections_received", "connections_received_total", "counter"},
    {"total_commands_processed", "commands_processed_total", "counter"},
    {"rejected_connections", "rejected_connections_total", "counter"},
    {"total_net_input_bytes", "net_input_bytes_total", "counter"},
    {"total_net_output_bytes", "net_output_bytes_total", "counter"},
    {"expired_keys", "expired_keys_total", "counter"},
    {"evicted_keys", "evicted_keys_total", "counter"},
    {"keyspace_hits", "keyspace_hits_total", "counter"},
    {"keyspace_misses", "keyspace_misses_total", "counter"},
    {"connected_slaves", "connected_slaves", "gauge"},
    {"used_cpu_sys", "cpu_sys_seconds_total", "counter"},
    {"used_cpu_user", "cpu_user_seconds_total", "counter"},
};

/* "key:value" lines. */
static bool info_value(struct str info, const char *key, struct str *out) {
    struct str line, name;
    while (take_line(&info, &line))
        if (str_cut(line, ':', &name, out) && str_equal(name, str_of(key))) {
            *out = str_trim(*out);
            return true;
        }
    return false;
}

/* "db0:keys=3,expires=1,avg_ttl=100" */
static bool db_value(struct str line, const char *key, double *out) {
    struct str one, name, value;
    bool more = true;
    while (more) {
        more = str_cut(line, ',', &one, &line);
        if (str_cut(one, '=', &name, &value) && str_equal(name, str_of(key))) return word_number(str_trim(value), out);
    }
    return false;
}

static void put_databases(struct str info, struct expo *out, const char *key, const char *name, double unit) {
    struct str line, db, rest;
    double value;
    int rows = 0;
    expo_family(out, "gauge", "", "redis_%s", name);
    while (rows < WATCH_ROWS_MAX && take_line(&info, &line)) {
        if (!str_starts_with(line, STR("db")) || !str_cut(line, ':', &db, &rest) || !db_value(rest, key, &value))
            continue;
        expo_label(out, "db", db);
        expo_value(out, value * unit);
        rows++;
    }
}

static void put_info(struct str info, struct expo *out) {
    static const char *const labels[] = {"os", "redis_mode", "redis_version", "role"};
    struct str text;
    double value;
    expo_family(out, "gauge", "", "redis_instance_info");
    for (size_t i = 0; i < LENGTH(labels); i++)
        expo_label(out, labels[i], info_value(info, labels[i], &text) ? text : STR(""));
    expo_value(out, 1);
    for (size_t i = 0; i < LENGTH(redis_rows); i++) {
        if (!info_value(info, redis_rows[i].key, &text) || !word_number(text, &value)) continue;
        expo_family(out, redis_rows[i].type, "", "redis_%s", redis_rows[i].name);
        expo_value(out, value);
    }
    put_databases(info, out, "keys", "db_keys", 1);
    put_databases(info, out, "expires", "db_keys_expiring", 1);
    put_databases(info, out, "avg_ttl", "db_avg_ttl_seconds", .001);
}

/* "-ERR …" is cut: it is the server's text. */
static err refused(struct str line) {
    return err_new(ERR_UNAVAILABLE, "answers \"%.*s\"", (int)MIN(line.n, (size_t)100), line.p);
}

err redis_talk_wait(struct wire *w, struct str password, struct expo *out) {
    struct str line, info;
    uint64_t size;
    AUTO_BUF struct buf request;
    buf_init(&request, 8192);
    if (password.n) {
        buf_add_fmt(&request, "*2\r\n$4\r\nAUTH\r\n$%zu\r\n" STR_FMT "\r\n", password.n, STR_ARG(password));
        TRY(wire_send_wait(w, buf_str(&request)));
        TRY(wire_line_wait(w, &line));
        if (!str_equal(line, STR("+OK"))) return refused(line);
    }
    TRY(wire_send_wait(w, STR("*1\r\n$4\r\nINFO\r\n")));
    TRY(wire_line_wait(w, &line));
    if (!line.n || line.p[0] != '$') return refused(line);
    TRY(parse_u64(str_span(line.p + 1, line.n - 1), &size));
    TRY(wire_take_wait(w, (size_t)size, &info));
    if (!info_value(info, "redis_version", &line)) return err_new(ERR_CORRUPT, "that is no INFO of Redis");
    put_info(info, out);
    return NULL;
}

err redis_collect_wait(const struct watch_target *t, struct expo *out) {
    struct wire w;
    AUTO_BUF struct buf password;
    buf_init(&password, 4096);
    TRY(watch_password(str_of(t->options), "CLEW_REDIS_PASSWORD", &password));
    err e = wire_open_wait(&w, t->address, WATCH_NS, WATCH_ANSWER_BYTES_MAX);
    if (!e) e = redis_talk_wait(&w, password.p ? buf_str(&password) : STR(""), out);
    wire_close(&w);
    return e;
}
