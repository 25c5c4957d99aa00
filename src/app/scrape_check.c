/* clew scrape check: what of a prometheus.yml would be scraped, and what not, with the lines. */
#include "app/command.h"
#include "base/text.h"
#include "ingest/scrape/scrape.h"

static void put_json(struct buf *out, const struct scrape_config *c, const struct scrape_finding *v, size_t n) {
    struct json_writer w;
    json_writer_init(&w, out);
    json_object(&w);
    json_member(&w, "jobs", u64, scrape_config_jobs(c));
    json_key(&w, STR("findings"));
    json_array(&w);
    for (size_t i = 0; i < n; i++) {
        json_object(&w);
        json_member(&w, "line", i64, v[i].line);
        json_member(&w, "fault", bool, v[i].is_fault);
        json_member(&w, "text", str, v[i].text);
        json_object_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    buf_add_byte(out, '\n');
}

static void put_text(struct buf *out, const struct scrape_config *c, const struct scrape_finding *v, size_t n) {
    for (size_t i = 0; i < n; i++) {
        put_terminal(out, v[i].text);
        buf_add_text(out, v[i].is_fault ? "; the job is not run\n" : "\n");
    }
    size_t jobs = scrape_config_jobs(c);
    buf_add_fmt(out, "%zu job%s can be scraped\n", jobs, jobs == 1 ? "" : "s");
}

err command_scrape_check(const struct arguments *a) {
    AUTO_FREE char *path = str_dup(a->positions[0]);
    AUTO_BUF struct buf out;
    struct scrape_config *c;
    const struct scrape_finding *v;
    size_t faults = 0;
    buf_init(&out, 64 * MIB);
    TRY(scrape_config_read(path, &c));
    size_t n = scrape_config_findings(c, &v);
    for (size_t i = 0; i < n; i++) faults += v[i].is_fault;
    (argument_flag(a, OPTION_JSON) ? put_json : put_text)(&out, c, v, n);
    scrape_config_unref(c);
    command_print(&out);
    return faults ? err_new(ERR_INVALID, "%s: %zu fault%s", path, faults, faults == 1 ? "" : "s") : NULL;
}
