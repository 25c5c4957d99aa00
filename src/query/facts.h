/* What resources tell of services: in which language they are written, their versions, how many instances run. Read from the resources of what
 * overlaps a range, without a look at rows, so a fact may be of rows just outside it.
 *
 * An instance is a distinct service.instance.id, else k8s.pod.name, else container.id, else host.name of a service; of resources that have none of
 * them nothing is counted.
 * Limits: QUERY_FACTS_SERVICES_MAX services, QUERY_FACTS_INSTANCES_MAX instances in all (`instances_cut`), QUERY_FACTS_VERSIONS_MAX versions listed of one.
 * Memory, deadline, errors: as query.h.
 */
#pragma once

#include "query/query.h"

enum { QUERY_FACTS_SERVICES_MAX = 100000, QUERY_FACTS_INSTANCES_MAX = 1000000, QUERY_FACTS_VERSIONS_MAX = 8 };

struct query_service_facts {
    struct str name, space, environment;
    struct str language;                           /* telemetry.sdk.language; "": not told */
    struct str versions[QUERY_FACTS_VERSIONS_MAX]; /* distinct service.version, by text */
    uint32_t version_count;                        /* listed */
    bool versions_cut;                             /* there are more */
    uint64_t instances;
    bool signals[SIGNALS];
};
struct query_facts_answer {
    const struct query_service_facts *services; /* by environment, namespace, name */
    size_t n;
    bool instances_cut;
};
/* environment p NULL: all. */
err query_facts(struct query *q, int64_t time_min, int64_t time_max, struct str environment,
                struct query_facts_answer *out);
