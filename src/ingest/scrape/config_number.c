/* Sizes of a prometheus.yml, as alecthomas/units (bytes.go) reads them for Prometheus. */
#include "base/text.h"
#include "base/yaml.h"
#include "ingest/scrape/config_priv.h"

enum { SIZE_BYTES_MAX = 64 };

/* B, KB, KiB, …: all are powers of 1024. What of the text is not of it stays in *rest. */
static bool read_unit(struct str *rest, double *out) {
    static const char units[] = "KMGTPE";
    size_t n = 0;
    *out = 1;
    const char *unit = rest->n ? memchr(units, rest->p[0], LENGTH(units) - 1) : NULL;
    if (unit) {
        for (const char *u = units; u <= unit; u++) *out *= 1024;
        n++;
        n += n < rest->n && rest->p[n] == 'i';
    }
    if (n >= rest->n || rest->p[n] != 'B') return false;
    *rest = (struct str){rest->p + n + 1, rest->n - n - 1};
    return true;
}

/* 1.5MB, 1GB512MB. */
static bool read_sizes(struct str text, double *out) {
    double sum = 0, v, unit;
    while (text.n) {
        size_t n = 0;
        while (n < text.n && ((text.p[n] >= '0' && text.p[n] <= '9') || text.p[n] == '.')) n++;
        err e = parse_f64((struct str){text.p, n}, &v);
        bool good = !e;
        err_free(e);
        text = (struct str){text.p + n, text.n - n};
        if (!good || !read_unit(&text, &unit)) return false;
        sum += v * unit;
    }
    *out = sum;
    return sum < 0x1p63;
}

err scrape_size(const struct yaml *y, uint64_t *out) {
    struct str text = {0};
    double v = 0;
    if (yaml_is_null(y)) return NULL;
    TRY(yaml_text(y, &text));
    bool none = str_equal(text, STR("0"));
    if (!none && !str_ends_with(text, STR("B")))
        return yaml_err(y, "body_size_limit: missing unit in \"" STR_FMT "\"", STR_ARG(text));
    if (!none && (text.n >= SIZE_BYTES_MAX || !read_sizes(text, &v)))
        return yaml_err(y, "body_size_limit: \"" STR_FMT "\" is no size", STR_ARG(text));
    *out = (uint64_t)v;
    return NULL;
}
