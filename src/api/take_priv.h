/* Bodies of telemetry on their way to the ingest, whichever route takes them: what their fields say, and the way there and back. */
#pragma once

#include "api/api_priv.h"

typedef void (*take_answer_fn)(struct api_call *c, err e, const struct ingest_outcome *outcome);
/* Hands the body on: a small one here and now, else on a work thread. `answer` ends the call and e, maybe on the log thread. The request's
 * tenant and body are the call's, set here. */
void call_take(struct api_call *c, const struct ingest_request *request, take_answer_fn answer);
/* Of the body that is under way. */
const struct ingest_request *call_taken(const struct api_call *c);

/* "type/subtype; name=value": is it of that type? The value of a parameter, without quotes; p NULL if there is none. */
bool media_type_is(struct str content_type, struct str wanted);
struct str media_parameter(struct str content_type, struct str name);
/* none, gzip, zstd, identity; else *out_problem says what is wrong */
bool encoding_is_taken(struct str encoding, struct str *out_problem);
