/* The metrics that `clew load` sends: instances of 125 series each, all sampled every 15 s.
 *
 *   law   100 counters by method, route and code that grow by random integers; 25 gauges: random walks, ratios of two decimals,
 *         mostly constant ones (reference/load.md)
 *   node  as a node exporter's: integer counters, CPU seconds, byte counters, decimals, pages, sparse buckets, constants, noise,
 *         sums; each scrape up to 5 ms beside its time
 *   buckets  by remote write alone: 10 classic histograms of 12 buckets by route, and 5 gauges
 *
 * A value is a function of seed, series and number of scrape, so that a request can be made again; a maker remembers where each of its
 * series was, and going forward costs one step a scrape. Going back begins anew.
 * Threads: a maker belongs to one. Units: times ns since 1970, whole milliseconds. Limits: INSTANCES_MAX.
 */
#pragma once

#include "base/base.h"

enum { LAW_COUNTERS = 100, LAW_GAUGES = 25, LAW_SERIES = LAW_COUNTERS + LAW_GAUGES, INSTANCES_MAX = 100000 };
#define LAW_INTERVAL_NS ((int64_t)15000000000)

struct law_metrics;
enum law_profile { PROFILE_LAW, PROFILE_NODE, PROFILE_BUCKETS };

struct law_metrics *law_metrics_new(uint64_t seed, uint32_t instances, enum law_profile profile);
void law_metrics_free(struct law_metrics *m); /* takes NULL */

/* One scrape of instances [first, first + n): n × LAW_SERIES samples at time_ns (node: about). */
struct law_scrape {
    uint64_t scrape;
    uint32_t first, n;
    int64_t start_ns, time_ns;
};
void law_metrics_put_otlp(struct law_metrics *m, const struct law_scrape *s, struct buf *out);
void law_metrics_put_remote_write(struct law_metrics *m, const struct law_scrape *s, struct buf *out); /* not packed */

/* For reading back: the value of a series, its name and labels as `name,method,route,code,le`, and when it was sampled. */
double law_metrics_value(struct law_metrics *m, uint32_t instance, uint32_t series, uint64_t scrape);
void law_metrics_put_key(uint32_t series, enum law_profile profile, struct buf *out);
void law_metrics_put_instance(uint32_t instance, struct buf *out);
int64_t law_metrics_time(const struct law_metrics *m, const struct law_scrape *s, uint32_t instance);
