/* What goes wrong in the shop while its stories are told (`clew load --shape shop --stories`), and where the page shows it.
 *
 *   the time of --over   0 ···· [slow query] ···· [payment] ···· [new version] ···· now, and what is sent live: all is over
 *
 * Moments are millionths of that time, so that the same requests tell the same stories in an hour or in a minute.
 */
#pragma once

#include "base/base.h"

enum story { STORY_SLOW_QUERY, STORY_PAYMENT, STORY_VERSION, STORIES };
enum { STORY_END = 1000000 };

/* Words that the traffic and the links share. */
#define SLOW_CATEGORY "outdoor"
#define ACQUIRER "acquirer.example"
#define VERSION_BEFORE "2.3.1"
#define VERSION_BAD "2.4.0"
#define VERSION_MENDED "2.4.1"

bool story_is_on(enum story s, uint32_t moment);
/* Which version of a service an instance (0, 1) runs; the second is upgraded a little after the first. */
const char *story_version(const char *service, unsigned instance, uint32_t moment);

/* Where a story shows most: the trace, its span. */
struct story_evidence {
    unsigned char trace[16];
    uint64_t span;
    int64_t span_ns;
    uint32_t traces; /* that it shows in; 0: it was not told */
};

/* The stories with links to the page of `server`: what they show lies in [first_ns, first_ns + over_ns]. Stories without traces are
 * left out. */
void stories_put_text(struct buf *out, struct str server, int64_t first_ns, int64_t over_ns,
                      const struct story_evidence found[STORIES]);
struct json_writer;
void stories_put_json(struct json_writer *w, struct str server, int64_t first_ns, int64_t over_ns,
                      const struct story_evidence found[STORIES]);
