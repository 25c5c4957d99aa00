/* Any bytes as every file of a machine: what the sources make of them is a text that is taken whole.
 * The input is one file; a folder of links, made once, has it in each place that is read. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ingest/host/containers_priv.h"
#include "ingest/host/node_priv.h"
#include "os/file.h"
#include "signal/metrics/points_decode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DIGITS "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
static const char *const files[] = {
    "proc/stat", "proc/meminfo", "proc/vmstat", "proc/loadavg", "proc/diskstats", "proc/1/mounts", "proc/pressure/cpu",
    "proc/pressure/io", "proc/net/dev", "proc/net/arp", "proc/net/sockstat", "proc/net/softnet_stat",
    "proc/net/netstat", "proc/net/snmp6", "proc/net/udp", "proc/net/stat/nf_conntrack", "proc/sys/fs/file-nr",
    "proc/sys/kernel/ostype", "etc/os-release", "run/udev/data/b8:0", "sys/class/net/eth0/address",
    "sys/class/net/eth0/speed", "sys/class/net/eth0/operstate",
    "sys/devices/system/clocksource/clocksource0/current_clocksource",
    "var/lib/docker/containers/" DIGITS "/config.v2.json",
    /* version 2 */
    "v2/sys/fs/cgroup/cgroup.controllers", "v2/sys/fs/cgroup/docker-" DIGITS ".scope/cpu.stat",
    "v2/sys/fs/cgroup/docker-" DIGITS ".scope/cpu.max", "v2/sys/fs/cgroup/docker-" DIGITS ".scope/memory.current",
    "v2/sys/fs/cgroup/docker-" DIGITS ".scope/memory.stat", "v2/sys/fs/cgroup/docker-" DIGITS ".scope/memory.max",
    "v2/sys/fs/cgroup/docker-" DIGITS ".scope/cgroup.procs", "v2/var/lib/docker/containers/" DIGITS "/config.v2.json",
    /* version 1 */
    "sys/fs/cgroup/cpu,cpuacct/docker/" DIGITS "/cpuacct.stat", "sys/fs/cgroup/cpu,cpuacct/docker/" DIGITS "/cpu.stat",
    "sys/fs/cgroup/cpu,cpuacct/docker/" DIGITS "/cpu.cfs_quota_us",
    "sys/fs/cgroup/memory/docker/" DIGITS "/memory.stat",
    "sys/fs/cgroup/memory/docker/" DIGITS "/memory.limit_in_bytes", "sys/fs/cgroup/blkio/blkio.throttle.io_serviced",
    "v2/sys/fs/cgroup/io.stat"};

static char root[64], input[96], second[96];

static err no_space(const char *path, struct file_system *out) {
    (void)path;
    *out = (struct file_system){1, 2, 3, 4, 5};
    return NULL;
}

static err remove_one(void *context, const char *name, bool is_dir) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", (const char *)context, name);
    if (!is_dir) return path_remove(path);
    TRY(path_list(path, remove_one, path));
    return path_remove_dir(path);
}

static void clean_up(void) {
    err_free(path_list(root, remove_one, root));
    err_free(path_remove_dir(root));
}

static void make_links(void) {
    snprintf(root, sizeof root, "/tmp/clew-host-fuzz-XXXXXX");
    if (!mkdtemp(root)) abort();
    atexit(clean_up);
    snprintf(input, sizeof input, "%s/input", root);
    snprintf(second, sizeof second, "%s/v2", root);
    for (size_t i = 0; i < LENGTH(files); i++) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", root, files[i]);
        for (char *c = path + strlen(root) + 1; *c; c++) {
            if (*c != '/') continue;
            *c = 0;
            mkdir(path, 0700);
            *c = '/';
        }
        if (symlink(input, path) != 0) abort();
    }
}

static void check(struct expo *e) {
    static struct points_decoder *d;
    static const struct otlp_limits all = {INT64_MIN, INT64_MAX, 1};
    struct points_result r = {0};
    if (!d) d = points_decoder_new();
    err bad = points_decode_text(d, POINTS_TEXT, buf_str(&e->out), &all, &r);
    if (bad) fprintf(stderr, "%s\n" STR_FMT, err_text(bad), STR_ARG(buf_str(&e->out)));
    assert(!bad);
    for (int i = 0; i < POINTS_REASONS; i++) assert(!r.rejected[i]);
    batch_unref(r.blob);
}

static void check_groups(const char *at) {
    struct containers c;
    containers_init(&c, at, 100);
    containers_collect(&c, 1);
    check(&c.expo);
    containers_done(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct node n;
    if (!*root) {
        make_links();
        node_init(&n, root, mounts_new(no_space, MOUNT_WAIT_NS));
    }
    FILE *f = fopen(input, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0) abort();
    expo_clear(&n.expo);
    node_collect_wait(&n, 1);
    check(&n.expo);
    check_groups(root);
    check_groups(second);
    return 0;
}
