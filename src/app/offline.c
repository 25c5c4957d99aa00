/* The sub-commands that work on files while no clew runs: check, dump, restore. */
#include <stdio.h>

#include "app/command.h"
#include "store/store.h"

err command_check(const struct arguments *a) {
    AUTO_FREE char *dir = str_dup(argument_text(a, OPTION_DATA));
    AUTO_BUF struct buf findings;
    uint64_t bad = 0;
    buf_init(&findings, 64 * MIB);
    TRY_WRAP(store_check(dir, &findings, &bad), "checking %s", dir);
    if (!argument_flag(a, OPTION_JSON)) {
        command_print(&findings);
        if (!bad) puts("clean: every block reads as it was written");
    } else {
        AUTO_BUF struct buf out;
        struct json_writer w;
        struct str rest = buf_str(&findings), line;
        buf_init(&out, 128 * MIB);
        json_writer_init(&w, &out);
        json_object(&w);
        json_member(&w, "bad", u64, bad);
        json_key(&w, STR("findings"));
        json_array(&w);
        while (rest.n) {
            str_cut(rest, '\n', &line, &rest);
            if (line.n) json_str(&w, line);
        }
        json_array_end(&w);
        json_object_end(&w);
        buf_add_byte(&out, '\n');
        command_print(&out);
    }
    if (bad)
        return err_new(ERR_CORRUPT, "%llu bad place%s; rows of bad blocks are skipped by queries, `clew restore` brings a backup back",
                       (unsigned long long)bad, bad == 1 ? "" : "s");
    return NULL;
}

err command_dump(const struct arguments *a) {
    AUTO_FREE char *path = str_dup(a->positions[0]);
    AUTO_BUF struct buf out;
    uint64_t rows;
    TRY(argument_u64(a, OPTION_ROWS, &rows));
    buf_init(&out, (size_t)1 << 30);
    err e = store_dump(path, rows, &out);
    command_print(&out); /* what could be read is shown also when the rest is broken */
    return err_wrap(e, "dumping %s", path);
}

err command_restore(const struct arguments *a) {
    AUTO_FREE char *from = str_dup(a->positions[0]), *to = str_dup(argument_text(a, OPTION_DATA));
    TRY_WRAP(store_restore(from, to), "restoring %s to %s", from, to);
    if (argument_flag(a, OPTION_JSON))
        printf("{\"restored\":true}\n");
    else
        printf("%s is now a data directory made from %s; start it with: clew serve --data %s\n", to, from, to);
    return NULL;
}
