/* Any text is a template or an error; a template becomes text, within its limits, or an error. The first byte says what else it is: a file of rules. */
#include "alert/rules.h"

static err answer(void *context, struct str text, struct arena *a, struct template_sample **out, size_t *out_n) {
    static const struct label own[] = {{STR("a"), STR("b")}};
    (void)context, (void)text;
    *out = arena_array(a, struct template_sample, 2);
    if (!*out) return arena_err(a);
    (*out)[0] = (*out)[1] = (struct template_sample){{own, 1}, 1.5};
    *out_n = 2;
    return NULL;
}

static void run_template(struct str text) {
    static const struct label own[] = {{STR("instance"), STR("web-1:9100")}, {STR("job"), STR("node")}};
    struct template_data data = {.labels = {own, 2}, .external_url = STR("http://x/y"), .value = 0.25, .query = answer};
    struct template *t;
    struct arena a;
    struct buf out;
    arena_init(&a, 16 * MIB);
    buf_init(&out, 4 * (size_t)TEMPLATE_OUT_MAX);
    err e = template_parse(&a, STR("fuzz"), text, &t);
    if (!e) (void)template_expand(t, &data, &a, &out);
    err_free(e);
    buf_done(&out);
    arena_done(&a);
}

static void read_file(struct str text) {
    struct rule_file file;
    struct arena a;
    struct buf problems, doubles;
    arena_init(&a, 64 * MIB);
    buf_init(&problems, MIB);
    buf_init(&doubles, MIB);
    err e = rules_read(text, "fuzz", &a, &file, &problems);
    if (!e && !problems.n) (void)rules_duplicates(&file, &doubles);
    err_free(e);
    buf_done(&doubles);
    buf_done(&problems);
    arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0 || size > 16384) return 0;
    struct str text = str_span(data + 1, size - 1);
    if (data[0] == 'r')
        read_file(text);
    else
        run_template(text);
    return 0;
}
