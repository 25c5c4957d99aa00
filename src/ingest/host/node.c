/* Processors, memory, load, pressure and what else stands in /proc as one file. */
#include "ingest/host/node_priv.h"

#include <stdio.h>

#define TICKS_A_SECOND 100.0 /* USER_HZ: of all Linux that clew runs on */

void node_init(struct node *n, const char *root, struct mounts *mounts) {
    *n = (struct node){.mounts = mounts};
    tree_init(&n->tree, root);
    expo_init(&n->expo);
}

void node_done(struct node *n) {
    tree_done(&n->tree);
    expo_done(&n->expo);
    mounts_free(n->mounts);
    vec_done(&n->cpus);
}

void node_collect_wait(struct node *n, int64_t now_ns) {
    n->now_ns = now_ns;
    node_stat(n);
    node_memory(n);
    node_system(n);
    node_os(n);
    node_time(n);
    node_disk(n);
    node_network(n);
    node_interfaces(n);
    node_sockets(n);
    node_protocols(n);
    node_filesystem_wait(n);
}

static void one(struct node *n, const char *type, const char *help, const char *name, double value) {
    expo_family(&n->expo, type, help, "%s", name);
    expo_value(&n->expo, value);
}

/* ---- /proc/stat ------------------------------------------------------------------------------------------------------ */

/* In the order of the file. The first eight are modes of node_cpu_seconds_total, the others of guests. */
static const char *const modes[NODE_MODES] = {"user", "nice",    "system", "idle", "iowait",
                                              "irq",  "softirq", "steal",  "user", "nice"};
enum { GUEST_USER = 8 };

/* A processor that was switched off and on begins anew; else a figure that fell by less than this is a flaw of the kernel's. */
#define JUMP_SECONDS 3.0

static void keep_cpu(struct node *n, size_t cpu, struct str line) {
    while (n->cpus.n <= cpu) memset(vec_push(&n->cpus), 0, sizeof n->cpus.v[0]);
    double *was = n->cpus.v[cpu].seconds, ticks;
    for (size_t mode = 0; mode < NODE_MODES && take_number(&line, &ticks); mode++) {
        double now = ticks / TICKS_A_SECOND;
        if (now >= was[mode] || was[mode] - now >= JUMP_SECONDS) was[mode] = now;
    }
}

static void put_modes(struct node *n, const bool *seen, size_t first, size_t end) {
    char number[24];
    for (size_t cpu = 0; cpu < n->cpus.n; cpu++) {
        snprintf(number, sizeof number, "%zu", cpu);
        for (size_t mode = first; seen[cpu] && mode < end; mode++) {
            expo_label(&n->expo, "cpu", str_of(number));
            expo_label(&n->expo, "mode", str_of(modes[mode]));
            expo_value(&n->expo, n->cpus.v[cpu].seconds[mode]);
        }
    }
}

static const struct {
    const char *key, *name, *type, *help;
} stat_rows[] = {
    {"ctxt", "node_context_switches_total", "counter", "Total number of context switches."},
    {"btime", "node_boot_time_seconds", "gauge", "Node boot time, in unixtime."},
    {"processes", "node_forks_total", "counter", "Total number of forks."},
    {"procs_running", "node_procs_running", "gauge", "Number of processes in runnable state."},
    {"procs_blocked", "node_procs_blocked", "gauge", "Number of processes blocked waiting for I/O to complete."},
    {"intr", "node_intr_total", "counter", "Total number of interrupts serviced."},
};

void node_stat(struct node *n) {
    struct str text, rest, line, word;
    double cpu, value;
    if (!tree_read(&n->tree, &text, "proc/stat")) return;
    bool *seen = mem_new_array(bool, NODE_CPUS_MAX);
    for (rest = text; take_line(&rest, &line);) {
        if (!take_word(&line, &word) || !str_starts_with(word, STR("cpu")) || word.n == 3) continue;
        if (!word_number(str_span(word.p + 3, word.n - 3), &cpu) || cpu < 0 || cpu >= NODE_CPUS_MAX) continue;
        keep_cpu(n, (size_t)cpu, line);
        seen[(size_t)cpu] = true;
    }
    expo_family(&n->expo, "counter", "Seconds the CPUs spent in each mode.", "node_cpu_seconds_total");
    put_modes(n, seen, 0, GUEST_USER);
    expo_family(&n->expo, "counter", "Seconds the CPUs spent in guests (VMs) for each mode.",
                "node_cpu_guest_seconds_total");
    put_modes(n, seen, GUEST_USER, NODE_MODES);
    mem_free(seen);
    for (size_t i = 0; i < LENGTH(stat_rows); i++)
        if (field_number(text, stat_rows[i].key, &value))
            one(n, stat_rows[i].type, stat_rows[i].help, stat_rows[i].name, value);
}

/* ---- memory ---------------------------------------------------------------------------------------------------------- */

static void put_meminfo(struct node *n) {
    struct str text, line, key, unit;
    double value;
    if (!tree_read(&n->tree, &text, "proc/meminfo")) return;
    while (take_line(&text, &line)) {
        char name[96];
        size_t length = 0;
        if (!str_cut(line, ':', &key, &line) || !take_number(&line, &value) || key.n >= sizeof name) continue;
        for (size_t i = 0; i < key.n; i++) /* Active(anon) is Active_anon */
            if (key.p[i] != ')') name[length++] = (char)(key.p[i] == '(' ? '_' : key.p[i]);
        bool kib = take_word(&line, &unit) && str_equal(unit, STR("kB"));
        expo_family(&n->expo, "gauge", "", "node_memory_%.*s%s", (int)length, name, kib ? "_bytes" : "");
        expo_value(&n->expo, kib ? value * 1024 : value);
    }
}

/* As the default of --collector.vmstat.fields: ^(oom_kill|pgpg|pswp|pg.*fault).* */
static bool vmstat_is_told(struct str key) {
    return str_starts_with(key, STR("oom_kill")) || str_starts_with(key, STR("pgpg")) ||
           str_starts_with(key, STR("pswp")) || (str_starts_with(key, STR("pg")) && str_contains(key, STR("fault")));
}

void node_memory(struct node *n) {
    struct str text, line, key;
    double value;
    put_meminfo(n);
    if (!tree_read(&n->tree, &text, "proc/vmstat")) return;
    while (take_line(&text, &line)) {
        if (!take_word(&line, &key) || !vmstat_is_told(key) || key.n > 96 || !take_number(&line, &value)) continue;
        expo_family(&n->expo, "untyped", "", "node_vmstat_" STR_FMT, STR_ARG(key));
        expo_value(&n->expo, value);
    }
}

/* ---- load, pressure, files, entropy ------------------------------------------------------------------------------------ */

static const struct {
    const char *file, *line, *name, *help;
} pressures[] = {
    {"cpu", "some", "node_pressure_cpu_waiting_seconds_total",
     "Total time in seconds that processes have waited for CPU time"},
    {"io", "some", "node_pressure_io_waiting_seconds_total",
     "Total time in seconds that processes have waited due to IO congestion"},
    {"io", "full", "node_pressure_io_stalled_seconds_total",
     "Total time in seconds no process could make progress due to IO congestion"},
    {"memory", "some", "node_pressure_memory_waiting_seconds_total",
     "Total time in seconds that processes have waited for memory"},
    {"memory", "full", "node_pressure_memory_stalled_seconds_total",
     "Total time in seconds no process could make progress due to memory congestion"},
};

static bool pressure_total(struct str text, const char *kind, double *out) {
    struct str line, word;
    while (take_line(&text, &line)) {
        if (!take_word(&line, &word) || !str_equal(word, str_of(kind))) continue;
        while (take_word(&line, &word))
            if (str_starts_with(word, STR("total="))) return word_number(str_span(word.p + 6, word.n - 6), out);
    }
    return false;
}

static const struct {
    const char *file, *name, *help;
    int place; /* which number of the file */
} system_rows[] = {
    {"proc/loadavg", "node_load1", "1m load average.", 0},
    {"proc/loadavg", "node_load5", "5m load average.", 1},
    {"proc/loadavg", "node_load15", "15m load average.", 2},
    {"proc/sys/fs/file-nr", "node_filefd_allocated", "File descriptor statistics: allocated.", 0},
    {"proc/sys/fs/file-nr", "node_filefd_maximum", "File descriptor statistics: maximum.", 2},
    {"proc/sys/kernel/random/entropy_avail", "node_entropy_available_bits", "Bits of available entropy.", 0},
    {"proc/sys/kernel/random/poolsize", "node_entropy_pool_size_bits", "Bits of entropy pool.", 0},
    {"proc/sys/net/netfilter/nf_conntrack_count", "node_nf_conntrack_entries",
     "Number of currently allocated flow entries for connection tracking.", 0},
    {"proc/sys/net/netfilter/nf_conntrack_max", "node_nf_conntrack_entries_limit",
     "Maximum size of connection tracking table.", 0},
};

void node_system(struct node *n) {
    struct str text;
    double value;
    for (size_t i = 0; i < LENGTH(system_rows); i++) {
        bool good = tree_read(&n->tree, &text, "%s", system_rows[i].file);
        text = good ? str_trim(text) : (struct str){0};
        for (int k = 0; good && k <= system_rows[i].place; k++) good = take_number(&text, &value);
        if (good) one(n, "gauge", system_rows[i].help, system_rows[i].name, value);
    }
    for (size_t i = 0; i < LENGTH(pressures); i++)
        if (tree_read(&n->tree, &text, "proc/pressure/%s", pressures[i].file) &&
            pressure_total(text, pressures[i].line, &value))
            one(n, "counter", pressures[i].help, pressures[i].name, value / 1e6);
}
