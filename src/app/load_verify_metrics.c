/* Reading metrics back: the samples of sent scrapes are asked for by PromQL, an instance and a time at once, and compared bit by bit. */
#include <stdio.h>
#include <stdlib.h>

#include "app/load.h"
#include "base/map.h"
#include "base/text.h"

enum { ANSWER_MAX = 4 * 1024 * 1024, ANSWER_DEPTH = 16 };

struct verifying {
    const struct arguments *arguments;
    const struct load_plan *plan;
    struct law_metrics *metrics;
    struct strings keys; /* id: the number of the series */
    uint64_t every, at;
    struct load_verified *out;
};

/* One series of the answer: what it is called, and its value. */
struct answered {
    char labels[5][64]; /* __name__, method, route, code, le */
    double value;
    uint32_t samples;
};

static int label_number(struct str name) {
    static const struct str names[] = {STR("__name__"), STR("method"), STR("route"), STR("code"), STR("le")};
    for (int i = 0; i < (int)LENGTH(names); i++)
        if (str_equal(name, names[i])) return i;
    return -1;
}

/* Behind the key "metric": the object of labels. */
static bool read_labels(struct json_reader *r, struct answered *out) {
    if (json_next(r) != JSON_OBJECT) return false;
    for (enum json_token t; (t = json_next(r)) == JSON_KEY;) {
        int label = label_number(r->value);
        if (json_next(r) != JSON_STRING) return false;
        if (label >= 0) snprintf(out->labels[label], sizeof out->labels[label], STR_FMT, STR_ARG(r->value));
    }
    return true;
}

/* Behind the key "values": [[seconds, "value"]]. */
static bool read_values(struct json_reader *r, struct answered *out) {
    if (json_next(r) != JSON_ARRAY) return false;
    while (json_next(r) == JSON_ARRAY) {
        if (json_next(r) != JSON_NUMBER || json_next(r) != JSON_STRING) return false;
        err e = parse_f64(r->value, &out->value);
        bool good = !e;
        err_free(e);
        if (!good || json_next(r) != JSON_ARRAY_END) return false;
        out->samples++;
    }
    return true;
}

static void compare(struct verifying *v, const struct answered *got, uint32_t instance, uint64_t scrape,
                    bool seen[LAW_SERIES]) {
    char key[400];
    uint32_t series;
    snprintf(key, sizeof key, "%s,%s,%s,%s,%s", got->labels[0], got->labels[1], got->labels[2], got->labels[3],
             got->labels[4]);
    if (!strings_find(&v->keys, str_of(key), &series)) {
        v->out->invented += !str_equal(str_of(got->labels[0]), STR("target_info"));
        return;
    }
    double want = law_metrics_value(v->metrics, instance, series, scrape);
    v->out->invented += seen[series] ? got->samples : got->samples - 1;
    v->out->different += memcmp(&want, &got->value, sizeof want) != 0;
    seen[series] = true;
}

static err read_answer(struct verifying *v, struct str text, uint32_t instance, uint64_t scrape) {
    struct json_reader r;
    struct answered got = {0};
    bool seen[LAW_SERIES] = {0}, good = true;
    json_reader_init(&r, text, ANSWER_DEPTH);
    for (enum json_token t; good && (t = json_next(&r)) != JSON_END;) {
        if (t == JSON_ERROR) good = false;
        if (t != JSON_KEY) continue;
        if (str_equal(r.value, STR("metric"))) {
            got = (struct answered){0};
            good = read_labels(&r, &got);
        } else if (str_equal(r.value, STR("values"))) {
            good = read_values(&r, &got);
            if (good && got.samples) compare(v, &got, instance, scrape, seen);
        }
    }
    json_reader_done(&r);
    if (!good) return err_new(ERR_INVALID, "an answer that is not Prometheus's");
    for (int i = 0; i < LAW_SERIES; i++) v->out->missing += !seen[i];
    v->out->rows += LAW_SERIES;
    return NULL;
}

/* All samples of an instance within the millisecond of its scrape. */
static err verify_instance_wait(struct verifying *v, const struct law_scrape *s, uint32_t instance) {
    AUTO_BUF struct buf path, answer = {0};
    int64_t time_ms = law_metrics_time(v->metrics, s, instance) / 1000000;
    buf_init(&path, 512);
    buf_add_text(&path, "/prometheus/api/v1/query?query=%7Binstance%3D%22");
    law_metrics_put_instance(instance, &path);
    buf_add_fmt(&path, "%%22%%7D%%5B1ms%%5D&time=%lld.%03lld", (long long)(time_ms / 1000),
                (long long)(time_ms % 1000));
    buf_add_byte(&path, 0);
    TRY(command_ask_wait(v->arguments, "GET", path.p, (struct str){0}, &answer));
    v->out->asked++;
    return read_answer(v, buf_str(&answer), instance, s->scrape);
}

static int by_number(const void *a, const void *b) {
    uint64_t x = ((const struct load_sent *)a)->shape.number, y = ((const struct load_sent *)b)->shape.number;
    return (x > y) - (x < y);
}

static err verify_all_wait(struct verifying *v, const struct load_totals *totals, atomic_bool *stop) {
    for (size_t i = 0; i < totals->sent.n; i++) {
        if (atomic_load(stop)) return err_new(ERR_CANCELLED, "interrupted at request %zu of %zu", i, totals->sent.n);
        command_progress("verifying: %.0f %%", 100.0 * (double)i / (double)totals->sent.n);
        struct law_scrape s = load_scrape_of(v->plan, &totals->sent.v[i].shape);
        for (uint32_t j = s.first; j < s.first + s.n; j++)
            if (v->at++ % v->every == 0) TRY(verify_instance_wait(v, &s, j));
    }
    return NULL;
}

err load_verify_metrics_wait(const struct arguments *a, const struct load_plan *plan, struct load_totals *totals,
                             uint64_t asks_max, atomic_bool *stop, struct load_verified *out) {
    struct verifying v = {.arguments = a, .plan = plan, .metrics = load_metrics_maker(plan), .out = out};
    AUTO_BUF struct buf key;
    buf_init(&key, 512);
    strings_init(&v.keys);
    for (uint32_t i = 0; i < LAW_SERIES; i++) {
        buf_clear(&key);
        law_metrics_put_key(i, plan->profile, &key);
        strings_intern(&v.keys, buf_str(&key));
    }
    if (totals->sent.n)
        qsort(totals->sent.v, totals->sent.n, sizeof *totals->sent.v, by_number); /* values go forward */
    v.every = MAX(1, (totals->sent.n * load_instances_of(plan) + asks_max - 1) / asks_max);
    err e = verify_all_wait(&v, totals, stop);
    command_progress_end();
    strings_done(&v.keys);
    law_metrics_free(v.metrics);
    return err_wrap(e, "verifying");
}
