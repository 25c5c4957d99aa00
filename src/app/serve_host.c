#include "app/serve_host.h"

#include "api/api.h"

#define INTERVAL_MIN_NS ((int64_t)1000000000)

static void put_own(void *context, struct buf *out) { api_put_metrics(context, out); }

static err read_whether(const struct arguments *a, bool *out) {
    struct str text = argument_text(a, OPTION_HOST_METRICS);
    *out = str_equal(text, STR("on"));
    if (*out || str_equal(text, STR("off"))) return NULL;
    return argument_blame(a, OPTION_HOST_METRICS, err_new(ERR_INVALID, "on or off"));
}

err serve_host_open(const struct arguments *a, struct ingest *in, struct api *api, struct host **out) {
    struct host_options options = {.ingest = in,
                                   .tenant = STR("default"),
                                   .watches = a->values[OPTION_WATCH],
                                   .watch_count = (size_t)a->given[OPTION_WATCH]};
    *out = NULL;
    TRY(read_whether(a, &options.machine));
    TRY(argument_duration(a, OPTION_HOST_INTERVAL, &options.interval_ns));
    if (options.interval_ns < INTERVAL_MIN_NS)
        return argument_blame(a, OPTION_HOST_INTERVAL, err_new(ERR_INVALID, "at least 1s"));
    if (!options.machine && !options.watch_count) return NULL;
    AUTO_FREE char *root = str_dup(argument_text(a, OPTION_HOST_ROOT));
    AUTO_FREE char *instance = str_dup(argument_text(a, OPTION_HOST_INSTANCE));
    options.root = root;
    options.instance = *instance ? instance : NULL;
    options.put_own = options.machine ? put_own : NULL;
    options.own_context = api;
    return host_new(&options, out);
}
