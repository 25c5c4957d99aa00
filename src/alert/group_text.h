/* Groups of rules as text: from a file of rules to the JSON that rows keep, and back.
 *
 *   groups: [ … ] ─ rule_groups_json ─▶ {"name": …, "rules": […]} each ─ rule_group_yaml ─▶ an item of `groups:`
 *
 * Values stay texts as they were written (a plain 10 becomes "10"), but for `limit`, a number. Comments and anchors do not come back, and a block of text
 * does as a block. Rows come back in the order of their members. Limits: those of base/yaml.h. Errors: ERR_INVALID "FILE:LINE: …", ERR_LIMIT.
 */
#pragma once

#include "base/arena.h"

typedef err rule_group_found(void *context, struct str name, struct str json);
/* Of a file that rules_read finds nothing wrong with. `name` and `json` are borrowed for the call. */
err rule_groups_json(struct str text, struct arena *a, rule_group_found *found, void *context);
/* Appends "  - name: …", which stands under "groups:". */
err rule_group_yaml(struct str json, struct arena *a, struct buf *out);
