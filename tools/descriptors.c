/* Compiles .proto files to what gRPC's reflection hands out: `descriptors OUT NAME=FILE…`, imported files before those that import
 * them. OUT is a C source that defines what src/api/descriptor_priv.h declares. Runs at build time.
 *
 * Of proto3 it takes what our own files use: package, import, message (nested), enum, oneof, optional, repeated, service; no option,
 * map, group, extension or reserved. A name that nothing declares is an error. In a message oneofs come before optional fields.
 * Each file is read twice: first for the names it declares, then for its bytes (google/protobuf/descriptor.proto). */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 32, SYMBOLS_MAX = 1024, NAME_SIZE = 200, FILE_SIZE_MAX = 64 * 1024 };

struct bytes {
    unsigned char *p;
    size_t n;
};

static struct file {
    const char *name, *path;
    char *text;
    uint32_t needs; /* bit per file: itself, and what it imports */
    struct bytes descriptor;
} files[FILES_MAX];
static size_t file_count;

enum symbol_kind { SYMBOL_MESSAGE, SYMBOL_ENUM, SYMBOL_SERVICE, SYMBOL_METHOD };
static struct symbol {
    char name[NAME_SIZE];
    size_t file;
    enum symbol_kind kind;
} symbols[SYMBOLS_MAX];
static size_t symbol_count;

/* The parser: where it stands, and the token there. */
static struct file *file;
static const char *at;
static char token[NAME_SIZE];
static bool declaring; /* the first reading */

static void fail(const char *what, const char *which) {
    size_t line = 1;
    for (const char *p = file ? file->text : at; p < at; p++) line += *p == '\n';
    fprintf(stderr, "descriptors: %s:%zu: %s%s\n", file ? file->path : "", line, what, which);
    exit(1);
}

/* ---- protobuf out ----------------------------------------------------------------------------------------------- */

static void put(struct bytes *out, const void *p, size_t n) {
    if (n == 0) return;
    out->p = realloc(out->p, out->n + n);
    if (!out->p) fail("no memory", "");
    memcpy(out->p + out->n, p, n);
    out->n += n;
}

static void put_varint(struct bytes *out, uint64_t v) {
    for (; v > 127; v >>= 7) put(out, &(unsigned char){(unsigned char)(v | 128)}, 1);
    put(out, &(unsigned char){(unsigned char)v}, 1);
}

static void put_number(struct bytes *out, uint32_t field, uint64_t v) {
    put_varint(out, field << 3);
    put_varint(out, v);
}

static void put_bytes(struct bytes *out, uint32_t field, const void *p, size_t n) {
    put_varint(out, field << 3 | 2);
    put_varint(out, n);
    put(out, p, n);
}

static void put_text(struct bytes *out, uint32_t field, const char *text) { put_bytes(out, field, text, strlen(text)); }

/* Ends a message under construction: it becomes a field of out. */
static void put_part(struct bytes *out, uint32_t field, struct bytes *part) {
    put_bytes(out, field, part->p, part->n);
    free(part->p);
}

/* ---- tokens ----------------------------------------------------------------------------------------------------- */

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.';
}

/* A word, a number, the inside of a string, or one character; "" at the end. */
static void next(void) {
    size_t n = 0;
    while (*at == ' ' || *at == '\n' || (at[0] == '/' && at[1] == '/')) at += *at == '/' ? strcspn(at, "\n") : 1;
    bool quoted = *at == '"';
    if (quoted)
        n = strcspn(++at, "\"\n");
    else
        while (is_word(at[n])) n++;
    if (n == 0 && *at) n = 1;
    if (n >= sizeof token || (quoted && at[n] != '"')) fail("a token is too long or has no end", "");
    memcpy(token, at, n);
    token[n] = 0;
    at += n + quoted;
}

static bool is(const char *text) { return strcmp(token, text) == 0; }

static bool accept(const char *text) {
    bool same = is(text);
    if (same) next();
    return same;
}

static void want(const char *text) {
    if (!accept(text)) fail("wanted: ", text);
}

static void take_word(char out[NAME_SIZE]) {
    if (!is_word(token[0])) fail("not a name: ", token);
    memcpy(out, token, NAME_SIZE);
    next();
}

static uint64_t take_number(void) {
    char *end;
    unsigned long n = strtoul(token, &end, 10);
    if (!token[0] || *end) fail("not a number: ", token);
    next();
    return n;
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

static void join(char out[NAME_SIZE], const char *scope, size_t scope_n, const char *name) {
    int n = snprintf(out, NAME_SIZE, "%.*s%s%s", (int)scope_n, scope, scope_n ? "." : "", name);
    if (n < 0 || n >= NAME_SIZE) fail("a name is too long: ", name);
}

static const struct symbol *find(const char *name) {
    for (size_t i = 0; i < symbol_count; i++)
        if (strcmp(symbols[i].name, name) == 0) return &symbols[i];
    return NULL;
}

/* Takes the name of what is declared here; full: with its scope. */
static void declare(enum symbol_kind kind, const char *scope, char name[NAME_SIZE], char full[NAME_SIZE]) {
    take_word(name);
    join(full, scope, strlen(scope), name);
    if (!declaring) return;
    if (find(full) || symbol_count == SYMBOLS_MAX) fail("declared twice, or one too many: ", full);
    struct symbol *s = &symbols[symbol_count++];
    memcpy(s->name, full, NAME_SIZE);
    s->file = (size_t)(file - files);
    s->kind = kind;
}

/* The type of that name, as seen from scope: the innermost that has it. NULL in the first reading. */
static const struct symbol *resolve(const char *scope, const char *name) {
    char full[NAME_SIZE];
    if (declaring) return NULL;
    for (size_t n = strlen(scope);;) {
        join(full, scope, n, name);
        const struct symbol *s = find(full);
        if (s && s->kind <= SYMBOL_ENUM && file->needs >> s->file & 1) return s;
        if (n == 0) break;
        while (n && scope[n - 1] != '.') n--;
        n -= n > 0;
    }
    fail("no such type, or its file is not imported: ", name);
    return NULL;
}

static void put_type_name(struct bytes *out, uint32_t field, const struct symbol *s) {
    char name[NAME_SIZE + 1];
    snprintf(name, sizeof name, ".%s", s ? s->name : "");
    put_text(out, field, name);
}

/* ---- declarations ----------------------------------------------------------------------------------------------- */

enum { TYPE_MESSAGE = 11, TYPE_ENUM = 14, LABEL_OPTIONAL = 1, LABEL_REPEATED = 3, NO_ONEOF = -1 };
static const char *const scalars[] = {
    [1] = "double",  [2] = "float",     [3] = "int64",     [4] = "uint64",  [5] = "int32",
    [6] = "fixed64", [7] = "fixed32",   [8] = "bool",      [9] = "string",  [12] = "bytes",
    [13] = "uint32", [15] = "sfixed32", [16] = "sfixed64", [17] = "sint32", [18] = "sint64",
};

static void put_type(struct bytes *out, const char *scope, const char *type) {
    for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++) {
        if (!scalars[i] || strcmp(scalars[i], type) != 0) continue;
        put_number(out, 5, i);
        return;
    }
    const struct symbol *s = resolve(scope, type);
    put_number(out, 5, s && s->kind == SYMBOL_ENUM ? TYPE_ENUM : TYPE_MESSAGE);
    put_type_name(out, 6, s);
}

static void put_oneof(struct bytes *message, const char *name) {
    struct bytes part = {0};
    put_text(&part, 1, name);
    put_part(message, 8, &part);
}

/* [optional|repeated] TYPE NAME = NUMBER; An optional field has a oneof of its own, made for it. */
static void field(struct bytes *message, const char *scope, int oneof, int *oneof_count) {
    char type[NAME_SIZE], name[NAME_SIZE], own[NAME_SIZE + 1];
    struct bytes part = {0};
    bool optional = oneof == NO_ONEOF && accept("optional"), repeated = oneof == NO_ONEOF && accept("repeated");
    take_word(type);
    take_word(name);
    want("=");
    put_text(&part, 1, name);
    put_number(&part, 3, take_number());
    want(";");
    put_number(&part, 4, repeated ? LABEL_REPEATED : LABEL_OPTIONAL);
    put_type(&part, scope, type);
    if (optional) {
        snprintf(own, sizeof own, "_%s", name);
        put_oneof(message, own);
        oneof = (*oneof_count)++;
    }
    if (oneof != NO_ONEOF) put_number(&part, 9, (uint64_t)oneof);
    if (optional) put_number(&part, 17, 1);
    put_part(message, 2, &part);
}

static void oneof(struct bytes *message, const char *scope, int *oneof_count) {
    char name[NAME_SIZE];
    int mine = (*oneof_count)++;
    take_word(name);
    put_oneof(message, name);
    want("{");
    while (!accept("}")) field(message, scope, mine, oneof_count);
}

static void enumeration(struct bytes *out, uint32_t as, const char *scope) {
    char name[NAME_SIZE], full[NAME_SIZE], value[NAME_SIZE];
    struct bytes part = {0};
    declare(SYMBOL_ENUM, scope, name, full);
    put_text(&part, 1, name);
    want("{");
    while (!accept("}")) {
        struct bytes one = {0};
        take_word(value);
        want("=");
        put_text(&one, 1, value);
        put_number(&one, 2, take_number());
        want(";");
        put_part(&part, 2, &one);
    }
    put_part(out, as, &part);
}

static void message(struct bytes *out, uint32_t as, const char *scope) {
    char name[NAME_SIZE], full[NAME_SIZE];
    struct bytes part = {0};
    int oneofs = 0;
    declare(SYMBOL_MESSAGE, scope, name, full);
    put_text(&part, 1, name);
    want("{");
    while (!accept("}")) {
        if (accept("message"))
            message(&part, 3, full);
        else if (accept("enum"))
            enumeration(&part, 4, full);
        else if (accept("oneof"))
            oneof(&part, full, &oneofs);
        else
            field(&part, full, NO_ONEOF, &oneofs);
    }
    put_part(out, as, &part);
}

/* ( [stream] TYPE ) */
static bool call_side(struct bytes *method, uint32_t as, const char *scope) {
    char type[NAME_SIZE];
    want("(");
    bool stream = accept("stream");
    take_word(type);
    want(")");
    put_type_name(method, as, resolve(scope, type));
    return stream;
}

static void service(struct bytes *out, const char *scope) {
    char name[NAME_SIZE], full[NAME_SIZE], method[NAME_SIZE], method_full[NAME_SIZE];
    struct bytes part = {0};
    declare(SYMBOL_SERVICE, scope, name, full);
    put_text(&part, 1, name);
    want("{");
    while (!accept("}")) {
        struct bytes one = {0};
        want("rpc");
        declare(SYMBOL_METHOD, full, method, method_full);
        put_text(&one, 1, method);
        bool in = call_side(&one, 2, scope);
        want("returns");
        bool answer = call_side(&one, 3, scope);
        want(";");
        if (in) put_number(&one, 5, 1);
        if (answer) put_number(&one, 6, 1);
        put_part(&part, 2, &one);
    }
    put_part(out, 6, &part);
}

static void import(struct bytes *out) {
    size_t i = 0;
    while (i < file_count && strcmp(files[i].name, token) != 0) i++;
    if (&files[i] >= file) fail("imported before it was given: ", token);
    file->needs |= files[i].needs;
    put_text(out, 3, token);
    next();
    want(";");
}

/* One reading of a file. */
static void read_file(struct file *f) {
    char package[NAME_SIZE];
    struct bytes out = {0};
    file = f;
    at = f->text;
    f->needs = (uint32_t)1 << (f - files);
    next();
    want("syntax");
    want("=");
    want("proto3");
    want(";");
    want("package");
    take_word(package);
    want(";");
    put_text(&out, 1, f->name);
    put_text(&out, 2, package);
    while (accept("import")) import(&out);
    while (token[0]) {
        if (accept("message"))
            message(&out, 4, package);
        else if (accept("enum"))
            enumeration(&out, 5, package);
        else if (accept("service"))
            service(&out, package);
        else
            fail("wanted: message, enum or service, not ", token);
    }
    put_text(&out, 12, "proto3");
    free(f->descriptor.p);
    f->descriptor = out;
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

static void load(char *argument) {
    char *path = strchr(argument, '=');
    if (!path || file_count == FILES_MAX) fail("not NAME=FILE, or one too many: ", argument);
    *path++ = 0;
    struct file *f = &files[file_count++];
    *f = (struct file){.name = argument, .path = path, .text = calloc(1, FILE_SIZE_MAX)};
    FILE *in = fopen(path, "rb");
    if (!in || !f->text || fread(f->text, 1, FILE_SIZE_MAX - 1, in) == FILE_SIZE_MAX - 1 || ferror(in)) {
        fprintf(stderr, "descriptors: %s cannot be read, or is too large\n", path);
        exit(1);
    }
    fclose(in);
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct symbol *)a)->name, ((const struct symbol *)b)->name);
}

static void write_out(FILE *out) {
    fputs("#include \"api/descriptor_priv.h\"\n", out);
    for (size_t i = 0; i < file_count; i++) {
        fprintf(out, "static const char file_%zu[] = {", i);
        for (size_t k = 0; k < files[i].descriptor.n; k++)
            fprintf(out, "%s%d,", k % 32 ? "" : "\n", (signed char)files[i].descriptor.p[k]);
        fputs("};\n", out);
    }
    fputs("const struct descriptor descriptors[] = {\n", out);
    for (size_t i = 0; i < file_count; i++)
        fprintf(out, "    {STR(\"%s\"), {file_%zu, sizeof file_%zu}, 0x%x},\n", files[i].name, i, i, files[i].needs);
    fprintf(out, "};\nconst size_t descriptor_count = %zu;\n", file_count);
    qsort(symbols, symbol_count, sizeof *symbols, by_name);
    fputs("const struct descriptor_symbol descriptor_symbols[] = {\n", out);
    for (size_t i = 0; i < symbol_count; i++)
        fprintf(out, "    {STR(\"%s\"), %zu, %d},\n", symbols[i].name, symbols[i].file,
                symbols[i].kind == SYMBOL_SERVICE);
    fprintf(out, "};\nconst size_t descriptor_symbol_count = %zu;\n", symbol_count);
}

int main(int argc, char **argv) {
    if (argc < 3) {
        fputs("usage: descriptors OUT NAME=FILE...\n", stderr);
        return 2;
    }
    for (int i = 2; i < argc; i++) load(argv[i]);
    declaring = true;
    for (size_t i = 0; i < file_count; i++) read_file(&files[i]);
    declaring = false;
    for (size_t i = 0; i < file_count; i++) read_file(&files[i]);
    FILE *out = fopen(argv[1], "wb");
    if (out) write_out(out);
    if (!out || fclose(out)) {
        perror(argv[1]);
        return 1;
    }
    return 0;
}
