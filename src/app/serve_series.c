#include "app/serve_series.h"

#include "base/text.h"

/* In order of enum name_strategy, as Prometheus' otlp.translation_strategy has them. */
static const char *const strategies[NAME_STRATEGIES] = {
    [NAMES_UNDERSCORE_SUFFIXES] = "UnderscoreEscapingWithSuffixes",
    [NAMES_UNDERSCORE] = "UnderscoreEscapingWithoutSuffixes",
    [NAMES_UTF8_SUFFIXES] = "NoUTF8EscapingWithSuffixes",
    [NAMES_UNCHANGED] = "NoTranslation",
};

static err read_strategy(const struct arguments *a, enum name_strategy *out) {
    struct str given = argument_text(a, OPTION_METRIC_NAMES);
    for (int i = 0; i < NAME_STRATEGIES; i++) {
        if (!str_equal_nocase(given, str_of(strategies[i]))) continue;
        *out = (enum name_strategy)i;
        return NULL;
    }
    return argument_blame(a, OPTION_METRIC_NAMES,
                          err_new(ERR_INVALID, "\"" STR_FMT "\" is not one of %s, %s, %s, %s", STR_ARG(given),
                                  strategies[0], strategies[1], strategies[2], strategies[3]));
}

static err read_count(const struct arguments *a, enum option o, uint32_t min, uint32_t max, uint32_t *out) {
    uint64_t v;
    TRY(argument_u64(a, o, &v));
    if (v < min || v > max)
        return argument_blame(a, o, err_new(ERR_INVALID, "from %u to %u, not %llu", min, max, (unsigned long long)v));
    *out = (uint32_t)v;
    return NULL;
}

static err read_promoted(const struct arguments *a, struct serve_series *s) {
    for (int i = 0; i < a->given[OPTION_PROMOTE_ATTRIBUTE]; i++) {
        struct str key = a->values[OPTION_PROMOTE_ATTRIBUTE][i];
        if (!key.n || !utf8_is_valid(key))
            return argument_blame(a, OPTION_PROMOTE_ATTRIBUTE, err_new(ERR_INVALID, "the key of a resource attribute"));
        s->promoted[s->translation.promoted_n++] = key;
    }
    s->translation.promoted = s->promoted;
    return NULL;
}

err serve_series_read(const struct arguments *a, struct serve_series *s, struct series_options *out) {
    s->translation = translation_default;
    s->translation.deltas = true;
    TRY(read_strategy(a, &s->translation.names));
    TRY(read_promoted(a, s));
    TRY(read_count(a, OPTION_SERIES_MAX, 1, 100000000, &out->series_max));
    TRY(read_count(a, OPTION_SERIES_LABELS_MAX, 1, LABELS_MAX, &out->labels_max));
    TRY(read_count(a, OPTION_SERIES_NEW_MAX, 0, 100000000, &out->new_series_max));
    TRY(argument_duration(a, OPTION_LATE_WINDOW, &out->late_window_ns));
    if (!out->late_window_ns) out->late_window_ns = -1; /* none; 0 would be the default */
    out->translation = &s->translation;
    return NULL;
}
