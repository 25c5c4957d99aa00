/* Any text as the file of `clew collect --config`. */
#include "ingest/forward/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct forward_config c;
    err e = forward_config_parse(str_span(data, size), "fuzz", &c);
    if (!e && (c.edit_count > FORWARD_EDITS_MAX || c.sampling.service_count > FORWARD_SERVICES_MAX || !c.batch_items ||
               c.batch_delay_ns < 0 || !(c.sampling.rate >= 0 && c.sampling.rate <= 1)))
        __builtin_trap();
    err_free(e);
    forward_config_done(&c);
    return 0;
}
