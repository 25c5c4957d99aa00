/* Jaeger's query API, v1 (its page, Grafana) and v3 (OTLP/JSON), over the same queries as the native one.
 *
 * Spellings of v3's parameters: camelCase and the older snake_case. Parameters that Jaeger has and we do not are ignored, as
 * Jaeger ignores unknown ones. Times: v1 µs since 1970 (dependencies: ms), v3 RFC 3339; durations as Go writes them.
 * Tags: `error`, `span.kind`, `otel.status_code`, `otel.status_description`, `otel.scope.name` and `w3c.tracestate` are the
 * fields that the OpenTelemetry translation makes of them; all others are attributes of the span, or else of its resource.
 * Source: jaeger 2.20 (internal/uimodel, api_v3 gateway), OpenTelemetry to Jaeger transformation (specification 1.x).
 */
#pragma once

#include "api/api_priv.h"

/* One trace as v1 shows it. */
void jaeger_write_trace(struct json_writer *w, const struct query_trace_answer *t);

void handle_jaeger_services(struct api_call *c);
void handle_jaeger_service_operations(struct api_call *c);
void handle_jaeger_operations(struct api_call *c);
void handle_jaeger_traces(struct api_call *c);
void handle_jaeger_trace(struct api_call *c);
void handle_jaeger_dependencies(struct api_call *c);
void handle_jaeger_v3_services(struct api_call *c);
void handle_jaeger_v3_operations(struct api_call *c);
void handle_jaeger_v3_traces(struct api_call *c);
void handle_jaeger_v3_trace(struct api_call *c);
void handle_jaeger_v3_summaries(struct api_call *c);
void handle_jaeger_v3_dependencies(struct api_call *c);
/* The body of an error, as v1 or v3 (by path) gives it. */
void jaeger_put_error(struct buf *out, struct str path, int status, struct str message);
