#include "db/postgres_sql_priv.h"

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

static size_t quoted(const char *p) {
    const char *end = strchr(p + 1, *p);
    return end ? (size_t)(end - p) + 1 : strlen(p); /* a doubled quote is two quoted pieces */
}

err postgres_sql(const char *sql, bool defines, struct buf *out, size_t *out_places) {
    size_t places = 0, n;
    struct str before = {0}; /* the word before */
    for (const char *p = sql; *p; p += n) {
        n = 1;
        if (*p == '\'' || *p == '"') {
            n = quoted(p);
            buf_add(out, p, n);
        } else if (*p == '?') {
            buf_add_fmt(out, "$%zu", ++places);
        } else if (is_word(*p)) {
            for (n = 0; is_word(p[n]);) n++;
            struct str word = {p, n};
            buf_add(out, p, n);
            if (defines && str_equal(word, STR("TEXT")) && !str_equal(before, STR("AS")))
                buf_add_text(out, " COLLATE \"C\"");
            before = word;
        } else {
            buf_add_byte(out, *p);
        }
    }
    if (out->full) return err_new(ERR_LIMIT, "a statement of more than %zu bytes", out->max);
    *out_places = places;
    return NULL;
}
