/* Dashboards: what their document is, those of Grafana turned into it and back, and the ones that ship with clew.
 *
 *   dashboard  title, description, tags, time {start, end}, refresh, variables [≤ 100], panels [≤ 500]
 *   variable   name, label, kind (query custom constant interval text), query, values, value, multi, all, all_value, hidden
 *   panel      id, title, description, kind, x y w h (a grid of DASHBOARD_COLUMNS), queries [≤ 20], unit, decimals, min, max, stack, draw,
 *              calc, thresholds [{at, tone}], text, collapsed, was
 *   query      kind promql: expr, legend, instant, step (the least)   logs, traces: what the searches of the page take   hidden
 *
 *   PUT ─▶ dashboard_check ─▶ catalog          Grafana ─▶ dashboard_import ─▶ document + what it could not keep ─▶ dashboard_check ─▶ catalog
 *                                              document ─▶ dashboard_export ─▶ Grafana
 *
 * Invariants: (1) what dashboard_import makes, dashboard_check takes. (2) every panel of what is imported is in the document: one that
 * clew cannot show is kept as kind `unknown`, which says what it was, and is told in the notes. (3) a text of the outside stays text: nothing
 * here is HTML. (4) every PromQL of a document has been parsed, its variables replaced by what they may hold.
 * Limits: DASHBOARD_BYTES of body, PARSED_DEPTH levels, DASHBOARD_MEMORY while it is looked at; the numbers in check.c.
 * Owner: texts are the arena's. Threads: any. Errors: ERR_INVALID names the place ("panels[2].queries[0].expr: 1:5: …"), ERR_LIMIT.
 * Source: Grafana 11's dashboard JSON model, schemaVersion 16 (rows) to 39; its variables and macros for Prometheus.
 */
#pragma once

#include "api/dashboard/parsed_priv.h"

struct budget;

enum { DASHBOARD_COLUMNS = 24, DASHBOARD_BYTES = 5 << 20, DASHBOARD_MEMORY = 128 << 20, DASHBOARD_NOTES_MAX = 500 };

/* Whether the body is a dashboard, and its title (the arena's). Works in an arena of its own, taken from `budget` (NULL: none). */
err dashboard_check(struct str body, struct budget *budget, struct arena *a, struct str *out_title);
err dashboard_check_parsed(const struct parsed *root, struct arena *a);

/* What could not be kept as it was: where in Grafana's document, which panel or variable, and what. */
struct dashboard_note {
    struct str path, title, what;
};
struct dashboard_notes {
    struct dashboard_note *v;
    size_t n, left_out; /* over DASHBOARD_NOTES_MAX */
};
/* A dashboard of Grafana, also in the envelope of its API, or one of clew, as clew's document; `title` instead of its own, if not empty.
 * *out is initialized here and the caller's to end, also after an error. */
err dashboard_import(struct str body, struct str title, struct arena *a, struct buf *out,
                     struct dashboard_notes *notes);
/* A document that dashboard_check has taken as Grafana's JSON, pretty, with `uid`; data sources are those of deploy/grafana. */
err dashboard_export(struct str body, struct str uid, struct arena *a, struct buf *out);

/* Those that ship: ids begin with DASHBOARD_SHIPPED and are nobody else's. */
#define DASHBOARD_SHIPPED "clew."
struct dashboard_shipped {
    struct str id, body;
};
size_t dashboard_shipped_count(void);
struct dashboard_shipped dashboard_shipped_at(size_t i);
bool dashboard_is_shipped(struct str id); /* by its beginning: it may not be written */
