/* The dashboards that ship: files of shipped/, carried by the program. */
#include "api/dashboard/dashboard_priv.h"

extern const char shipped_host_json[], shipped_containers_json[], shipped_service_json[], shipped_clew_json[];
extern const size_t shipped_host_json_n, shipped_containers_json_n, shipped_service_json_n, shipped_clew_json_n;

static const struct {
    const char *id, *text;
    const size_t *n;
} rows[] = {
    {DASHBOARD_SHIPPED "host", shipped_host_json, &shipped_host_json_n},
    {DASHBOARD_SHIPPED "containers", shipped_containers_json, &shipped_containers_json_n},
    {DASHBOARD_SHIPPED "service", shipped_service_json, &shipped_service_json_n},
    {DASHBOARD_SHIPPED "clew", shipped_clew_json, &shipped_clew_json_n},
};

size_t dashboard_shipped_count(void) { return LENGTH(rows); }

struct dashboard_shipped dashboard_shipped_at(size_t i) {
    return (struct dashboard_shipped){str_of(rows[i].id), {rows[i].text, *rows[i].n}};
}

bool dashboard_is_shipped(struct str id) { return str_starts_with(id, STR(DASHBOARD_SHIPPED)); }
