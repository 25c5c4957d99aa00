/* The plan of the simulated machine, its lives and deaths, and what tests look at. */
#include "os/sim/sim.h"

#include <stdio.h>
#include <stdlib.h>

#include "os/path_err_priv.h"
#include "os/sim/clock_priv.h"
#include "os/sim/disk_priv.h"

enum { FAULTS_MAX = 16 };

struct fault {
    uint64_t at; /* number of the call */
    enum err_kind kind;
};

struct disk sim_disk;

static struct {
    uint64_t calls, syncs, faults;
    struct fault planned[FAULTS_MAX];
    size_t planned_count;
    struct fault from;     /* at 0: none */
    uint64_t cut, sync_at; /* 0: none */
    bool power_is_off, trace;
} plan;

/* ---- the plan --------------------------------------------------------------------------------------------------- */

void sim_fail_at(uint64_t n, enum err_kind kind) {
    if (plan.planned_count == FAULTS_MAX) abort();
    plan.planned[plan.planned_count++] = (struct fault){plan.calls + n, kind};
}

void sim_fail_from(uint64_t n, enum err_kind kind) { plan.from = (struct fault){plan.calls + n, kind}; }
void sim_fail_sync(uint64_t n) { plan.sync_at = plan.syncs + n; }
void sim_cut_at(uint64_t n) { plan.cut = plan.calls + n; }

void sim_calm(void) {
    plan.planned_count = 0;
    plan.from.at = plan.cut = plan.sync_at = 0;
}

uint64_t sim_calls(void) { return plan.calls; }
uint64_t sim_faults(void) { return plan.faults; }
void sim_trace(bool on) { plan.trace = on; }

static bool is_planned(bool failing_sync, enum err_kind *out_kind) {
    *out_kind = ERR_IO;
    if (failing_sync) return true;
    if (plan.from.at && plan.calls >= plan.from.at) {
        *out_kind = plan.from.kind;
        return true;
    }
    for (size_t i = 0; i < plan.planned_count; i++) {
        if (plan.planned[i].at != plan.calls) continue;
        *out_kind = plan.planned[i].kind;
        return true;
    }
    return false;
}

static err call(const char *doing, const char *path, bool failing_sync, enum event *out_event) {
    enum err_kind kind;
    plan.calls++;
    *out_event = EVENT_GO;
    if (plan.cut && plan.calls == plan.cut) {
        plan.power_is_off = true;
        *out_event = EVENT_CUT;
    }
    bool fails = !plan.power_is_off && is_planned(failing_sync, &kind);
    if (fails) *out_event = EVENT_FAIL;
    if (plan.trace)
        fprintf(stderr, "sim %6llu %s %s%s\n", (unsigned long long)plan.calls, doing, path,
                plan.power_is_off ? ": no power"
                : fails           ? ": fails"
                                  : "");
    if (!fails && !plan.power_is_off) return NULL;
    plan.faults++;
    if (plan.power_is_off) return err_new(ERR_IO, "%s %s: the simulated power is off", doing, path);
    return err_new(kind, "%s %s: the simulation fails call %llu", doing, path, (unsigned long long)plan.calls);
}

err sim_call(const char *doing, const char *path, enum event *out_event) { return call(doing, path, false, out_event); }

err sim_call_sync(const char *path, enum event *out_event) {
    plan.syncs++;
    return call("syncing", path, plan.sync_at && plan.syncs == plan.sync_at, out_event);
}

/* ---- lives and deaths ------------------------------------------------------------------------------------------- */

/* The root is there before the first call, so that a program which never heard of us can start. */
static void root_make(void) {
    sim_disk.root = node_new(true);
    node_live_ref(sim_disk.root);
}

__attribute__((constructor)) static void sim_start(void) { sim_reset(0); }

void sim_reset(uint64_t seed) {
    bool trace = plan.trace;
    files_go_stale();
    dirs_clear();
    if (sim_disk.root) {
        node_unref(sim_disk.root); /* what node_new gave; the live reference goes with the next line */
        node_live_unref(sim_disk.root);
    }
    sim_disk.limit_bytes = 0;
    xoshiro_seed(&sim_disk.dice, seed);
    memset(&plan, 0, sizeof plan);
    plan.trace = trace;
    root_make();
    sim_clock_reset(seed);
}

static void start_again(void) {
    files_go_stale();
    sim_calm();
    plan.faults = 0;
    plan.power_is_off = false;
}

static enum fate roll_fate(void) {
    uint64_t roll = dice_below(8);
    return roll == 0 ? FATE_LOSE : roll == 1 ? FATE_KEEP : FATE_MIX;
}

void sim_reboot(void) {
    start_again();
    enum fate fate = roll_fate();
    for (struct node *n = sim_disk.nodes; n; n = n->next)
        if (!n->is_dir) node_lose(n, fate);
    dirs_lose();
}

void sim_restart(void) { start_again(); }

/* ---- looking and tampering -------------------------------------------------------------------------------------- */

void sim_disk_limit(uint64_t bytes) { sim_disk.limit_bytes = bytes; }
uint64_t sim_disk_used(void) { return sim_disk.used_sectors * SECTOR_BYTES; }

err sim_flip_bit(const char *path, uint64_t offset, unsigned bit) {
    struct node *node;
    int failed = path_find(path, &node);
    if (failed || node->is_dir) return path_err(failed ? failed : EISDIR, "flipping a bit of", path);
    if (offset >= node->size || bit > 7) return err_new(ERR_INVALID, "flipping a bit of %s: past its end", path);
    node_flip(node, offset, bit);
    return NULL;
}

static int entry_compare(const void *a, const void *b) {
    return strcmp(((const struct entry *)a)->name, ((const struct entry *)b)->name);
}

static void list_dir(struct node *dir, struct buf *path, struct buf *out) {
    table *t = &dir->live;
    size_t base = path->n;
    if (t->n > 0) qsort(t->v, t->n, sizeof t->v[0], entry_compare);
    for (size_t i = 0; i < t->n; i++) {
        struct node *n = t->v[i].node;
        bool durable = dir_entry_is_durable(dir, str_of(t->v[i].name));
        buf_add_text(path, t->v[i].name);
        if (n->is_dir) {
            buf_add_byte(path, '/');
            buf_add_fmt(out, "%s%s\n", path->p, durable ? "" : " +");
            list_dir(n, path, out);
        } else {
            buf_add_fmt(out, "%s %llu %llu%s\n", path->p, (unsigned long long)n->size,
                        (unsigned long long)(n->dirty.n * SECTOR_BYTES), durable ? "" : " +");
        }
        path->n = base;
        path->p[base] = 0;
    }
}

void sim_list(struct buf *out) {
    AUTO_BUF struct buf path;
    buf_init(&path, PATH_BYTES_MAX + 1);
    buf_add_text(&path, "");
    list_dir(sim_disk.root, &path, out);
}
