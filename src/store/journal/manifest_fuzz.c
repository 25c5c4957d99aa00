/* Any bytes as a manifest file and as an edit: refused or read, never a crash; what is read can be written and read again. */
#include <stdlib.h>

#include "store/engine/delete_priv.h"
#include "store/journal/manifest_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static err apply(void *context, uint64_t offset, struct str edit) {
    (void)offset;
    return manifest_state_apply(context, edit);
}

static void must_round_trip(const struct manifest_state *s) {
    AUTO_BUF struct buf edit, again_edit;
    struct manifest_state again;
    buf_init(&edit, 16 * MIB);
    buf_init(&again_edit, 16 * MIB);
    manifest_state_init(&again);
    manifest_state_write(s, &edit);
    err e = manifest_state_apply(&again, buf_str(&edit));
    if (e) abort();
    manifest_state_write(&again, &again_edit);
    if (!str_equal(buf_str(&edit), buf_str(&again_edit))) abort();
    manifest_state_done(&again);
}

/* Deletes of a manifest are compiled when it is opened. */
static void compile_each_delete(const struct manifest_state *s) {
    for (size_t i = 0; i < s->deletes.n && i < 16; i++) {
        struct delete_entry *entry = NULL;
        err_free(delete_entry_make(&s->deletes.v[i], &entry));
        delete_entry_unref(entry);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str bytes = {(const char *)data, size};
    AUTO_BUF struct buf text;
    struct manifest_reading reading;
    struct manifest_state s;
    buf_init(&text, MIB);
    manifest_state_init(&s);
    err e = manifest_read(bytes, "fuzz", apply, &s, &text, &reading);
    if (!e) must_round_trip(&s);
    err_free(e);
    manifest_state_done(&s);
    manifest_state_init(&s);
    e = manifest_state_apply(&s, bytes); /* as the operations of an edit whose check is right */
    if (!e) must_round_trip(&s);
    compile_each_delete(&s);
    err_free(e);
    edit_dump(bytes, &text);
    for (size_t i = 0; i < s.deletes.n; i++) delete_request_dump(s.deletes.v[i].request, &text);
    manifest_state_done(&s);
    return 0;
}
