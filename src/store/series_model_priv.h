/* The series half of the naive model (model.c): every sample in an array, looked at one by one. */
#pragma once

#include "store/store_priv.h"

struct series_model;
struct series_model *series_model_new(const struct store_options *o);
void series_model_free(struct series_model *m);
/* Judges and keeps what a batch says; the blob stays the caller's. */
void series_model_append(struct series_model *m, struct str tenant, struct batch_blob *blob, int64_t now_ns,
                         struct points_outcome *out);
struct series_snapshot *series_model_snapshot(struct series_model *m, struct str tenant, int64_t time_floor);
void series_model_delete(struct series_model *m, struct str tenant, const struct series_request *r);
