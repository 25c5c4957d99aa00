/* Options of what `clew serve` reads by itself: --host-metrics, --host-interval, --host-root, --host-instance and --watch.
 * Errors: ERR_INVALID naming the option. Threads: main. */
#pragma once

#include "app/options.h"
#include "ingest/host/host.h"

struct api;
err serve_host_read(const struct arguments *a,
                    struct host_options *out); /* what is not the ingest's; texts are those of the arguments */
/* Begins to read, if anything is to be; else *out is NULL. */
err serve_host_open(struct host_options *options, struct ingest *in, struct api *api, struct host **out);
