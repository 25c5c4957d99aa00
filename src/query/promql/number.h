/* Numbers as text in the forms that Prometheus gives them: all the shortest that read back the same.
 *
 *   put_sample_value   as the HTTP API writes samples: 0.001, 1e-07, 1e+21, NaN, +Inf
 *   put_go_plain       never an exponent: values as labels (count_values)
 *   put_go_general     as Go's %g: an exponent under 1e-4 and from 1e6 on: in messages, and numbers in queries */
#pragma once

#include "base/base.h"

void put_sample_value(struct buf *b, double v);
void put_go_plain(struct buf *b, double v);
void put_go_general(struct buf *b, double v);

/* Numbers as PromQL takes them: decimal, 0x, 0b, 0o, underscores between digits, Inf, NaN. False: none. */
bool parse_promql_number(struct str s, double *out);
/* 1h30m, 5ms; each unit once, larger first. False: none, or it does not fit. */
bool parse_promql_duration(struct str s, int64_t *out_ms);
/* As Prometheus writes durations: 90000 ms is 1m30s. */
void put_promql_duration(struct buf *b, int64_t ms);
/* A text in quotes, as %q of Go has it. */
void put_go_quoted(struct buf *b, struct str text);
