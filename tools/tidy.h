/* tidy: what STYLE asks of this tree, held by a program. `./dev test tidy` runs it.
 *
 *   tree     every file, its text, and for C its code: the text with comments and the insides of strings made blank
 *   rule     looks at the tree and says `file:line: rule: what to do` for each place that breaks it
 *   allow    tools/tidy.allow, the only exceptions: `rule path[:function] number`, and the number is exact, so that it
 *            can only go down: what has become shorter is a stale entry, and that is a finding too
 *
 * A tree can be made of strings (tree_add), which is how each rule is tested. Owner: tree_done frees what was added.
 */
#pragma once

#include "base/base.h"
#include "base/vec.h"

struct function {
    struct str name;
    size_t first_line, lines;
};

struct file {
    char *path;                    /* from the root, with / */
    char *module;                  /* of src/<module>/…, else "" */
    struct str text;               /* empty for files that are only known to exist */
    char *code;                    /* of C: as long as text */
    bool is_c, is_header, is_test; /* test: *_test.c, *_fuzz.c, *_bench.c, their fixtures, all outside src */
    VEC(struct function) functions;
};

struct tree {
    VEC(struct file) files;
};

/* Adds a file; text is copied. Of text.p NULL only the path is known. */
void tree_add(struct tree *t, const char *path, struct str text);
/* Adds what stands under `root`: sources, tests, tools and pages; not builds, node modules and hidden folders. False: unreadable. */
bool tree_read(struct tree *t, const char *root);
void tree_done(struct tree *t);
struct file *tree_find(const struct tree *t, const char *path); /* NULL: no such file */

/* Walks the lines of a file: `struct str line, rest = f->text; while (next_line(&rest, &line)) …` */
bool next_line(struct str *rest, struct str *line);
size_t line_of(const struct file *f, size_t offset); /* from 1 */
/* The path of `#include "…"`, if the line is one. */
bool include_of(struct str line, struct str *out_path);
/* The file an include names: from src/, else beside the file that includes it. NULL: none of ours. */
struct file *tree_include(const struct tree *t, const struct file *from, struct str path);
struct str path_base(const char *path); /* after the last / */
bool path_is_under(const char *path, const char *folder);

struct report {
    struct buf out;      /* the findings, one a line */
    size_t held, broken; /* rules */
};

void tidy_check(struct tree *t, struct report *r);
/* The table of STYLE for this tree. */
void tidy_table(const struct tree *t, struct buf *out);
