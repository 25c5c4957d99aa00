/* Any text as a prometheus.yml: read or refused; its jobs make pools, and their rules go over labels of any kind. As a list of targets, too. */
#include "base/yaml.h"
#include "ingest/scrape/scrape_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_set(const struct relabel_set *s) {
    for (size_t i = 0; i < s->list.n; i++) {
        assert(s->list.v[i].value.n > 0);
        assert(i == 0 || str_compare(s->list.v[i - 1].name, s->list.v[i].name) < 0);
    }
}

static void relabel(const struct relabel *rules, struct str text) {
    AUTO_ARENA struct arena a;
    struct relabel_set s;
    arena_init(&a, 16 * MIB);
    relabel_set_init(&s, &a);
    for (size_t i = 0; i + 8 <= text.n && i < 400; i += 8)
        label_put(&s, (struct str){text.p + i, 1 + (size_t)(text.p[i] & 3)},
                  (struct str){text.p + i + 4, (size_t)(text.p[i + 1] & 3)});
    relabel_apply(rules, &s);
    check_set(&s);
    relabel_set_done(&s);
}

static void make_pool(struct scrape_config *c, const struct scrape_job *job) {
    AUTO_ARENA struct arena scratch;
    struct pool *p = pool_new(c, job);
    arena_init(&scratch, 16 * MIB);
    for (uint32_t d = 0; d < job->discovery_n; d++)
        for (uint32_t g = 0; g < job->discoveries[d].fixed.n && g < 16; g++) {
            const struct target_group *group = &job->discoveries[d].fixed.v[g];
            for (uint32_t t = 0; t < group->target_n && t < 16; t++) {
                err_free(pool_add(p, group->labels, group->label_n, group->targets[t], &scratch));
                arena_clear(&scratch);
            }
        }
    pool_finish(p);
    pool_free(p, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_ARENA struct arena a;
    struct str text = str_span(data, size);
    struct scrape_config *c;
    struct yaml *root;
    struct target_groups groups;
    err e = scrape_config_parse(text, "dir/p.yml", &c);
    for (uint32_t i = 0; !e && i < c->job_n; i++) {
        relabel(&c->jobs[i].targets, text);
        relabel(&c->jobs[i].metrics, text);
        make_pool(c, &c->jobs[i]);
    }
    if (!e) scrape_config_unref(c);
    err_free(e);
    arena_init(&a, 64 * MIB);
    e = yaml_read(text, "list.yml", &a, &root);
    if (!e) e = target_groups_read(root, &a, &groups);
    err_free(e);
    e = yaml_read_json(text, "list.json", &a, &root);
    if (!e) e = target_groups_read(root, &a, &groups);
    err_free(e);
    return 0;
}
