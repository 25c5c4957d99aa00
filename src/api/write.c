/* Metrics in the ways of Prometheus: remote write 1.0 and 2.0 (specifications 1.0 and 2.0, and what Prometheus' own receiver does where they
 * leave things open), and text as it is scraped, imported. */
#include "api/take_priv.h"

#include <stdio.h>

#include "base/text.h"

enum { MESSAGE_BYTES_MAX = 4 * 1024 };

/* ---- remote write ----------------------------------------------------------------------------------------------- */

/* Samples, histograms, exemplars: what 2.0 wants to know of each answer. */
struct written {
    struct http_field fields[4];
    char numbers[3][24];
    size_t n;
};

static void put_written(struct written *w, const struct ingest_outcome *o) {
    static const struct str names[] = {STR("X-Prometheus-Remote-Write-Samples-Written"),
                                       STR("X-Prometheus-Remote-Write-Histograms-Written"),
                                       STR("X-Prometheus-Remote-Write-Exemplars-Written")};
    const uint64_t counts[] = {o ? o->samples : 0, o ? o->histograms : 0, o ? o->exemplars : 0};
    for (size_t i = 0; i < LENGTH(names); i++) {
        snprintf(w->numbers[i], sizeof w->numbers[i], "%llu", (unsigned long long)counts[i]);
        w->fields[w->n++] = (struct http_field){names[i], str_of(w->numbers[i])};
    }
}

/* Senders write the first line of a refusal into their log: plain text, as Prometheus answers. */
static void refuse_write(struct api_call *c, int status, struct str message, struct written *w) {
    char seconds[16];
    struct buf body;
    if (status == 429 || status == 503) {
        snprintf(seconds, sizeof seconds, "%u", call_retry_s(c, status));
        w->fields[w->n++] = (struct http_field){STR("Retry-After"), str_of(seconds)};
    }
    buf_init(&body, MESSAGE_BYTES_MAX);
    put_utf8_clean(&body, message);
    buf_add_byte(&body, '\n');
    call_reply(c, &(struct api_reply){.status = status,
                                      .content_type = STR("text/plain; charset=utf-8"),
                                      .body = buf_str(&body),
                                      .fields = w->fields,
                                      .field_count = w->n});
    buf_done(&body);
}

/* What is refused is refused for good (400: no retry) and what was good is kept; only what ended in an error may be sent again. */
static void write_answer(struct api_call *c, err e, const struct ingest_outcome *outcome) {
    struct written w = {.n = 0};
    if (call_taken(c)->format == INGEST_WRITE_2) put_written(&w, outcome);
    if (e)
        refuse_write(c, err_row(e)->http, str_of(err_text(e)), &w);
    else if (outcome->rejected)
        refuse_write(c, 400, str_of(outcome->message), &w);
    else
        call_reply(c, &(struct api_reply){.status = 204, .fields = w.fields, .field_count = w.n});
    err_free(e);
}

/* By Content-Type; old senders may say none. False: another one. */
static bool read_version(struct str type, enum ingest_format *out) {
    struct str proto = media_parameter(type, STR("proto"));
    *out = INGEST_WRITE_1;
    if (str_trim(type).n == 0) return true;
    if (!media_type_is(type, STR("application/x-protobuf"))) return false;
    if (!proto.p || str_equal(proto, STR("prometheus.WriteRequest"))) return true;
    *out = INGEST_WRITE_2;
    return str_equal(proto, STR("io.prometheus.write.v2.Request"));
}

void handle_write(struct api_call *c) {
    struct ingest_request request = {.kind = INGEST_METRICS, .encoding = STR("snappy")};
    struct str encoding = str_trim(c->request.content_encoding);
    struct written none = {.n = 0};
    if (!read_version(c->request.content_type, &request.format))
        refuse_write(
            c, 415,
            STR("this Content-Type is not taken: send application/x-protobuf, with proto=prometheus.WriteRequest "
                "or proto=io.prometheus.write.v2.Request"),
            &none);
    else if (encoding.n && !str_equal_nocase(encoding, STR("snappy")))
        refuse_write(c, 415, STR("this Content-Encoding is not taken: send snappy, of the block format"), &none);
    else
        call_take(c, &request, write_answer);
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

enum { LABELS_MAX = QUERY_WHERE_MAX + 2 };

static void import_answer(struct api_call *c, err e, const struct ingest_outcome *outcome) {
    struct buf body;
    struct json_writer w;
    if (e) {
        call_fail(c, e);
        return;
    }
    buf_init(&body, MESSAGE_BYTES_MAX);
    json_writer_init(&w, &body);
    json_object(&w);
    json_member(&w, "taken", u64, outcome->taken);
    json_member(&w, "rejected", u64, outcome->rejected);
    json_member(&w, "exemplars", u64, outcome->exemplars);
    if (outcome->message[0]) json_member(&w, "message", text, outcome->message);
    json_object_end(&w);
    call_answer_json(c, 200, &body);
    buf_done(&body);
}

/* curl says application/x-www-form-urlencoded where it is not told otherwise, and Pushgateway takes it. */
static bool read_format(struct str type, enum ingest_format *out) {
    struct str version = media_parameter(type, STR("version"));
    *out = INGEST_TEXT;
    if (str_trim(type).n == 0 || media_type_is(type, STR("application/x-www-form-urlencoded"))) return true;
    if (media_type_is(type, STR("text/plain")))
        return !version.p || str_equal(version, STR("0.0.4")) || str_equal(version, STR("1.0.0"));
    *out = INGEST_OPENMETRICS;
    return media_type_is(type, STR("application/openmetrics-text")) &&
           (!version.p || str_equal(version, STR("0.0.1")) || str_equal(version, STR("1.0.0")));
}

static err add_label(struct points_label *labels, uint32_t *n, struct str name, struct str value) {
    if (!name.n || str_equal(name, STR("__name__")))
        return err_new(ERR_INVALID, "label: as in label=env=prod; the name of the metric stays");
    if (!utf8_is_valid(name) || !utf8_is_valid(value)) return err_new(ERR_INVALID, "a label that is not UTF-8");
    for (uint32_t i = 0; i < *n; i++)
        if (str_equal(labels[i].name, name))
            return err_new(ERR_INVALID, "the label " STR_FMT " is given twice", STR_ARG(name));
    labels[(*n)++] = (struct points_label){name, value};
    return NULL;
}

static err read_labels(struct api_call *c, struct points_label *labels, uint32_t *n) {
    static const char *const named[] = {"job", "instance"};
    struct str name, value;
    for (size_t i = 0; i < LENGTH(named); i++)
        if (call_given(c, named[i])) TRY(add_label(labels, n, str_of(named[i]), call_text(c, named[i])));
    for (size_t i = 0; i < c->where_count; i++) {
        if (!str_cut(c->wheres[i], '=', &name, &value)) name = STR("");
        TRY(add_label(labels, n, name, value));
    }
    return NULL;
}

void handle_import(struct api_call *c) {
    struct ingest_request request = {.kind = INGEST_METRICS, .encoding = str_trim(c->request.content_encoding)};
    struct points_label *labels = arena_array(&c->arena, struct points_label, LABELS_MAX);
    struct str problem = STR("this Content-Type is not taken");
    bool typed = read_format(c->request.content_type, &request.format);
    if (!typed || !encoding_is_taken(request.encoding, &problem)) {
        call_fail_as(c, 415, 3, ERR_INVALID, problem,
                     typed ? STR("send gzip or zstd, or none")
                           : STR("send text/plain; version=0.0.4 or application/openmetrics-text; version=1.0.0"),
                     NULL);
        return;
    }
    err e = labels ? read_labels(c, labels, &request.label_count) : arena_err(&c->arena);
    request.labels = labels;
    if (e)
        call_fail(c, e);
    else
        call_take(c, &request, import_answer);
}
