/* Turns files into one C source, for texts and pages that the program carries: `embed OUT NAME=FILE…` defines
 * `const char NAME[]`, ended by a zero that is not counted, and `const size_t NAME_n`. Runs at build time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void put_file(FILE *out, const char *name, size_t name_n, const char *path) {
    FILE *in = fopen(path, "rb");
    if (!in) fail(path);
    fprintf(out, "const char %.*s[] = {", (int)name_n, name);
    size_t n = 0;
    for (int c; (c = getc(in)) != EOF; n++) fprintf(out, "%s%d,", n % 32 ? "" : "\n", (signed char)c);
    if (ferror(in)) fail(path);
    fclose(in);
    fprintf(out, "0};\nconst size_t %.*s_n = %zu;\n", (int)name_n, name, n);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fputs("usage: embed OUT NAME=FILE...\n", stderr);
        return 2;
    }
    FILE *out = fopen(argv[1], "wb");
    if (!out) fail(argv[1]);
    fputs("#include <stddef.h>\n", out);
    for (int i = 2; i < argc; i++) { /* declared first, as -Wmissing-declarations wants it */
        int name_n = (int)strcspn(argv[i], "=");
        fprintf(out, "extern const char %.*s[];\nextern const size_t %.*s_n;\n", name_n, argv[i], name_n, argv[i]);
    }
    for (int i = 2; i < argc; i++) {
        size_t name_n = strcspn(argv[i], "=");
        if (!argv[i][name_n]) {
            fprintf(stderr, "embed: %s: NAME=FILE is wanted\n", argv[i]);
            return 2;
        }
        put_file(out, argv[i], name_n, argv[i] + name_n + 1);
    }
    if (fclose(out)) fail(argv[1]);
    return 0;
}
