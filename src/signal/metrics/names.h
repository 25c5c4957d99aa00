/* Names of Prometheus: how metrics and attributes of OpenTelemetry are called there, and how a name with any characters is written where only
 * [a-zA-Z0-9_:] may stand.
 *
 * The rules are those of the OpenTelemetry specification (compatibility/prometheus_and_openmetrics.md, "OTLP Metric points to Prometheus") in the
 * reading of prometheus/otlptranslator, which decides what dashboards are written against: words of the name joined by `_`, the unit spelled out
 * (`ms` milliseconds, `By/s` bytes_per_second, `{request}` nothing), then `_total` of monotonic sums or `_ratio` of gauges of unit `1`;
 * what the name already says is not said twice. Runs of `_` in label names are kept, as there by default.
 * Escaping: prometheus/common model.EscapeName; proposals/2023-08-21-utf8.md.
 */
#pragma once

#include "signal/metrics/points.h"

/* The four strategies of Prometheus' otlp.translation_strategy. */
enum name_strategy {
    NAMES_UNDERSCORE_SUFFIXES, /* UnderscoreEscapingWithSuffixes: the default */
    NAMES_UNDERSCORE,          /* UnderscoreEscapingWithoutSuffixes */
    NAMES_UTF8_SUFFIXES,       /* NoUTF8EscapingWithSuffixes */
    NAMES_UNCHANGED,           /* NoTranslation */
    NAME_STRATEGIES
};

/* Appends the name of a metric of that kind (enum metric_kind); monotonic: of a sum. False: nothing would be left of it. */
bool prom_metric_name(enum name_strategy strategy, struct str name, struct str unit, uint32_t kind, bool monotonic,
                      struct buf *out);
/* Appends a unit as metadata have it: "ms" → milliseconds, "By/s" → bytes_per_second, "1" and "{x}" → nothing. */
void prom_unit_name(enum name_strategy strategy, struct str unit, struct buf *out);
/* Appends the name of a label; of an empty name nothing. */
void prom_label_name(enum name_strategy strategy, struct str name, struct buf *out);

/* Whether the name matches [a-zA-Z_:][a-zA-Z0-9_:]* (a label: without colons), so that it needs no quotes. */
bool prom_name_is_legacy(struct str name, bool label);

/* Schemes of the `escaping` parameter of exposition formats. */
enum name_escaping { ESCAPE_NONE, ESCAPE_UNDERSCORES, ESCAPE_DOTS, ESCAPE_VALUES, NAME_ESCAPINGS };
extern const char *const name_escapings[NAME_ESCAPINGS]; /* "allow-utf-8", "underscores", "dots", "values" */
void prom_escape_name(enum name_escaping scheme, struct str name, struct buf *out);
/* Appends the name that ESCAPE_VALUES made `U__…` of; any other text, also a damaged U__, as it is. */
void prom_unescape_name(struct str text, struct buf *out);
