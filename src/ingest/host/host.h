/* What a machine says of itself with nothing else installed: figures of the host, its containers and the services beside it, every
 * `interval_ns` into the store as Prometheus' points, under the names that the usual exporters give them.
 *
 *   /proc /sys ─ host ───────┐                     ┌─ series that were there a round ago
 *   cgroups ─ containers ────┤                     │  and are no more: stale markers
 *   nginx, redis, postgres ──┼─▶ text format ─▶ points ─▶ ingest_points
 *   clew itself ─────────────┘   (one a source)
 *
 * Limits: a file 256 KiB (of a longer one its first whole lines), 4,096 processors, 512 disks and interfaces, 256 mounts, `cgroups_max`
 * control groups (the others are counted), a source 16 MiB of text. No answer of a file system for 1 s: device_error, and it is left alone
 * until it answers. A service 3 s.
 * Owner and threads: a thread of its own for the machine, one for each watched service. host_free waits for them, and for what they sent.
 */
#pragma once

#include "ingest/ingest.h"

struct host;

enum { HOST_CGROUPS_MAX = 500, HOST_WATCHES_MAX = 32 };

struct host_options {
    struct ingest *ingest;
    struct str tenant;
    bool machine;         /* the host and its containers */
    const char *root;     /* below it /proc, /sys, /etc and what is mounted; "" as "/" */
    const char *instance; /* its label; NULL: the name of the host */
    int64_t interval_ns;
    int64_t (*wall_ns)(void); /* NULL: clock_wall_ns */
    uint32_t cgroups_max;     /* 0: HOST_CGROUPS_MAX */
    /* clew's own figures in the text format; NULL: none. From the thread of the host. */
    void (*put_own)(void *context, struct buf *out);
    void *own_context;
    const struct str
        *watches; /* "nginx=http://127.0.0.1/status", "redis=127.0.0.1:6379", "postgres=…"; outlive the call only */
    size_t watch_count;
};
/* ERR_INVALID says what a watch has wrong, or that two are of one service. host_new finds the same. */
err host_check_watches(const struct str *watches, size_t n);
err host_new(const struct host_options *options, struct host **out);
void host_free(struct host *h); /* takes NULL */
