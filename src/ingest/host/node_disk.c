/* Block devices and mounted file systems. */
#include <stdio.h>

#include "base/map.h"
#include "ingest/host/node_priv.h"

/* ---- /proc/diskstats ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name, *type, *help;
    double unit;
} disk_columns[] = {
    {"reads_completed_total", "counter", "The total number of reads completed successfully.", 1},
    {"reads_merged_total", "counter", "The total number of reads merged.", 1},
    {"read_bytes_total", "counter", "The total number of bytes read successfully.", 512},
    {"read_time_seconds_total", "counter", "The total number of seconds spent by all reads.", .001},
    {"writes_completed_total", "counter", "The total number of writes completed successfully.", 1},
    {"writes_merged_total", "counter", "The number of writes merged.", 1},
    {"written_bytes_total", "counter", "The total number of bytes written successfully.", 512},
    {"write_time_seconds_total", "counter", "This is the total number of seconds spent by all writes.", .001},
    {"io_now", "gauge", "The number of I/Os currently in progress.", 1},
    {"io_time_seconds_total", "counter", "Total seconds spent doing I/Os.", .001},
    {"io_time_weighted_seconds_total", "counter", "The weighted # of seconds spent doing I/Os.", .001},
    {"discards_completed_total", "counter", "The total number of discards completed successfully.", 1},
    {"discards_merged_total", "counter", "The total number of discards merged.", 1},
    {"discarded_sectors_total", "counter", "The total number of sectors discarded successfully.", 1},
    {"discard_time_seconds_total", "counter", "This is the total number of seconds spent by all discards.", .001},
    {"flush_requests_total", "counter", "The total number of flush requests completed successfully", 1},
    {"flush_requests_time_seconds_total", "counter", "This is the total number of seconds spent by all flush requests.",
     .001},
};

static size_t digits_at(struct str s, size_t at) {
    size_t n = 0;
    while (at + n < s.n && s.p[at + n] >= '0' && s.p[at + n] <= '9') n++;
    return n;
}

/* As Debian's default of --collector.diskstats.device-exclude: ^(ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p)\d+$ */
static bool disk_is_left_out(struct str name) {
    static const char *const plain[] = {"ram", "loop", "fd"}, *const lettered[] = {"hd", "sd", "vd", "xvd"};
    size_t end = 0, part;
    for (size_t i = 0; i < LENGTH(plain) && !end; i++)
        if (str_starts_with(name, str_of(plain[i]))) end = strlen(plain[i]);
    for (size_t i = 0; i < LENGTH(lettered) && !end; i++)
        if (str_starts_with(name, str_of(lettered[i])) && name.n > strlen(lettered[i]) &&
            name.p[strlen(lettered[i])] >= 'a' && name.p[strlen(lettered[i])] <= 'z')
            end = strlen(lettered[i]) + 1;
    if (!end && str_starts_with(name, STR("nvme")) && (part = digits_at(name, 4))) {
        size_t at = 4 + part;
        if (at < name.n && name.p[at] == 'n' && (part = digits_at(name, at + 1)) && at + 1 + part < name.n &&
            name.p[at + 1 + part] == 'p')
            end = at + 2 + part;
    }
    return end && end < name.n && end + digits_at(name, end) == name.n;
}

struct disk {
    char name[64], major[16], minor[16];
    double values[LENGTH(disk_columns)];
    size_t n;
};
typedef VEC(struct disk) disks;

static bool copy_word(struct str *line, char *out, size_t size) {
    struct str word;
    if (!take_word(line, &word) || word.n >= size) return false;
    memcpy(out, word.p, word.n);
    out[word.n] = 0;
    return true;
}

static void read_disks(struct node *n, disks *out) {
    struct str text, line;
    if (!tree_read(&n->tree, &text, "proc/diskstats")) return;
    while (out->n < NODE_DEVICES_MAX && take_line(&text, &line)) {
        struct disk d = {0};
        if (!copy_word(&line, d.major, sizeof d.major) || !copy_word(&line, d.minor, sizeof d.minor) ||
            !copy_word(&line, d.name, sizeof d.name) || disk_is_left_out(str_of(d.name)))
            continue;
        while (d.n < LENGTH(disk_columns) && take_number(&line, &d.values[d.n])) d.n++;
        if (d.n) *vec_push(out) = d;
    }
}

static struct str udev_value(struct str text, const char *key) {
    struct str line, name, value;
    while (take_line(&text, &line))
        if (str_starts_with(line, STR("E:")) && str_cut(str_span(line.p + 2, line.n - 2), '=', &name, &value) &&
            str_equal(name, str_of(key)))
            return value;
    return STR("");
}

static void put_disk_info(struct node *n, const disks *all) {
    expo_family(&n->expo, "gauge", "Info of /sys/block/<block_device>.", "node_disk_info");
    for (size_t i = 0; i < all->n; i++) {
        const struct disk *d = &all->v[i];
        struct str text = {0};
        if (!tree_read(&n->tree, &text, "run/udev/data/b%s:%s", d->major, d->minor)) text = STR("");
        struct str serial = udev_value(text, "SCSI_IDENT_SERIAL");
        expo_label(&n->expo, "device", str_of(d->name));
        expo_label(&n->expo, "major", str_of(d->major));
        expo_label(&n->expo, "minor", str_of(d->minor));
        expo_label(&n->expo, "model", udev_value(text, "ID_MODEL"));
        expo_label(&n->expo, "path", udev_value(text, "ID_PATH"));
        expo_label(&n->expo, "revision", udev_value(text, "ID_REVISION"));
        expo_label(&n->expo, "serial", serial.n ? serial : udev_value(text, "ID_SERIAL_SHORT"));
        expo_label(&n->expo, "wwn", udev_value(text, "ID_WWN"));
        expo_value(&n->expo, 1);
    }
}

void node_disk(struct node *n) {
    disks all = {0};
    read_disks(n, &all);
    if (all.n) put_disk_info(n, &all);
    for (size_t c = 0; all.n && c < LENGTH(disk_columns); c++) {
        expo_family(&n->expo, disk_columns[c].type, disk_columns[c].help, "node_disk_%s", disk_columns[c].name);
        for (size_t i = 0; i < all.n; i++) {
            if (c >= all.v[i].n) continue;
            expo_label(&n->expo, "device", str_of(all.v[i].name));
            expo_value(&n->expo, all.v[i].values[c] * disk_columns[c].unit);
        }
    }
    vec_done(&all);
}

/* ---- file systems ------------------------------------------------------------------------------------------------------------ */

enum { MOUNTS_MAX = 256 };

/* As Debian's defaults of --collector.filesystem.fs-types-exclude and …mount-points-exclude. */
static const char *const types_left_out[] = {
    "autofs",   "binfmt_misc", "bpf",        "cgroup",     "cgroup2",   "configfs", "debugfs", "devpts",
    "devtmpfs", "fusectl",     "hugetlbfs",  "iso9660",    "mqueue",    "nsfs",     "overlay", "proc",
    "procfs",   "pstore",      "rpc_pipefs", "securityfs", "selinuxfs", "squashfs", "sysfs",   "tracefs"};
static const char *const points_left_out[] = {"/dev", "/proc", "/run", "/sys", "/mnt", "/media"};
static const char *const below_left_out[] = {"/var/lib/docker/", "/var/lib/containers/storage/"};

static bool mount_is_left_out(struct str point, struct str type) {
    for (size_t i = 0; i < LENGTH(types_left_out); i++)
        if (str_equal(type, str_of(types_left_out[i]))) return true;
    for (size_t i = 0; i < LENGTH(points_left_out); i++) {
        struct str p = str_of(points_left_out[i]);
        if (str_starts_with(point, p) && (point.n == p.n || point.p[p.n] == '/')) return true;
    }
    for (size_t i = 0; i < LENGTH(below_left_out); i++)
        if (str_starts_with(point, str_of(below_left_out[i])) && point.n > strlen(below_left_out[i])) return true;
    return false;
}

struct mount {
    char *device, *point, *type;
    bool read_only, answered;
    struct file_system space;
};
typedef VEC(struct mount) mount_list;

/* Blanks and the like stand as \040. */
static char *unescape(struct str s) {
    char *out = str_dup(s);
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 3 < s.n && digits_at(s, i + 1) >= 3) {
            out[n++] = (char)((s.p[i + 1] - '0') * 64 + (s.p[i + 2] - '0') * 8 + (s.p[i + 3] - '0'));
            i += 3;
        } else {
            out[n++] = s.p[i];
        }
    }
    out[n] = 0;
    return out;
}

static bool has_option(struct str options, struct str wanted) {
    struct str one;
    bool more = true;
    while (more) {
        more = str_cut(options, ',', &one, &options);
        if (str_equal(one, wanted)) return true;
    }
    return false;
}

/* Each device, mount point and type once. False: as clew sees them, who may be kept from writing where others are not. */
static bool read_mounts(struct node *n, mount_list *out) {
    struct str text, line, device, point, type, options;
    struct strings seen;
    bool of_all = tree_read(&n->tree, &text, "proc/1/mounts");
    if (!of_all && !tree_read(&n->tree, &text, "proc/self/mounts")) return false;
    strings_init(&seen);
    while (out->n < MOUNTS_MAX && take_line(&text, &line)) {
        struct str whole = line;
        uint32_t known = seen.n;
        if (!take_word(&line, &device) || !take_word(&line, &point) || !take_word(&line, &type) ||
            !take_word(&line, &options) || mount_is_left_out(point, type) ||
            strings_intern(&seen, str_span(whole.p, (size_t)(type.p + type.n - whole.p))) < known)
            continue;
        *vec_push(out) = (struct mount){.device = unescape(device),
                                        .point = unescape(point),
                                        .type = str_dup(type),
                                        .read_only = has_option(options, STR("ro"))};
    }
    strings_done(&seen);
    return of_all;
}

static const struct {
    const char *name, *help;
    size_t offset;
} space_rows[] = {
    {"size_bytes", "Filesystem size in bytes.", offsetof(struct file_system, size_bytes)},
    {"free_bytes", "Filesystem free space in bytes.", offsetof(struct file_system, free_bytes)},
    {"avail_bytes", "Filesystem space available to non-root users in bytes.",
     offsetof(struct file_system, avail_bytes)},
    {"files", "Filesystem total file nodes.", offsetof(struct file_system, files)},
    {"files_free", "Filesystem total free file nodes.", offsetof(struct file_system, files_free)},
};

static void put_mount(struct node *n, const struct mount *m, double value) {
    expo_label(&n->expo, "device", str_of(m->device));
    expo_label(&n->expo, "fstype", str_of(m->type));
    expo_label(&n->expo, "mountpoint", str_of(m->point));
    expo_value(&n->expo, value);
}

void node_filesystem_wait(struct node *n) {
    mount_list all = {0};
    bool of_all = read_mounts(n, &all);
    for (size_t i = 0; i < all.n; i++)
        all.v[i].answered = tree_path(&n->tree, "%s", all.v[i].point + (all.v[i].point[0] == '/')) &&
                            mounts_ask_wait(n->mounts, n->tree.path, &all.v[i].space);
    expo_family(&n->expo, "gauge", "Whether an error occurred while getting statistics for the given device.",
                "node_filesystem_device_error");
    for (size_t i = 0; i < all.n; i++) put_mount(n, &all.v[i], !all.v[i].answered);
    expo_family(&n->expo, "gauge", "Filesystem read-only status.", "node_filesystem_readonly");
    for (size_t i = 0; of_all && i < all.n; i++)
        if (all.v[i].answered) put_mount(n, &all.v[i], all.v[i].read_only);
    for (size_t r = 0; r < LENGTH(space_rows); r++) {
        expo_family(&n->expo, "gauge", space_rows[r].help, "node_filesystem_%s", space_rows[r].name);
        for (size_t i = 0; i < all.n; i++) {
            uint64_t value;
            memcpy(&value, (const char *)&all.v[i].space + space_rows[r].offset, sizeof value);
            if (all.v[i].answered) put_mount(n, &all.v[i], (double)value);
        }
    }
    for (size_t i = 0; i < all.n; i++) {
        mem_free(all.v[i].device);
        mem_free(all.v[i].point);
        mem_free(all.v[i].type);
    }
    vec_done(&all);
}
