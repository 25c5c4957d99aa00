/* A dashboard of Grafana on its way into clew's document. */
#pragma once

#include "api/dashboard/parts_priv.h"

struct importer {
    struct arena *a;
    struct json_writer w;
    struct dashboard_notes *notes;
    struct variable_samples samples;
    uint32_t next_id, panels;
    size_t y, shift; /* where the next row begins; how far collapsed rows have moved what is below them */
};

/* Remembers what could not be kept. `title`: of the panel or variable. */
void import_note(struct importer *im, const char *path, struct str title, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* At most n bytes of it, whole characters; blanks at the ends and control characters go where it is a title. */
struct str import_cut(struct str s, size_t bytes_max);
struct str import_title(struct importer *im, struct str s);
void import_member(struct importer *im, const char *key, struct str value); /* unless it is empty */

void import_variables(struct importer *im, const struct parsed *root);
err import_panels(struct importer *im, const struct parsed *root);

/* What a panel asks, as queries of clew; false: it had some, and none can be kept. `why` gets what is said then. */
enum { IMPORT_QUERIES_MAX = 20 };
bool import_queries(struct importer *im, const struct parsed *panel, struct str kind, const char *path,
                    struct str title, struct buf *why);
/* Unit, decimals, ends of the axis, thresholds, stacking, calculation. */
void import_looks(struct importer *im, const struct parsed *panel, struct str kind, const char *path, struct str title);
