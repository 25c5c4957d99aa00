/* What is said of one body: reasons of decoders, translation and store in one table, and the sentence that is made of them. */
#pragma once

#include "ingest/ingest.h"

struct points_outcome;

void outcome_of_rows(struct ingest_outcome *o, const struct otlp_result *r);
/* What the decoder refused of metrics; what it took is the store's to say. */
void outcome_of_decoding(struct ingest_outcome *o, const struct points_result *r);
void outcome_of_store(struct ingest_outcome *o, const struct points_outcome *s);
/* Its message: counts by reason, then the details of the first refusals ("" if there are none), then warnings. */
void outcome_describe(struct ingest_outcome *o, const char *decoding, const char *store);
