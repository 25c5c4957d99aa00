#include "app/serve_host.h"

#include "api/api.h"

#define INTERVAL_MIN_NS ((int64_t)1000000000)

static void put_own(void *context, struct buf *out) { api_put_metrics(context, out); }

static err read_whether(const struct arguments *a, bool *out) {
    struct str text = argument_text(a, OPTION_HOST_METRICS);
    *out = str_equal(text, STR("on"));
    return *out || str_equal(text, STR("off")) ? NULL : err_new(ERR_INVALID, "on or off");
}

err serve_host_read(const struct arguments *a, struct host_options *out) {
    struct str instance = argument_text(a, OPTION_HOST_INSTANCE);
    *out = (struct host_options){.tenant = STR("default"),
                                 .root = argument_text(a, OPTION_HOST_ROOT).p,
                                 .instance = instance.n ? instance.p : NULL,
                                 .watches = a->values[OPTION_WATCH],
                                 .watch_count = (size_t)a->given[OPTION_WATCH]};
    TRY(argument_blame(a, OPTION_HOST_METRICS, read_whether(a, &out->machine)));
    TRY(argument_duration(a, OPTION_HOST_INTERVAL, &out->interval_ns));
    if (out->interval_ns < INTERVAL_MIN_NS)
        return argument_blame(a, OPTION_HOST_INTERVAL, err_new(ERR_INVALID, "at least 1s"));
    return argument_blame(a, OPTION_WATCH, host_check_watches(out->watches, out->watch_count));
}

err serve_host_open(struct host_options *options, struct ingest *in, struct api *api, struct host **out) {
    *out = NULL;
    if (!options->machine && !options->watch_count) return NULL;
    options->ingest = in;
    options->put_own = options->machine ? put_own : NULL;
    options->own_context = api;
    return host_new(options, out);
}
