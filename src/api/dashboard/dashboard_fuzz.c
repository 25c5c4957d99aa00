/* Anything as a dashboard of Grafana: what is taken is a document that is taken again, and that Grafana's JSON can be made of. */
#include <stdlib.h>

#include "api/dashboard/dashboard_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_FREE char *text = mem_new(size + 1); /* of its very size, so that reading beyond it is seen */
    AUTO_ARENA struct arena a;
    AUTO_BUF struct buf document = {0}, out;
    struct dashboard_notes notes;
    struct str title = {0};
    if (size) memcpy(text, data, size);
    arena_init(&a, DASHBOARD_MEMORY);
    buf_init(&out, 64 * MIB);
    err e = dashboard_import((struct str){text, size}, STR(""), &a, &document, &notes);
    if (!e) {
        e = dashboard_check(buf_str(&document), NULL, &a, &title);
        if (e && err_kind(e) != ERR_LIMIT) abort();
        if (!e && !title.p) abort();
        if (!e) e = dashboard_export(buf_str(&document), STR("u"), &a, &out);
        const struct parsed *root;
        if (!e && (e = parsed_read(&a, buf_str(&out), &root)) && err_kind(e) != ERR_LIMIT) abort();
    }
    err_free(e);
    return 0;
}
