/* Options of what `clew serve` reads by itself: --host-metrics, --host-interval, --host-root, --host-instance and --watch.
 * Errors: ERR_INVALID naming the option. Threads: main. */
#pragma once

#include "app/options.h"
#include "ingest/host/host.h"

struct api;
/* *out is NULL if nothing is to be read. */
err serve_host_open(const struct arguments *a, struct ingest *in, struct api *api, struct host **out);
