#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <sys/stat.h>

#include "tidy.h"

/* ---- lines and paths -------------------------------------------------------------------------------------------- */

bool next_line(struct str *rest, struct str *line) {
    if (!rest->n) return false;
    str_cut(*rest, '\n', line, rest);
    return true;
}

size_t line_of(const struct file *f, size_t offset) {
    size_t line = 1;
    for (size_t i = 0; i < offset && i < f->text.n; i++) line += f->text.p[i] == '\n';
    return line;
}

struct str path_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return str_of(slash ? slash + 1 : path);
}

bool path_is_under(const char *path, const char *folder) {
    size_t n = strlen(folder);
    return strncmp(path, folder, n) == 0 && path[n] == '/';
}

bool include_of(struct str line, struct str *out_path) {
    line = str_trim(line);
    if (!line.n || line.p[0] != '#') return false;
    line = str_trim((struct str){line.p + 1, line.n - 1});
    struct str word, rest;
    if (!str_starts_with(line, STR("include")) || !str_cut(line, '"', &word, &rest)) return false;
    return str_cut(rest, '"', out_path, &rest);
}

struct file *tree_find(const struct tree *t, const char *path) {
    for (size_t i = 0; i < t->files.n; i++)
        if (strcmp(t->files.v[i].path, path) == 0) return &t->files.v[i];
    return NULL;
}

struct file *tree_include(const struct tree *t, const struct file *from, struct str path) {
    char full[1024];
    snprintf(full, sizeof full, "src/" STR_FMT, STR_ARG(path));
    struct file *f = tree_find(t, full);
    if (f) return f;
    int folder = (int)(strlen(from->path) - path_base(from->path).n);
    snprintf(full, sizeof full, "%.*s" STR_FMT, folder, from->path, STR_ARG(path));
    return tree_find(t, full);
}

/* ---- C without comments and strings ----------------------------------------------------------------------------- */

/* Blanks [from, to) but for line ends. */
static void blank(char *code, size_t from, size_t to) {
    for (size_t i = from; i < to; i++)
        if (code[i] != '\n') code[i] = ' ';
}

/* Where a comment or literal that starts at i ends (behind its last byte); i if none starts there. */
static size_t end_of_piece(const char *s, size_t i, size_t n) {
    size_t j = i + 1;
    if (s[i] == '/' && j < n && s[j] == '/') {
        while (j < n && s[j] != '\n') j++;
        return j;
    }
    if (s[i] == '/' && j < n && s[j] == '*') {
        for (j++; j + 1 < n && !(s[j] == '*' && s[j + 1] == '/');) j++;
        return MIN(j + 2, n);
    }
    if (s[i] != '"' && s[i] != '\'') return i;
    while (j < n && s[j] != s[i] && s[j] != '\n') j += s[j] == '\\' ? 2 : 1;
    return MIN(j + 1, n);
}

static char *code_of(struct str text) {
    char *code = str_dup(text);
    for (size_t i = 0; i < text.n;) {
        size_t end = end_of_piece(text.p, i, text.n);
        if (end == i) {
            i++;
        } else {
            bool literal = text.p[i] != '/';
            blank(code, i + literal, end - literal); /* quotes stay: a literal is a value */
            i = end;
        }
    }
    return code;
}

/* ---- functions -------------------------------------------------------------------------------------------------- */

static size_t end_of_directive(const char *code, size_t i, size_t n) {
    while (i < n && !(code[i] == '\n' && code[i - 1] != '\\')) i++;
    return i;
}

static bool word_byte(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* The name before the last parenthesis that opens outside others, attributes aside. */
static struct str name_of(const char *code, size_t from, size_t to) {
    struct str name = {0};
    int depth = 0;
    for (size_t i = from; i < to; i++) {
        if (code[i] == ')') depth--;
        if (code[i] != '(' || depth++) continue;
        size_t end = i;
        while (end > from && isspace((unsigned char)code[end - 1])) end--;
        size_t start = end;
        while (start > from && word_byte(code[start - 1])) start--;
        struct str word = str_span(code + start, end - start);
        if (word.n && !str_equal(word, STR("__attribute__"))) name = word;
    }
    return name;
}

static void find_functions(struct file *f) {
    const char *code = f->code;
    size_t n = f->text.n, declaration = 0;
    int depth = 0;
    bool inside = false, line_start = true;
    for (size_t i = 0; i < n; i++) {
        char c = code[i];
        if (c == '#' && line_start) {
            i = end_of_directive(code, i, n);
            if (depth == 0) declaration = i;
            continue;
        }
        line_start = c == '\n' || (line_start && isspace((unsigned char)c));
        if (c == ';' && depth == 0) declaration = i + 1;
        if (c == '{' && depth++ == 0) {
            size_t end = i;
            while (declaration < i && isspace((unsigned char)code[declaration])) declaration++;
            while (end > declaration && isspace((unsigned char)code[end - 1])) end--;
            inside = end > declaration && code[end - 1] == ')';
            if (inside)
                *vec_push(&f->functions) =
                    (struct function){name_of(code, declaration, end), line_of(f, declaration), 0};
        }
        if (c != '}' || depth == 0 || --depth > 0) continue;
        if (inside) {
            struct function *last = &f->functions.v[f->functions.n - 1];
            last->lines = line_of(f, i) - last->first_line + 1;
        }
        inside = false;
        declaration = i + 1;
    }
}

/* ---- the tree --------------------------------------------------------------------------------------------------- */

static bool ends_with_any(const char *path, const char *const *endings) {
    for (; *endings; endings++)
        if (str_ends_with(str_of(path), str_of(*endings))) return true;
    return false;
}

/* Tests, and what only they include: testing.h, part_test_priv.h, text_fixtures_priv.h. */
static bool is_for_tests(struct str name) {
    static const char *const parts[] = {"_test.c", "_fuzz.c", "_bench.c", "_test_priv.h", "testing", "fixtures"};
    for (size_t i = 0; i < LENGTH(parts); i++)
        if (str_contains(name, str_of(parts[i]))) return true;
    return false;
}

void tree_add(struct tree *t, const char *path, struct str text) {
    static const char *const c_files[] = {".c", ".h", NULL};
    struct file f = {.path = str_dup(str_of(path)), .is_c = ends_with_any(path, c_files)};
    if (text.p) f.text = (struct str){str_dup(text), text.n};
    f.is_header = str_ends_with(str_of(path), STR(".h"));
    f.is_test = !path_is_under(path, "src") || strstr(path, "/sim/") || is_for_tests(path_base(path));
    struct str head, rest = {0};
    bool in_module = path_is_under(path, "src") && str_cut(str_of(path + 4), '/', &head, &rest);
    f.module = str_dup(in_module ? head : STR(""));
    if (f.is_c) {
        f.code = code_of(f.text);
        find_functions(&f);
    }
    *vec_push(&t->files) = f;
}

void tree_done(struct tree *t) {
    for (size_t i = 0; i < t->files.n; i++) {
        struct file *f = &t->files.v[i];
        mem_free(f->path);
        mem_free(f->module);
        mem_free(f->code);
        mem_free((char *)f->text.p);
        vec_done(&f->functions);
    }
    vec_done(&t->files);
}

static bool is_text(const char *path) {
    static const char *const endings[] = {".c",  ".h",    ".md",  ".build",  ".sh",    ".js",  ".mjs",
                                          ".ts", ".yaml", ".yml", "/FLOORS", ".allow", "/run", NULL};
    return ends_with_any(path, endings) || strcmp(path, "dev") == 0 || strcmp(path, "tools/demo") == 0;
}

static bool read_file(struct tree *t, const char *root, const char *path) {
    if (!is_text(path)) return tree_add(t, path, (struct str){0}), true;
    char full[2048];
    snprintf(full, sizeof full, "%s/%s", root, path);
    FILE *in = fopen(full, "rb");
    if (!in) return perror(full), false;
    AUTO_BUF struct buf text = {.max = 64 * MIB};
    char piece[65536];
    for (size_t n; (n = fread(piece, 1, sizeof piece, in)) > 0;) buf_add(&text, piece, n);
    fclose(in);
    tree_add(t, path, (struct str){text.p ? text.p : "", text.n});
    return true;
}

static bool read_folder(struct tree *t, const char *root, const char *path) {
    char full[2048], child[1024];
    snprintf(full, sizeof full, "%s/%s", root, path);
    DIR *folder = opendir(full);
    if (!folder) return perror(full), false;
    bool good = true;
    for (struct dirent *e; good && (e = readdir(folder));) {
        struct stat st;
        bool skip = e->d_name[0] == '.' || strcmp(e->d_name, "node_modules") == 0;
        if (!*path) skip |= str_starts_with(str_of(e->d_name), STR("build")) || strcmp(e->d_name, "data") == 0;
        if (skip) continue;
        snprintf(child, sizeof child, "%s%s%s", path, *path ? "/" : "", e->d_name);
        snprintf(full, sizeof full, "%s/%s", root, child);
        if (lstat(full, &st) != 0) continue; /* gone meanwhile */
        if (S_ISDIR(st.st_mode))
            good = read_folder(t, root, child);
        else if (S_ISREG(st.st_mode))
            good = read_file(t, root, child);
    }
    closedir(folder);
    return good;
}

bool tree_read(struct tree *t, const char *root) { return read_folder(t, root, ""); }
