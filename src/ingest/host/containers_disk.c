/* What control groups read from and write to disks: blkio of version 1, io.stat of version 2, as cAdvisor's container_fs_*.
 *
 *   v1, blkio.throttle.io_service_bytes:  "8:0 Read 4096"    v2, io.stat:  "8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0"
 *
 * The files of the schedulers (BFQ; CFQ before kernel 5.0) come first where they say anything, as there. */
#include <math.h>
#include <stdio.h>

#include "base/text.h"
#include "ingest/host/containers_priv.h"

enum { READ_BYTES, WRITTEN_BYTES, READS, WRITES };
static const struct {
    const char *name, *help;
} disk_rows[CGROUP_DISK_COLUMNS] = {
    [READ_BYTES] = {"fs_reads_bytes_total", "Cumulative count of bytes read"},
    [WRITTEN_BYTES] = {"fs_writes_bytes_total", "Cumulative count of bytes written"},
    [READS] = {"fs_reads_total", "Cumulative count of reads completed"},
    [WRITES] = {"fs_writes_total", "Cumulative count of writes completed"},
};

/* "8:0" */
static bool take_device(struct str *line, uint32_t *out_major, uint32_t *out_minor) {
    struct str word, first, second;
    double a, b;
    if (!take_word(line, &word) || !str_cut(word, ':', &first, &second) || !word_number(first, &a) ||
        !word_number(second, &b) || a < 0 || a > 0xfffff || b < 0 || b > 0xfffff)
        return false;
    *out_major = (uint32_t)a;
    *out_minor = (uint32_t)b;
    return true;
}

/* NULL: there are too many. */
static struct cgroup_disk *disk_of(struct cgroup *g, uint32_t major, uint32_t minor) {
    for (size_t i = 0; i < g->disk_count; i++)
        if (g->disks[i].major == major && g->disks[i].minor == minor) return &g->disks[i];
    if (g->disk_count == CGROUP_DISKS_MAX) return NULL;
    if (!g->disks) g->disks = mem_new_array(struct cgroup_disk, CGROUP_DISKS_MAX);
    g->disks[g->disk_count] = (struct cgroup_disk){major, minor, {NAN, NAN, NAN, NAN}};
    return &g->disks[g->disk_count++];
}

static void take_v1(struct cgroup *g, struct str text, int reads, int writes) {
    struct str line, what;
    uint32_t major, minor;
    double value;
    while (take_line(&text, &line)) {
        if (!take_device(&line, &major, &minor) || !take_word(&line, &what) || !take_number(&line, &value)) continue;
        int column = str_equal(what, STR("Read")) ? reads : str_equal(what, STR("Write")) ? writes : -1;
        struct cgroup_disk *d = column < 0 ? NULL : disk_of(g, major, minor);
        if (d) d->values[column] = value;
    }
}

static void take_v2(struct cgroup *g, struct str text) {
    static const char *const keys[CGROUP_DISK_COLUMNS] = {
        [READ_BYTES] = "rbytes", [WRITTEN_BYTES] = "wbytes", [READS] = "rios", [WRITES] = "wios"};
    struct str line, word, key, number;
    uint32_t major, minor;
    double value;
    while (take_line(&text, &line)) {
        if (!take_device(&line, &major, &minor)) continue;
        while (take_word(&line, &word)) {
            if (!str_cut(word, '=', &key, &number) || !word_number(number, &value)) continue;
            for (int c = 0; c < CGROUP_DISK_COLUMNS; c++) {
                struct cgroup_disk *d = str_equal(key, str_of(keys[c])) ? disk_of(g, major, minor) : NULL;
                if (d) d->values[c] = value;
            }
        }
    }
}

/* Whether the first of the files that says anything of a device was taken. */
static void read_first(struct containers *c, struct cgroup *g, const char *below, const char *const files[4], int reads,
                       int writes) {
    struct str text;
    for (int i = 0; i < 4; i++) {
        if (!tree_read(&c->tree, &text, "sys/fs/cgroup/%s%s/%s", c->folders[CGROUP_BLKIO].name, below, files[i]))
            continue;
        if (!str_contains(text, STR(":"))) continue; /* "Total 0" */
        take_v1(g, text, reads, writes);
        return;
    }
}

void containers_read_disks(struct containers *c, struct cgroup *g, const char *below) {
    static const char *const bytes[] = {"blkio.bfq.io_service_bytes_recursive", "blkio.io_service_bytes_recursive",
                                        "blkio.throttle.io_service_bytes_recursive", "blkio.throttle.io_service_bytes"};
    static const char *const counts[] = {"blkio.bfq.io_serviced_recursive", "blkio.io_serviced_recursive",
                                         "blkio.throttle.io_serviced_recursive", "blkio.throttle.io_serviced"};
    struct str text;
    if (c->v2) {
        if (tree_read(&c->tree, &text, "sys/fs/cgroup%s/io.stat", below)) take_v2(g, text);
        return;
    }
    if (!*c->folders[CGROUP_BLKIO].name) return;
    read_first(c, g, below, bytes, READ_BYTES, WRITTEN_BYTES);
    read_first(c, g, below, counts, READS, WRITES);
}

/* "/dev/sda" by the kernel's list; a device that is not in it keeps its numbers. */
static void put_device(struct containers *c, const struct cgroup_disk *d) {
    struct str text, line, name;
    char numbers[32];
    AUTO_BUF struct buf path;
    buf_init(&path, KIB);
    double major, minor;
    text = buf_str(&c->diskstats);
    while (take_line(&text, &line)) {
        if (!take_number(&line, &major) || !take_number(&line, &minor) || !take_word(&line, &name)) continue;
        if ((uint32_t)major != d->major || (uint32_t)minor != d->minor || name.n > 128) continue;
        buf_add_text(&path, "/dev/");
        buf_add_str(&path, name);
        expo_label(&c->expo, "device", buf_str(&path));
        return;
    }
    snprintf(numbers, sizeof numbers, "%u:%u", d->major, d->minor);
    expo_label(&c->expo, "device", str_of(numbers));
}

void containers_put_disks(struct containers *c) {
    struct str text;
    buf_clear(&c->diskstats);
    if (tree_read(&c->tree, &text, "proc/diskstats")) buf_add_str(&c->diskstats, text);
    for (int column = 0; column < CGROUP_DISK_COLUMNS; column++) {
        expo_family(&c->expo, "counter", disk_rows[column].help, "container_%s", disk_rows[column].name);
        for (size_t i = 0; i < c->groups.n; i++)
            for (size_t k = 0; k < c->groups.v[i].disk_count; k++) {
                if (isnan(c->groups.v[i].disks[k].values[column])) continue;
                containers_put_labels(c, &c->groups.v[i]);
                put_device(c, &c->groups.v[i].disks[k]);
                expo_value(&c->expo, c->groups.v[i].disks[k].values[column]);
            }
    }
}
