/* tidy [--table] [ROOT]: checks the tree under ROOT, or prints the table of its measures. Status 1: a rule is broken. */
#include <stdio.h>

#include "tidy.h"

int main(int argc, char **argv) {
    bool table = argc > 1 && strcmp(argv[1], "--table") == 0;
    const char *root = argc > 1 + table ? argv[1 + table] : ".";
    struct tree t = {0};
    struct report r = {.out = {.max = 16 * MIB}};
    if (!tree_read(&t, root)) return 2;
    if (table)
        tidy_table(&t, &r.out);
    else
        tidy_check(&t, &r);
    if (r.out.n) fwrite(r.out.p, 1, r.out.n, stdout);
    if (!table) printf("%zu passed, %zu failed\n", r.held, r.broken);
    buf_done(&r.out);
    tree_done(&t);
    return r.broken ? 1 : 0;
}
