/* Control groups, v1 and v2, as cAdvisor names, labels and types them: every group as {id}, containers with {name} and {image} where they are
 * known. Blocks on nobody. Threads: one.
 *
 * A container is a group whose last part is 64 hex digits, alone or as docker-…, cri-containerd-…, crio-…, libpod-… (.scope), or what
 * lies directly below lxc, lxc.payload. Its name is Docker's where Docker's folder may be read, an lxc's own, else the digits.
 * Groups of systemd's mounts are left out, as there.
 *
 * Limits: `max` groups are described, containers first; CGROUPS_SEEN_MAX are looked at, CGROUP_DEPTH_MAX deep; what was seen and is not
 * described is counted in clew_host_cgroups_left_out. */
#pragma once

#include "base/vec.h"
#include "ingest/host/tree_priv.h"

enum { CGROUPS_SEEN_MAX = 8192, CGROUP_DEPTH_MAX = 24, CGROUP_ID_MAX = 1024 };
enum cgroup_controller { CGROUP_CPU, CGROUP_CPUACCT, CGROUP_MEMORY, CGROUP_PIDS, CGROUP_BLKIO, CGROUP_CONTROLLERS };

/* Alone, or with others in one folder ("cpu,cpuacct"); empty: not there. */
struct cgroup_folder {
    char name[64];
};

enum { CGROUP_FIGURES_MAX = 40, CGROUP_INTERFACES_MAX = 8, CGROUP_NETWORK_COLUMNS = 8 };

struct cgroup_interface {
    char name[32];
    double values[CGROUP_NETWORK_COLUMNS];
};
enum { CGROUP_DISKS_MAX = 16, CGROUP_DISK_COLUMNS = 4 };
struct cgroup_disk {
    uint32_t major, minor;
    double values[CGROUP_DISK_COLUMNS]; /* NaN: not there */
};
/* One, with what was read of it. */
struct cgroup {
    char *id, *name, *image; /* name and image NULL: none, or not known */
    bool is_container;
    double v[CGROUP_FIGURES_MAX]; /* NaN: not there */
    struct cgroup_interface *interfaces;
    size_t interface_count;
    struct cgroup_disk *disks;
    size_t disk_count;
};
struct containers {
    struct tree tree;
    struct expo expo;
    uint32_t max, seen_max; /* seen_max: CGROUPS_SEEN_MAX, but in tests */
    bool v2;
    struct cgroup_folder folders[CGROUP_CONTROLLERS];
    VEC(struct cgroup) groups; /* of the round */
    struct buf diskstats;      /* of the round: how devices are called */
    int64_t now_ns;
};
void containers_init(struct containers *c, const char *root, uint32_t max);
void containers_done(struct containers *c);
/* All families into c->expo. */
void containers_collect(struct containers *c, int64_t now_ns);

/* The groups there are now, containers first, at most `max`; how many more were seen. */
size_t containers_find(struct containers *c);
/* Whether the group is a container; its own name: the digits, or lxc's. Borrowed from the id. */
bool cgroup_is_container(struct str id, struct str *out_name);

void containers_put_labels(struct containers *c,
                           const struct cgroup *g); /* id, image, name: of a sample that is begun */
/* Disks: containers_disk.c. `below` is the group's path under the root of its hierarchy. */
void containers_read_disks(struct containers *c, struct cgroup *g, const char *below);
void containers_put_disks(struct containers *c);
