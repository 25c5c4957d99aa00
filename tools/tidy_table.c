#include <stdlib.h>

#include "tidy.h"

/* One line of the table: everything under src that is the module, or all of it. */
struct counts {
    VEC(size_t) function_lines;
    size_t source_lines, test_lines, header_lines, comment_lines;
    VEC(size_t) headers; /* own headers each .c file drags in, through others too */
};

static int by_size(const void *a, const void *b) {
    size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return (x > y) - (x < y);
}

static size_t percentile(size_t *v, size_t n, size_t percent) {
    if (!n) return 0;
    qsort(v, n, sizeof *v, by_size);
    return v[MIN(n * percent / 100, n - 1)];
}

static size_t lines_of(const struct file *f) {
    size_t n = 0;
    for (size_t i = 0; i < f->text.n; i++) n += f->text.p[i] == '\n';
    return n;
}

/* Lines that are, or hold, a comment: code is blank where text is not, at the line's start or at the comment's. */
static size_t comment_lines_of(const struct file *f) {
    size_t n = 0;
    struct str rest = f->text, line;
    while (next_line(&rest, &line)) {
        const char *code = f->code + (line.p - f->text.p);
        bool started = false, comment = false;
        for (size_t i = 0; i < line.n && !comment; i++) {
            if (line.p[i] == ' ') continue;
            comment = code[i] == ' ' && (!started || line.p[i] == '/');
            started = true;
        }
        n += comment;
    }
    return n;
}

static size_t drags_in(const struct tree *t, const struct file *f, bool *seen) {
    size_t n = 0;
    struct str rest = f->text, line, path;
    while (next_line(&rest, &line)) {
        struct file *header = include_of(line, &path) ? tree_include(t, f, path) : NULL;
        if (!header || seen[header - t->files.v]) continue;
        seen[header - t->files.v] = true;
        n += 1 + drags_in(t, header, seen);
    }
    return n;
}

static void count(const struct tree *t, const struct file *f, struct counts *c) {
    if (f->is_test) {
        c->test_lines += lines_of(f);
        return;
    }
    c->source_lines += lines_of(f);
    for (size_t i = 0; i < f->functions.n; i++) *vec_push(&c->function_lines) = f->functions.v[i].lines;
    if (f->is_header) {
        c->header_lines += lines_of(f);
        c->comment_lines += comment_lines_of(f);
        return;
    }
    bool *seen = mem_new_array(bool, t->files.n);
    *vec_push(&c->headers) = drags_in(t, f, seen);
    mem_free(seen);
}

static void put_row(struct buf *out, const char *name, struct counts *c) {
    size_t n = c->function_lines.n, longer = 0;
    for (size_t i = 0; i < n; i++) longer += c->function_lines.v[i] > 70;
    buf_add_fmt(out, "%-13s %6zu %6zu  %5zu / %-4zu %8.1f %% %9zu %10.0f %% %11.2f\n", name, c->source_lines, n,
                percentile(c->function_lines.v, n, 50), percentile(c->function_lines.v, n, 95),
                n ? 100.0 * (double)longer / (double)n : 0, percentile(c->headers.v, c->headers.n, 50),
                c->header_lines ? 100.0 * (double)c->comment_lines / (double)c->header_lines : 0,
                c->source_lines ? (double)c->test_lines / (double)c->source_lines : 0);
}

/* A module or a room of one: everything in src/NAME. */
static bool is_in(const struct file *f, const char *name) {
    return path_is_under(f->path, "src") && path_is_under(f->path + strlen("src/"), name);
}

static void put_module(const struct tree *t, const char *module, const char *name, struct buf *out) {
    struct counts c = {0};
    for (size_t i = 0; i < t->files.n; i++) {
        const struct file *f = &t->files.v[i];
        bool counted = module ? is_in(f, module) : path_is_under(f->path, "src") || path_is_under(f->path, "tests");
        if (f->is_c && counted) count(t, f, &c);
    }
    put_row(out, name, &c);
    vec_done(&c.function_lines);
    vec_done(&c.headers);
}

void tidy_table(const struct tree *t, struct buf *out) {
    buf_add_text(out,
                 "              source        lines of a        over      own headers  lines with    test lines\n"
                 "module         lines  funcs  function p50/p95  70 lines  of a .c p50  comment, .h  a source line\n");
    const struct file *floors = tree_find(t, "src/FLOORS");
    struct str rest = floors ? floors->text : (struct str){0}, line, name, tail;
    while (next_line(&rest, &line)) {
        str_cut(line, ' ', &name, &tail);
        if (!name.n || name.p[0] == '#') continue;
        AUTO_FREE char *module = str_dup(name);
        put_module(t, module, module, out);
    }
    put_module(t, NULL, "all", out);
    buf_add_text(out, "asked                           ≤ 12 / 60        ≤ 3 %      ≤ 12         ≥ 35 %       ≥ 1\n");
}
