#include "ingest/forward/config.h"

#include "base/text.h"
#include "base/yaml.h"
#include "ingest/correlate/correlate.h"
#include "signal/otlp.h"

#define SECOND ((int64_t)1000000000)
enum { CONFIG_ARENA_MAX = 64 << 20, KEY_MAX = 256, VALUE_MAX = 4096 };

void forward_config_default(struct forward_config *out) {
    *out = (struct forward_config){.batch_items = 8192, .batch_bytes = 4 * MIB, .batch_delay_ns = SECOND / 5};
    out->sampling = (struct forward_sampling){
        .wait_ns = 10 * SECOND, .traces_max = 50000, .bytes_max = 256 * MIB, .keep_errors = true, .rate = 1};
}

void forward_config_done(struct forward_config *c) {
    if (c->arena) {
        arena_done(c->arena);
        mem_free(c->arena);
    }
    correlate_rules_free(c->correlate);
    c->correlate = NULL;
    c->arena = NULL;
}

static err read_size(const struct yaml *y, uint64_t least, uint64_t most, uint64_t *out) {
    struct str text = STR("");
    uint64_t v = 0;
    TRY(yaml_text(y, &text));
    if (yaml_is_null(y)) return NULL;
    err e = parse_size(text, &v);
    err_free(e);
    if (e || v < least || v > most)
        return yaml_err(y, "a size from %llu to %llu bytes, as 4MiB", (unsigned long long)least,
                        (unsigned long long)most);
    *out = v;
    return NULL;
}

static err read_count(const struct yaml *y, uint64_t most, uint64_t *out) {
    uint64_t v = *out;
    TRY(yaml_u64(y, &v));
    if (v < 1 || v > most) return yaml_err(y, "a number from 1 to %llu", (unsigned long long)most);
    *out = v;
    return NULL;
}

static err read_rate(const struct yaml *y, double *out) {
    struct str text = STR("");
    double v = *out;
    TRY(yaml_text(y, &text));
    if (yaml_is_null(y)) return NULL;
    err e = parse_f64(text, &v);
    err_free(e);
    if (e || !(v >= 0 && v <= 1)) return yaml_err(y, "a share from 0 to 1, as 0.1");
    *out = v;
    return NULL;
}

/* ---- resource ---------------------------------------------------------------------------------------------------- */

/* The text of a scalar as an AnyValue: true and false are booleans, whole numbers integers, all else and what is in quotes a string. */
static err read_value(const struct yaml *y, struct arena *a, struct str *out) {
    struct str text = STR("");
    int64_t number;
    AUTO_BUF struct buf any;
    buf_init(&any, VALUE_MAX + 16);
    TRY(yaml_text(y, &text));
    if (text.n > VALUE_MAX) return yaml_err(y, "a value of over %d bytes", VALUE_MAX);
    bool yes = str_equal(text, STR("true")), no = str_equal(text, STR("false"));
    err e = y->quoted || yes || no ? NULL : parse_i64(text, &number);
    bool whole = !e && !y->quoted && !yes && !no;
    err_free(e);
    if ((yes || no) && !y->quoted)
        buf_add(&any, yes ? "\x10\x01" : "\x10\x00", 2);
    else if (whole)
        otlp_put_any_int(&any, number);
    else
        otlp_put_any_string(&any, text);
    *out = arena_copy(a, buf_str(&any));
    return arena_err(a);
}

static err read_edit(const struct yaml *y, struct arena *a, struct otlp_edit *out) {
    static const char *const names[] = {"action", "key", "value", NULL};
    static const struct str actions[] = {
        [OTLP_INSERT] = STR("insert"), [OTLP_UPSERT] = STR("upsert"), [OTLP_DELETE] = STR("delete")};
    struct str action = STR(""), key = STR("");
    size_t i = 0;
    TRY(yaml_only(y, names));
    TRY(yaml_text(yaml_get(y, "action"), &action));
    TRY(yaml_text(yaml_get(y, "key"), &key));
    while (i < LENGTH(actions) && !str_equal(actions[i], action)) i++;
    if (i == LENGTH(actions)) return yaml_err(y, "`action` is insert, upsert or delete");
    if (!key.n || key.n > KEY_MAX) return yaml_err(y, "`key` names a resource attribute, of at most %d bytes", KEY_MAX);
    const struct yaml *value = yaml_get(y, "value");
    if ((i == OTLP_DELETE) != (value == NULL))
        return yaml_err(y, i == OTLP_DELETE ? "delete takes no `value`" : "`value` is missing");
    *out = (struct otlp_edit){.action = (enum otlp_edit_action)i, .key = key};
    return value ? read_value(value, a, &out->value) : NULL;
}

static err read_edits(const struct yaml *y, struct forward_config *out) {
    if (yaml_is_null(y)) return NULL;
    if (y->kind != YAML_LIST) return yaml_err(y, "`resource` is a list of edits");
    if (y->n > FORWARD_EDITS_MAX) return yaml_err(y, "more than %d edits", FORWARD_EDITS_MAX);
    for (uint32_t i = 0; i < y->n; i++) TRY(read_edit(y->items[i], out->arena, &out->edits[i]));
    out->edit_count = y->n;
    return NULL;
}

/* ---- the rest ---------------------------------------------------------------------------------------------------- */

static err read_batch(const struct yaml *y, struct forward_config *out) {
    static const char *const names[] = {"items", "bytes", "delay", NULL};
    if (yaml_is_null(y)) return NULL;
    TRY(yaml_only(y, names));
    TRY(read_count(yaml_get(y, "items"), 1 << 20, &out->batch_items));
    TRY(read_size(yaml_get(y, "bytes"), KIB, 32 * MIB, &out->batch_bytes));
    TRY(yaml_duration(yaml_get(y, "delay"), &out->batch_delay_ns));
    return out->batch_delay_ns > 600 * SECOND ? yaml_err(y, "`delay` is at most 10m") : NULL;
}

/* On where it is there. Only what arrived is written, unless `derive` says more: its default is not that of queries. */
static err read_correlation(const struct yaml *y, struct forward_config *out) {
    bool enabled = true;
    if (yaml_is_null(y)) return NULL;
    TRY(correlate_rules_of(y, &out->correlate));
    TRY(yaml_bool(yaml_get(y, "derive"), &out->derive));
    TRY(yaml_bool(yaml_get(y, "enabled"), &enabled));
    if (enabled) return NULL;
    correlate_rules_free(out->correlate);
    out->correlate = NULL;
    return NULL;
}

static err read_services(const struct yaml *y, struct forward_sampling *out) {
    if (yaml_is_null(y)) return NULL;
    if (y->kind != YAML_MAP) return yaml_err(y, "`services` is a map of names and shares, as {checkout: 1.0}");
    if (y->n > FORWARD_SERVICES_MAX) return yaml_err(y, "more than %d services", FORWARD_SERVICES_MAX);
    for (uint32_t i = 0; i < y->n; i++) {
        struct forward_service *s = &out->services[out->service_count++];
        TRY(yaml_text(y->keys[i], &s->name));
        TRY(read_rate(y->items[i], &s->rate));
    }
    return NULL;
}

static err read_sampling(const struct yaml *y, struct forward_sampling *out) {
    static const char *const names[] = {"wait", "traces_max", "memory", "keep_errors", "keep_slower_than",
                                        "rate", "services",   NULL};
    if (yaml_is_null(y)) return NULL;
    TRY(yaml_only(y, names));
    TRY(yaml_duration(yaml_get(y, "wait"), &out->wait_ns));
    TRY(read_count(yaml_get(y, "traces_max"), 10000000, &out->traces_max));
    TRY(read_size(yaml_get(y, "memory"), MIB, (uint64_t)64 << 30, &out->bytes_max));
    TRY(yaml_bool(yaml_get(y, "keep_errors"), &out->keep_errors));
    TRY(yaml_duration(yaml_get(y, "keep_slower_than"), &out->slow_ns));
    TRY(read_rate(yaml_get(y, "rate"), &out->rate));
    out->on = true;
    return read_services(yaml_get(y, "services"), out);
}

err forward_config_parse(struct str text, const char *name, struct forward_config *out) {
    static const char *const names[] = {"resource", "correlation", "batch", "tail_sampling", NULL};
    struct yaml *root;
    forward_config_default(out);
    out->arena = mem_new_of(struct arena);
    arena_init(out->arena, CONFIG_ARENA_MAX);
    TRY(yaml_read(text, name, out->arena, &root));
    TRY(yaml_only(root, names));
    TRY(read_edits(yaml_get(root, "resource"), out));
    TRY(read_batch(yaml_get(root, "batch"), out));
    TRY(read_correlation(yaml_get(root, "correlation"), out));
    return read_sampling(yaml_get(root, "tail_sampling"), &out->sampling);
}
