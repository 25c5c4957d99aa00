/* Dashboards and groups of rules as api takes them: what a body is, before the catalog keeps it as it came.
 *
 *   dashboard  all that dashboard/dashboard_priv.h says
 *   rules      {"name": text, "interval": "1m", "rules": [{…} ≤ 5,000]}                          name and rules must be there
 *
 * Of rules, members that are not known are kept; one that is known stands once. What is in a rule is not looked at here.
 * Limits: RECORD_DEPTH levels; bytes and names by the catalog. Errors: ERR_INVALID with the byte, ERR_LIMIT.
 */
#pragma once

#include "base/arena.h"
#include "catalog/catalog.h"

enum { RECORD_DEPTH = 64 };

/* The name is the arena's. */
err record_check(enum catalog_kind kind, struct str body, struct arena *a, struct str *out_name);
/* What If-Match and If-None-Match of a change expect; p NULL: not sent. ERR_INVALID: several tags, or a tag that must not match. */
err record_expect(struct str if_match, struct str if_none_match, struct catalog_expect *out);
