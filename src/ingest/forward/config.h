/* What `clew collect` does with telemetry on its way, as a YAML file says (docs/collect.md):
 *
 *   resource:                        edits of resource attributes, in order
 *     - {action: upsert, key: deployment.environment.name, value: prod}     insert, upsert, delete
 *   batch: {items: 8192, bytes: 4MiB, delay: 200ms}
 *   correlation: {derive: false}     ids that arrived, written as attribute correlation_id (docs/formats/correlation.md)
 *   tail_sampling:
 *     wait: 10s                      a trace is decided so long after its first span
 *     traces_max: 50000              in memory
 *     memory: 256MiB                 of their spans
 *     keep_errors: true              traces with a span of status error
 *     keep_slower_than: 2s           0: none for that
 *     rate: 0.1                      of the others
 *     services: {checkout: 1.0}      of others that this service has a span in; the highest counts
 *
 * Limits: 64 edits, 256 services, keys 256 bytes, values 4 KiB. Owner: the maker. Threads: immutable. Errors: ERR_INVALID with file and line.
 */
#pragma once

#include "base/base.h"
#include "signal/otlp_edit.h"

enum { FORWARD_EDITS_MAX = 64, FORWARD_SERVICES_MAX = 256 };

struct forward_sampling {
    bool on, keep_errors;
    int64_t wait_ns, slow_ns;
    uint64_t traces_max, bytes_max;
    double rate;
    size_t service_count;
    struct forward_service {
        struct str name;
        double rate;
    } services[FORWARD_SERVICES_MAX];
};

struct correlate_rules;
struct forward_config {
    struct arena *arena; /* of its texts */
    struct otlp_edit edits[FORWARD_EDITS_MAX];
    size_t edit_count;
    uint64_t batch_items, batch_bytes;
    int64_t batch_delay_ns;
    struct correlate_rules *correlate; /* NULL: off */
    bool derive;                       /* rows without an id get one of their trace */
    struct forward_sampling sampling;
};
void forward_config_default(struct forward_config *out);
/* Ended by forward_config_done, also after an error. */
err forward_config_parse(struct str text, const char *name, struct forward_config *out);
void forward_config_done(struct forward_config *c);
