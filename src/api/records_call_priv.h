/* What calls about records share. */
#pragma once

#include "api/api_priv.h"
#include "catalog/catalog.h"

/* While the store takes no writes, records do not either: the disk is full, or failing. */
err records_open_to_change(struct api_call *c, struct catalog **out);
/* The one that the path names, also of dashboards that ship. */
err records_get(struct api_call *c, struct arena *a, struct catalog_document *out);
/* Its members, into an object that is open. */
void records_write(struct json_writer *w, const struct catalog_document *d);
/* Ends the call; another revision than a field of the request expects is 412. Consumes e. */
void records_fail_change(struct api_call *c, err e, bool stale);
