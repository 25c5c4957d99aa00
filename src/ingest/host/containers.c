/* What is read of each control group, and how it is called. */
#include "ingest/host/containers_priv.h"

#include <math.h>
#include <stdio.h>

#include "os/stamp.h"

enum figure {
    CPU_USAGE,
    CPU_USER,
    CPU_SYSTEM,
    CFS_PERIODS,
    CFS_THROTTLED_PERIODS,
    CFS_THROTTLED,
    MEMORY_USAGE,
    MEMORY_WORKING_SET,
    MEMORY_RSS,
    MEMORY_CACHE,
    MEMORY_MAPPED,
    MEMORY_SWAP,
    MEMORY_MAX_USAGE,
    MEMORY_FAILCNT,
    FAULTS,
    FAULTS_HIERARCHY,
    MAJOR_FAULTS,
    MAJOR_FAULTS_HIERARCHY,
    OOM_KILLS,
    PROCESSES,
    THREADS,
    THREADS_MAX,
    SPEC_CPU_PERIOD,
    SPEC_CPU_QUOTA,
    SPEC_CPU_SHARES,
    SPEC_MEMORY_LIMIT,
    SPEC_MEMORY_RESERVATION,
    LAST_SEEN,
    START_TIME,
    FIGURES
};
static_assert((int)FIGURES <= (int)CGROUP_FIGURES_MAX, "each has its place");

#define NO_LABELS                                                                                                      \
    {NULL, NULL}, { NULL, NULL }
static const struct {
    const char *name, *type, *help;
    struct {
        const char *key, *value;
    } labels[2];
} rows[FIGURES] = {
    [CPU_USAGE] = {"cpu_usage_seconds_total",
                   "counter",
                   "Cumulative cpu time consumed in seconds.",
                   {{"cpu", "total"}, {NULL, NULL}}},
    [CPU_USER] = {"cpu_user_seconds_total", "counter", "Cumulative user cpu time consumed in seconds.", {NO_LABELS}},
    [CPU_SYSTEM] = {"cpu_system_seconds_total",
                    "counter",
                    "Cumulative system cpu time consumed in seconds.",
                    {NO_LABELS}},
    [CFS_PERIODS] = {"cpu_cfs_periods_total",
                     "counter",
                     "Number of elapsed enforcement period intervals.",
                     {NO_LABELS}},
    [CFS_THROTTLED_PERIODS] = {"cpu_cfs_throttled_periods_total",
                               "counter",
                               "Number of throttled period intervals.",
                               {NO_LABELS}},
    [CFS_THROTTLED] = {"cpu_cfs_throttled_seconds_total",
                       "counter",
                       "Total time duration the container has been throttled.",
                       {NO_LABELS}},
    [MEMORY_USAGE] = {"memory_usage_bytes", "gauge", "Current memory usage in bytes, all of it.", {NO_LABELS}},
    [MEMORY_WORKING_SET] = {"memory_working_set_bytes", "gauge", "Current working set in bytes.", {NO_LABELS}},
    [MEMORY_RSS] = {"memory_rss", "gauge", "Size of RSS in bytes.", {NO_LABELS}},
    [MEMORY_CACHE] = {"memory_cache", "gauge", "Number of bytes of page cache memory.", {NO_LABELS}},
    [MEMORY_MAPPED] = {"memory_mapped_file", "gauge", "Size of memory mapped files in bytes.", {NO_LABELS}},
    [MEMORY_SWAP] = {"memory_swap", "gauge", "Container swap usage in bytes.", {NO_LABELS}},
    [MEMORY_MAX_USAGE] = {"memory_max_usage_bytes", "gauge", "Maximum memory usage recorded in bytes.", {NO_LABELS}},
    [MEMORY_FAILCNT] = {"memory_failcnt", "counter", "Number of memory usage hits limits.", {NO_LABELS}},
    [FAULTS] = {"memory_failures_total",
                "counter",
                "Cumulative count of memory allocation failures.",
                {{"failure_type", "pgfault"}, {"scope", "container"}}},
    [FAULTS_HIERARCHY] = {"memory_failures_total",
                          "counter",
                          "",
                          {{"failure_type", "pgfault"}, {"scope", "hierarchy"}}},
    [MAJOR_FAULTS] = {"memory_failures_total", "counter", "", {{"failure_type", "pgmajfault"}, {"scope", "container"}}},
    [MAJOR_FAULTS_HIERARCHY] = {"memory_failures_total",
                                "counter",
                                "",
                                {{"failure_type", "pgmajfault"}, {"scope", "hierarchy"}}},
    [OOM_KILLS] = {"oom_events_total", "counter", "Count of out of memory events observed.", {NO_LABELS}},
    [PROCESSES] = {"processes", "gauge", "Number of processes running inside the container.", {NO_LABELS}},
    [THREADS] = {"threads", "gauge", "Number of threads running inside the container.", {NO_LABELS}},
    [THREADS_MAX] = {"threads_max", "gauge", "Maximum number of threads allowed, 0 if infinity.", {NO_LABELS}},
    [SPEC_CPU_PERIOD] = {"spec_cpu_period", "gauge", "CPU period of the container.", {NO_LABELS}},
    [SPEC_CPU_QUOTA] = {"spec_cpu_quota", "gauge", "CPU quota of the container.", {NO_LABELS}},
    [SPEC_CPU_SHARES] = {"spec_cpu_shares", "gauge", "CPU share of the container.", {NO_LABELS}},
    [SPEC_MEMORY_LIMIT] = {"spec_memory_limit_bytes", "gauge", "Memory limit for the container, 0: none.", {NO_LABELS}},
    [SPEC_MEMORY_RESERVATION] = {"spec_memory_reservation_limit_bytes",
                                 "gauge",
                                 "Memory reservation limit for the container, 0: none.",
                                 {NO_LABELS}},
    [LAST_SEEN] = {"last_seen", "gauge", "Last time a container was seen by the exporter.", {NO_LABELS}},
    [START_TIME] = {"start_time_seconds",
                    "gauge",
                    "Start time of the container since unix epoch in seconds.",
                    {NO_LABELS}},
};

/* ---- reading: what both versions have ---------------------------------------------------------------------------------------- */

/* One group of one round. */
struct look {
    struct containers *c;
    struct cgroup *g;
    const char *below; /* of the root: "" of "/", else the id */
};

static bool read_file(struct look *l, enum cgroup_controller controller, const char *file, struct str *out) {
    const char *folder = l->c->v2 ? "" : l->c->folders[controller].name;
    if (!l->c->v2 && !*folder) return false;
    return tree_read(&l->c->tree, out, "sys/fs/cgroup%s%s%s/%s", *folder ? "/" : "", folder, l->below, file);
}

static void read_number(struct look *l, enum cgroup_controller controller, const char *file, enum figure f,
                        double unit) {
    struct str text;
    double value;
    if (read_file(l, controller, file, &text) && word_number(str_trim(text), &value)) l->g->v[f] = value * unit;
}

/* A limit: "max", and what is larger than any memory, is 0. */
static void read_limit(struct look *l, enum cgroup_controller controller, const char *file, enum figure f) {
    struct str text;
    double value;
    if (!read_file(l, controller, file, &text)) return;
    text = str_trim(text);
    if (str_equal(text, STR("max")))
        l->g->v[f] = 0;
    else if (word_number(text, &value))
        l->g->v[f] = value > 0x1p62 ? 0 : value;
}

static void take_field(struct look *l, struct str text, const char *key, enum figure f, double unit) {
    double value;
    if (field_number(text, key, &value)) l->g->v[f] = value * unit;
}

/* Usage without the page cache that nobody looked at lately: what cannot be taken away. */
static void set_working_set(struct look *l, struct str stat, const char *inactive) {
    double value, usage = l->g->v[MEMORY_USAGE];
    if (!isnan(usage) && field_number(stat, inactive, &value))
        l->g->v[MEMORY_WORKING_SET] = usage > value ? usage - value : 0;
}

/* The processes in it, and the first of them (0: none). */
static double read_processes(struct look *l) {
    static const enum cgroup_controller order[] = {CGROUP_MEMORY, CGROUP_CPUACCT, CGROUP_PIDS};
    struct str text, line;
    double count = 0, first = 0, pid;
    bool found = false;
    for (size_t i = 0; i < LENGTH(order) && !found; i++) found = read_file(l, order[i], "cgroup.procs", &text);
    if (!found) return 0;
    while (take_line(&text, &line))
        if (word_number(str_trim(line), &pid) && count++ == 0) first = pid;
    l->g->v[PROCESSES] = count;
    return first;
}

static void read_start(struct look *l) {
    struct path_stamp stamp;
    const char *folder = l->c->v2 ? "" : l->c->folders[CGROUP_MEMORY].name;
    if (!tree_path(&l->c->tree, "sys/fs/cgroup%s%s%s", *folder ? "/" : "", folder, l->below)) return;
    err e = path_stamp_read(l->c->tree.path, &stamp);
    if (!e) l->g->v[START_TIME] = (double)(stamp.changed_ns / 1000000000);
    err_free(e);
}

/* ---- version 1 ------------------------------------------------------------------------------------------------------------------ */

static void read_v1(struct look *l) {
    struct str text;
    double quota = 0;
    read_number(l, CGROUP_CPUACCT, "cpuacct.usage", CPU_USAGE, 1e-9);
    if (read_file(l, CGROUP_CPUACCT, "cpuacct.stat", &text)) {
        take_field(l, text, "user", CPU_USER, .01);
        take_field(l, text, "system", CPU_SYSTEM, .01);
    }
    read_number(l, CGROUP_CPU, "cpu.cfs_quota_us", SPEC_CPU_QUOTA, 1);
    quota = l->g->v[SPEC_CPU_QUOTA];
    if (!(quota > 0)) l->g->v[SPEC_CPU_QUOTA] = NAN; /* -1: none */
    read_number(l, CGROUP_CPU, "cpu.cfs_period_us", SPEC_CPU_PERIOD, 1);
    read_number(l, CGROUP_CPU, "cpu.shares", SPEC_CPU_SHARES, 1);
    if (quota > 0 && read_file(l, CGROUP_CPU, "cpu.stat", &text)) {
        take_field(l, text, "nr_periods", CFS_PERIODS, 1);
        take_field(l, text, "nr_throttled", CFS_THROTTLED_PERIODS, 1);
        take_field(l, text, "throttled_time", CFS_THROTTLED, 1e-9);
    }
    read_number(l, CGROUP_MEMORY, "memory.usage_in_bytes", MEMORY_USAGE, 1);
    read_number(l, CGROUP_MEMORY, "memory.max_usage_in_bytes", MEMORY_MAX_USAGE, 1);
    read_number(l, CGROUP_MEMORY, "memory.failcnt", MEMORY_FAILCNT, 1);
    read_limit(l, CGROUP_MEMORY, "memory.limit_in_bytes", SPEC_MEMORY_LIMIT);
    read_limit(l, CGROUP_MEMORY, "memory.soft_limit_in_bytes", SPEC_MEMORY_RESERVATION);
    if (read_file(l, CGROUP_MEMORY, "memory.stat", &text)) {
        take_field(l, text, "total_rss", MEMORY_RSS, 1);
        take_field(l, text, "total_cache", MEMORY_CACHE, 1);
        take_field(l, text, "total_mapped_file", MEMORY_MAPPED, 1);
        take_field(l, text, "total_swap", MEMORY_SWAP, 1);
        take_field(l, text, "pgfault", FAULTS, 1);
        take_field(l, text, "total_pgfault", FAULTS_HIERARCHY, 1);
        take_field(l, text, "pgmajfault", MAJOR_FAULTS, 1);
        take_field(l, text, "total_pgmajfault", MAJOR_FAULTS_HIERARCHY, 1);
        set_working_set(l, text, "total_inactive_file");
    }
    if (read_file(l, CGROUP_MEMORY, "memory.oom_control", &text)) take_field(l, text, "oom_kill", OOM_KILLS, 1);
}

/* ---- version 2 ------------------------------------------------------------------------------------------------------------------ */

/* "max 100000", "150000 100000" */
static bool read_cpu_max(struct look *l) {
    struct str text, quota;
    double value;
    if (!read_file(l, CGROUP_CPU, "cpu.max", &text) || !take_word(&text, &quota)) return false;
    text = str_trim(text);
    if (word_number(text, &value)) l->g->v[SPEC_CPU_PERIOD] = value;
    if (!word_number(quota, &value)) return false;
    l->g->v[SPEC_CPU_QUOTA] = value;
    return true;
}

/* As container runtimes turn shares, 2 to 262144, into weights, 1 to 10000; backwards, as cAdvisor does. */
static void read_weight(struct look *l) {
    struct str text;
    double weight;
    if (read_file(l, CGROUP_CPU, "cpu.weight", &text) && word_number(str_trim(text), &weight) && weight >= 1)
        l->g->v[SPEC_CPU_SHARES] = floor(2 + ((weight - 1) * 262142) / 9999);
}

static void read_v2(struct look *l) {
    struct str text;
    bool limited = read_cpu_max(l);
    read_weight(l);
    if (read_file(l, CGROUP_CPU, "cpu.stat", &text)) {
        take_field(l, text, "usage_usec", CPU_USAGE, 1e-6);
        take_field(l, text, "user_usec", CPU_USER, 1e-6);
        take_field(l, text, "system_usec", CPU_SYSTEM, 1e-6);
        if (limited) {
            take_field(l, text, "nr_periods", CFS_PERIODS, 1);
            take_field(l, text, "nr_throttled", CFS_THROTTLED_PERIODS, 1);
            take_field(l, text, "throttled_usec", CFS_THROTTLED, 1e-6);
        }
    }
    read_number(l, CGROUP_MEMORY, "memory.current", MEMORY_USAGE, 1);
    read_number(l, CGROUP_MEMORY, "memory.peak", MEMORY_MAX_USAGE, 1);
    read_number(l, CGROUP_MEMORY, "memory.swap.current", MEMORY_SWAP, 1);
    read_limit(l, CGROUP_MEMORY, "memory.max", SPEC_MEMORY_LIMIT);
    read_limit(l, CGROUP_MEMORY, "memory.low", SPEC_MEMORY_RESERVATION);
    if (read_file(l, CGROUP_MEMORY, "memory.stat", &text)) {
        take_field(l, text, "anon", MEMORY_RSS, 1);
        take_field(l, text, "file", MEMORY_CACHE, 1);
        take_field(l, text, "file_mapped", MEMORY_MAPPED, 1);
        take_field(l, text, "pgfault", FAULTS, 1);
        take_field(l, text, "pgfault", FAULTS_HIERARCHY, 1);
        take_field(l, text, "pgmajfault", MAJOR_FAULTS, 1);
        take_field(l, text, "pgmajfault", MAJOR_FAULTS_HIERARCHY, 1);
        set_working_set(l, text, "inactive_file");
    }
    if (read_file(l, CGROUP_MEMORY, "memory.events", &text)) {
        take_field(l, text, "max", MEMORY_FAILCNT, 1);
        take_field(l, text, "oom_kill", OOM_KILLS, 1);
    }
}

/* ---- network -------------------------------------------------------------------------------------------------------------------- */

/* The places in /proc/PID/net/dev. */
static const struct {
    const char *name;
    int place;
} network_rows[CGROUP_NETWORK_COLUMNS] = {{"receive_bytes_total", 0},    {"receive_packets_total", 1},
                                          {"receive_errors_total", 2},   {"receive_packets_dropped_total", 3},
                                          {"transmit_bytes_total", 8},   {"transmit_packets_total", 9},
                                          {"transmit_errors_total", 10}, {"transmit_packets_dropped_total", 11}};

static bool namespace_of(struct containers *c, double pid, struct path_stamp *out) {
    if (!tree_path(&c->tree, "proc/%.0f/ns/net", pid)) return false;
    err e = path_stamp_read(c->tree.path, out);
    bool good = e == NULL;
    err_free(e); /* gone, or not for us to see */
    return good;
}

static void take_interface(struct look *l, struct str name, struct str line) {
    struct cgroup_interface i = {.name = ""};
    double value;
    if (!name.n || name.n >= sizeof i.name || str_equal(name, STR("lo"))) return;
    memcpy(i.name, name.p, name.n);
    for (int place = 0; place < 16 && take_number(&line, &value); place++)
        for (size_t r = 0; r < LENGTH(network_rows); r++)
            if (network_rows[r].place == place) i.values[r] = value;
    if (!l->g->interfaces) l->g->interfaces = mem_new_array(struct cgroup_interface, CGROUP_INTERFACES_MAX);
    l->g->interfaces[l->g->interface_count++] = i;
}

/* Only of a container whose network is not the host's. In a pod several share one, so that nobody could tell whose it was. */
static void read_network(struct look *l, double pid) {
    struct path_stamp own, host;
    struct str text, line, name;
    if (!l->g->is_container || pid < 1 || strstr(l->g->id, "kubepods")) return;
    if (!namespace_of(l->c, pid, &own) || !namespace_of(l->c, 1, &host)) return;
    if (own.inode == host.inode && own.device == host.device) return;
    if (!tree_read(&l->c->tree, &text, "proc/%.0f/net/dev", pid)) return;
    while (l->g->interface_count < CGROUP_INTERFACES_MAX && take_line(&text, &line))
        if (str_cut(line, ':', &name, &line)) take_interface(l, str_trim(name), line);
}

/* ---- all of them ------------------------------------------------------------------------------------------------------------------ */

static void read_group(struct containers *c, struct cgroup *g) {
    struct look l = {c, g, strcmp(g->id, "/") == 0 ? "" : g->id};
    for (int f = 0; f < FIGURES; f++) g->v[f] = NAN;
    if (c->v2)
        read_v2(&l);
    else
        read_v1(&l);
    read_number(&l, CGROUP_PIDS, "pids.current", THREADS, 1);
    read_limit(&l, CGROUP_PIDS, "pids.max", THREADS_MAX);
    double pid = read_processes(&l);
    read_network(&l, pid);
    containers_read_disks(c, g, l.below);
    read_start(&l);
    g->v[LAST_SEEN] = (double)(c->now_ns / 1000000000);
}

void containers_put_labels(struct containers *c, const struct cgroup *g) {
    expo_label(&c->expo, "id", str_of(g->id));
    if (g->image) expo_label(&c->expo, "image", str_of(g->image));
    if (g->name) expo_label(&c->expo, "name", str_of(g->name));
}

static void put_figure(struct containers *c, enum figure f) {
    bool begun = f > 0 && strcmp(rows[f].name, rows[f - 1].name) == 0; /* of one family with the row before */
    if (!begun) expo_family(&c->expo, rows[f].type, rows[f].help, "container_%s", rows[f].name);
    for (size_t i = 0; i < c->groups.n; i++) {
        const struct cgroup *g = &c->groups.v[i];
        if (isnan(g->v[f])) continue;
        containers_put_labels(c, g);
        for (size_t k = 0; k < 2 && rows[f].labels[k].key; k++)
            expo_label(&c->expo, rows[f].labels[k].key, str_of(rows[f].labels[k].value));
        expo_value(&c->expo, g->v[f]);
    }
}

static void put_network(struct containers *c) {
    for (size_t r = 0; r < LENGTH(network_rows); r++) {
        expo_family(&c->expo, "counter", "", "container_network_%s", network_rows[r].name);
        for (size_t i = 0; i < c->groups.n; i++)
            for (size_t k = 0; k < c->groups.v[i].interface_count; k++) {
                containers_put_labels(c, &c->groups.v[i]);
                expo_label(&c->expo, "interface", str_of(c->groups.v[i].interfaces[k].name));
                expo_value(&c->expo, c->groups.v[i].interfaces[k].values[r]);
            }
    }
}

static void forget_groups(struct containers *c) {
    for (size_t i = 0; i < c->groups.n; i++) {
        mem_free(c->groups.v[i].id);
        mem_free(c->groups.v[i].name);
        mem_free(c->groups.v[i].image);
        mem_free(c->groups.v[i].interfaces);
        mem_free(c->groups.v[i].disks);
    }
    vec_done(&c->groups);
}

void containers_init(struct containers *c, const char *root, uint32_t max) {
    *c = (struct containers){.max = max, .seen_max = CGROUPS_SEEN_MAX};
    tree_init(&c->tree, root);
    expo_init(&c->expo);
    buf_init(&c->diskstats, TREE_FILE_BYTES_MAX);
}

void containers_done(struct containers *c) {
    tree_done(&c->tree);
    expo_done(&c->expo);
    buf_done(&c->diskstats);
    forget_groups(c);
}

void containers_collect(struct containers *c, int64_t now_ns) {
    c->now_ns = now_ns;
    size_t left_out = containers_find(c);
    for (size_t i = 0; i < c->groups.n; i++) read_group(c, &c->groups.v[i]);
    for (enum figure f = 0; f < FIGURES; f++) put_figure(c, f);
    put_network(c);
    containers_put_disks(c);
    expo_family(&c->expo, "gauge", "Control groups seen that are not described, as there are too many.",
                "clew_host_cgroups_left_out");
    expo_value(&c->expo, (double)left_out);
    forget_groups(c);
}
