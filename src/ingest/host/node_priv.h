/* The host's own figures, as Prometheus' node_exporter 1.5 names, labels and types them: one function a subject, each writing whole families.
 * What a subject keeps from round to round stands in struct node. Threads: one. Limits: host.h. */
#pragma once

#include "base/vec.h"
#include "ingest/host/mounts_priv.h"
#include "ingest/host/tree_priv.h"

enum { NODE_CPUS_MAX = 4096, NODE_DEVICES_MAX = 512, NODE_MODES = 10 };

struct node {
    struct tree tree;
    struct expo expo;
    struct mounts *mounts;
    int64_t now_ns; /* of the round */
    VEC(struct { double seconds[NODE_MODES]; })
    cpus; /* as they were: the kernel's own figures go back a little at times */
};
void node_init(struct node *n, const char *root, struct mounts *mounts); /* takes them over */
void node_done(struct node *n);
/* All subjects into n->expo. Blocks as long as mounts may. */
void node_collect_wait(struct node *n, int64_t now_ns);

void node_stat(struct node *n);
void node_memory(struct node *n);
void node_system(struct node *n);
void node_os(struct node *n);
void node_time(struct node *n);
void node_disk(struct node *n);
void node_network(struct node *n);
void node_interfaces(struct node *n);
void node_sockets(struct node *n);
void node_protocols(struct node *n);
void node_filesystem_wait(struct node *n);
