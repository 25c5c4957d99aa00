#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"
#include "tidy.h"

enum { FILE_LINES_MAX = 1200, FUNCTION_LINES_MAX = 70, DOOR_LINES_MAX = 300, DOOR_COMMENT_LINES_MIN = 2 };

/* What a rule works with: the tree, where findings go, and under which name. */
struct check {
    struct tree *tree;
    struct report *report;
    const char *rule;
    size_t findings;
};

static void find(struct check *c, const char *path, size_t line, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static void find(struct check *c, const char *path, size_t line, const char *format, ...) {
    char text[512];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    buf_add_fmt(&c->report->out, "%s:%zu: %s: %s\n", path, line, c->rule, text);
    c->findings++;
}

#define each_file(f)                                                                                                   \
    struct file *f = c->tree->files.v;                                                                                 \
    f < c->tree->files.v + c->tree->files.n;                                                                           \
    f++

static struct str next_word(struct str *s) {
    *s = str_trim(*s);
    size_t n = 0;
    while (n < s->n && s->p[n] != ' ' && s->p[n] != '\t') n++;
    struct str word = {s->p, n};
    *s = (struct str){s->p + n, s->n - n};
    return word;
}

/* ---- the allow-list --------------------------------------------------------------------------------------------- */

/* The number that tools/tidy.allow gives `subject` (path or path:function) under this rule, else 0. */
static size_t allowed(struct check *c, const char *subject) {
    struct file *f = tree_find(c->tree, "tools/tidy.allow");
    struct str rest = f ? f->text : (struct str){0}, line;
    while (next_line(&rest, &line)) {
        uint64_t n = 0;
        if (!str_equal(next_word(&line), str_of(c->rule)) || !str_equal(next_word(&line), str_of(subject))) continue;
        err e = parse_u64(next_word(&line), &n);
        err_free(e);
        return n;
    }
    return 0;
}

/* A measure over its limit needs an entry that says exactly how much; under it, an entry is stale. */
static void hold(struct check *c, const char *path, size_t line, const char *subject, size_t measure, size_t limit,
                 const char *what) {
    size_t entry = allowed(c, subject);
    if (measure > limit && entry == 0) find(c, path, line, "%s: %zu, at most %zu", what, measure, limit);
    if (measure > limit && entry && measure > entry)
        find(c, path, line, "%s: %zu, tools/tidy.allow has %zu; it may only shrink", what, measure, entry);
    if (entry && measure < entry)
        find(c, path, line, "%s: %zu now; lower or drop its entry (%zu) in tools/tidy.allow", what, measure, entry);
}

/* Entries whose subject is gone. */
static void check_allow_list(struct check *c) {
    struct file *f = tree_find(c->tree, "tools/tidy.allow");
    struct str rest = f ? f->text : (struct str){0}, line, path, name;
    for (size_t n = 1; next_line(&rest, &line); n++) {
        if (!str_trim(line).n || line.p[0] == '#') continue;
        next_word(&line);
        bool has_name = str_cut(next_word(&line), ':', &path, &name);
        AUTO_FREE char *full = str_dup(path);
        struct file *subject = tree_find(c->tree, full);
        bool found = subject && !has_name;
        for (size_t i = 0; subject && i < subject->functions.n; i++)
            found |= str_equal(subject->functions.v[i].name, name);
        if (!found) find(c, f->path, n, "drop this entry: its subject is gone");
    }
}

/* ---- floors ----------------------------------------------------------------------------------------------------- */

/* The row of src/FLOORS for a module: its floor and the modules it may include. */
static bool floor_of(struct check *c, struct str module, uint64_t *out_floor, struct str *out_may) {
    struct file *f = tree_find(c->tree, "src/FLOORS");
    struct str rest = f ? f->text : (struct str){0}, line;
    while (next_line(&rest, &line)) {
        if (!str_equal(next_word(&line), module)) continue;
        err e = parse_u64(next_word(&line), out_floor);
        bool good = e == NULL;
        err_free(e);
        *out_may = line;
        return good;
    }
    return false;
}

static bool may_include(struct str may, struct str module) {
    while (str_trim(may).n)
        if (str_equal(next_word(&may), module)) return true;
    return false;
}

static void check_floors(struct check *c) {
    uint64_t floor, below;
    struct str may, ignored, path, module, tail, line;
    for (each_file(f)) {
        if (!f->is_c || !*f->module) continue;
        if (!floor_of(c, str_of(f->module), &floor, &may)) {
            find(c, f->path, 1, "module %s has no row in src/FLOORS", f->module);
            continue;
        }
        struct str rest = f->text;
        for (size_t n = 1; next_line(&rest, &line); n++) {
            if (!include_of(line, &path) || !str_cut(path, '/', &module, &tail) || str_equal(module, str_of(f->module)))
                continue;
            if (!floor_of(c, module, &below, &ignored))
                find(c, f->path, n, "\"" STR_FMT "\" is of no module of src/FLOORS", STR_ARG(path));
            else if (below >= floor)
                find(c, f->path, n, STR_FMT " is not on a lower floor than %s", STR_ARG(module), f->module);
            else if (!may_include(may, module))
                find(c, f->path, n, "src/FLOORS does not let %s include " STR_FMT, f->module, STR_ARG(module));
        }
    }
}

/* Cuts the room out of a path in a module, "store/part/part_read.c"; false if the file is of the module's top. */
static bool room_of(struct str path, struct str *out_module, struct str *out_room) {
    struct str tail, file;
    return str_cut(path, '/', out_module, &tail) && str_cut(tail, '/', out_room, &file);
}

/* Rooms of one module have floors as well: a file in one may include the module's top and the rooms its row names. */
static void check_rooms(struct check *c) {
    struct str module, room, other_module, other, line, path;
    for (each_file(f)) {
        bool in_room = f->is_c && *f->module && !f->is_test && room_of(str_of(f->path + strlen("src/")), &module, &room);
        struct str rest = in_room ? f->text : (struct str){0};
        for (size_t n = 1; next_line(&rest, &line); n++) {
            if (!include_of(line, &path) || !room_of(path, &other_module, &other) || !str_equal(module, other_module) ||
                str_equal(room, other))
                continue;
            char row[128], below_row[128];
            snprintf(row, sizeof row, STR_FMT "/" STR_FMT, STR_ARG(module), STR_ARG(room));
            snprintf(below_row, sizeof below_row, STR_FMT "/" STR_FMT, STR_ARG(module), STR_ARG(other));
            uint64_t floor, below;
            struct str may, ignored;
            if (!floor_of(c, str_of(row), &floor, &may) || !floor_of(c, str_of(below_row), &below, &ignored))
                find(c, f->path, n, "room %s or %s has no row in src/FLOORS", row, below_row);
            else if (below >= floor || !may_include(may, other))
                find(c, f->path, n, "src/FLOORS does not let room %s include " STR_FMT, row, STR_ARG(path));
        }
    }
}

static void check_private_headers(struct check *c) {
    struct str line, path, rest;
    for (each_file(f)) {
        rest = f->is_c ? f->text : (struct str){0};
        for (size_t n = 1; next_line(&rest, &line); n++) {
            if (!include_of(line, &path) || !str_ends_with(path, STR("_priv.h"))) continue;
            struct file *header = tree_include(c->tree, f, path);
            bool fixture = header && f->is_test && header->is_test; /* tests share what makes their data */
            if (header && !fixture && strcmp(header->module, f->module) != 0)
                find(c, f->path, n, STR_FMT " is private to %s; use its door", STR_ARG(path), header->module);
        }
    }
}

static bool is_included_from_outside(struct check *c, const struct file *header) {
    struct str line, path;
    for (each_file(f)) {
        struct str rest = f->is_c && strcmp(f->module, header->module) != 0 ? f->text : (struct str){0};
        while (next_line(&rest, &line))
            if (include_of(line, &path) && tree_include(c->tree, f, path) == header) return true;
    }
    return false;
}

/* Others see a module's door, and what its README names. */
static void check_public_headers(struct check *c) {
    for (each_file(f)) {
        struct str name = path_base(f->path);
        char readme[512], door[256];
        snprintf(readme, sizeof readme, "src/%s/README.md", f->module);
        snprintf(door, sizeof door, "%s.h", f->module);
        if (!f->is_header || !*f->module || str_ends_with(name, STR("_priv.h")) || str_equal(name, str_of(door)))
            continue;
        struct file *page = tree_find(c->tree, readme);
        if ((!page || !str_contains(page->text, name)) && is_included_from_outside(c, f))
            find(c, f->path, 1, "other modules include it: name " STR_FMT " in %s, or make it private", STR_ARG(name),
                 readme);
    }
}

/* ---- calls ------------------------------------------------------------------------------------------------------ */

/* Who may call what: modules by name; `tests` are *_test.c, *_fuzz.c, *_bench.c and all that is not in src. */
static const struct {
    const char *calls, *homes, *why;
} banned[] = {
    {"strcpy strcat stpcpy strncpy strncat sprintf vsprintf gets", "",
     "it does not know the size; use struct buf or snprintf"},
    {"strtok atoi atol atoll atof", "", "it hides errors; use base/text.h"},
    {"strtol strtoul strtoll strtoull strtod sscanf", "base tests",
     "use base/text.h, which takes all of a slice or fails"},
    {"alloca system popen tmpnam mktemp setlocale localtime gmtime ctime asctime", "", "not in this tree"},
    {"rand srand random srandom drand48", "", "chance comes through os/clock.h, so that a seed replays it"},
    {"malloc calloc realloc free strdup strndup reallocarray aligned_alloc posix_memalign", "base tests",
     "use mem_new, struct buf, VEC or an arena"},
    {"time clock_gettime gettimeofday clock getrandom", "os tests", "time and chance come through os/clock.h"},
    {"usleep sleep nanosleep", "os", "nothing sleeps; time is simulated in tests"},
    {"open openat creat fopen read pread readv write pwrite writev fsync fdatasync sync_file_range ftruncate fallocate",
     "os tests", "use os/file.h"},
    {"rename renameat unlink unlinkat mkdir rmdir stat fstat lstat access opendir readdir link flock mmap munmap",
     "os tests", "use os/file.h"},
    {"socket bind listen accept accept4 connect send sendto sendmsg recv recvfrom recvmsg shutdown setsockopt "
     "getsockopt getaddrinfo",
     "os tests", "use os/socket.h"},
    {"epoll_create1 epoll_ctl epoll_wait poll ppoll select eventfd timerfd_create pipe pipe2 dup dup2 close ioctl "
     "fcntl",
     "os tests", "use os/loop.h and os/socket.h"},
    {"fork vfork execve execv execvp execl waitpid kill raise sigaction sigprocmask getenv secure_getenv setenv getpid "
     "sysconf",
     "os tests", "use os/process.h"},
    {"pthread_create pthread_join pthread_mutex_lock pthread_cond_wait pthread_cond_signal sem_wait", "os tests",
     "use os/thread.h"},
    {"printf vprintf fprintf vfprintf fputs puts putchar fputc fwrite fflush perror dprintf exit", "base app tests",
     "only app speaks to a terminal; return an error or use base/log.h"},
};

/* Who must not wait on someone else (DESIGN, threads): these run on io and work threads. */
static const char *const never_wait[] = {"api", "query", "store"};

static bool has_word(const char *words, struct str word) {
    struct str rest = str_of(words);
    while (str_trim(rest).n)
        if (str_equal(next_word(&rest), word)) return true;
    return false;
}

/* The next `name(` of the code that is no member; *at moves behind it. */
static bool next_call(const struct file *f, size_t *at, struct str *out_name, size_t *out_offset) {
    const char *code = f->code;
    for (size_t i = *at; i < f->text.n;) {
        if (!isalpha((unsigned char)code[i]) && code[i] != '_') {
            i += isdigit((unsigned char)code[i]) ? strspn(code + i, "0123456789abcdefxulABCDEFXUL") : 1;
            continue;
        }
        size_t start = i, end;
        while (isalnum((unsigned char)code[i]) || code[i] == '_') i++;
        for (end = i; isspace((unsigned char)code[i]);) i++;
        size_t before = start;
        while (before > 0 && isspace((unsigned char)code[before - 1])) before--;
        bool member = before > 0 &&
                      (code[before - 1] == '.' || (before > 1 && code[before - 1] == '>' && code[before - 2] == '-'));
        if (code[i] != '(' || member) continue;
        *out_name = str_span(code + start, end - start);
        *out_offset = start;
        *at = i + 1;
        return true;
    }
    return false;
}

static void check_banned_calls(struct check *c) {
    for (each_file(f)) {
        if (!f->is_c) continue;
        struct str home = f->is_test ? STR("tests") : str_of(f->module), name;
        size_t at = 0, offset;
        while (next_call(f, &at, &name, &offset))
            for (size_t i = 0; i < LENGTH(banned); i++)
                if (has_word(banned[i].calls, name) && !has_word(banned[i].homes, home))
                    find(c, f->path, line_of(f, offset), STR_FMT ": %s", STR_ARG(name), banned[i].why);
    }
}

static void check_waits(struct check *c) {
    for (each_file(f)) {
        bool never = false;
        for (size_t i = 0; i < LENGTH(never_wait); i++) never |= strcmp(f->module, never_wait[i]) == 0;
        if (!f->is_c || f->is_test || !never) continue;
        struct str name;
        size_t at = 0, offset, calls = 0, first = 1;
        while (next_call(f, &at, &name, &offset))
            if (str_ends_with(name, STR("_wait")) && calls++ == 0) first = line_of(f, offset);
        hold(c, f->path, first, f->path, calls, 0, "calls of …_wait, which belong on other threads");
    }
}

/* ---- lengths ---------------------------------------------------------------------------------------------------- */

static size_t count_lines(const struct file *f) { return line_of(f, f->text.n) - 1; }

static void check_file_lengths(struct check *c) {
    for (each_file(f))
        if (f->is_c) hold(c, f->path, 1, f->path, count_lines(f), FILE_LINES_MAX, "lines of this file");
}

static void check_function_lengths(struct check *c) {
    for (each_file(f)) {
        for (size_t i = 0; i < f->functions.n; i++) {
            const struct function *function = &f->functions.v[i];
            char subject[1024], what[300];
            snprintf(subject, sizeof subject, "%s:" STR_FMT, f->path, STR_ARG(function->name));
            snprintf(what, sizeof what, "lines of " STR_FMT, STR_ARG(function->name));
            hold(c, f->path, function->first_line, subject, function->lines, FUNCTION_LINES_MAX, what);
        }
    }
}

static void check_doors(struct check *c) {
    for (each_file(f))
        if (f->is_header && *f->module && !str_ends_with(str_of(f->path), STR("_priv.h")))
            hold(c, f->path, 1, f->path, count_lines(f), DOOR_LINES_MAX, "lines of this door");
}

/* A private header may say what it is in one line. */
static void check_header_comments(struct check *c) {
    for (each_file(f)) {
        if (!f->is_header) continue;
        size_t lines = 0, least = str_ends_with(str_of(f->path), STR("_priv.h")) ? 1 : DOOR_COMMENT_LINES_MIN;
        const char *end = str_starts_with(f->text, STR("/*")) ? memmem(f->text.p, f->text.n, "*/", 2) : NULL;
        if (end) lines = line_of(f, (size_t)(end - f->text.p));
        if (lines < least)
            find(c, f->path, 1, "start with a comment of %zu lines or more: what, invariants, limits, threads, errors",
                 least);
    }
}

/* ---- dead files ------------------------------------------------------------------------------------------------- */

/* Whether a meson.build of the file's folder, or one above, names it: as 'room/part.c', or by its stem ('room/part', from
 * which 'room/part' + '_test.c' is made). */
static bool is_built(struct check *c, const struct file *f) {
    static const struct str endings[] = {STR("_test.c"), STR("_fuzz.c"), STR("_bench.c")};
    for (each_file(m)) {
        struct str folder = str_of(m->path), name = str_of(f->path);
        if (!str_equal(path_base(m->path), STR("meson.build"))) continue;
        folder.n -= strlen("meson.build");
        if (!str_starts_with(name, folder)) continue;
        name = (struct str){name.p + folder.n, name.n - folder.n};
        struct str stem = name;
        for (size_t i = 0; i < LENGTH(endings); i++)
            if (str_ends_with(name, endings[i])) stem.n = name.n - endings[i].n;
        char whole[300], part[300];
        snprintf(whole, sizeof whole, "'" STR_FMT "'", STR_ARG(name));
        snprintf(part, sizeof part, "'" STR_FMT "'", STR_ARG(stem));
        if (str_contains(m->text, str_of(whole)) || (stem.n < name.n && str_contains(m->text, str_of(part))))
            return true;
    }
    return false;
}

static bool is_included(struct check *c, const struct file *header) {
    struct str line, path;
    for (each_file(f)) {
        struct str rest = f->is_c ? f->text : (struct str){0};
        while (next_line(&rest, &line))
            if (include_of(line, &path) && tree_include(c->tree, f, path) == header) return true;
    }
    return false;
}

static void check_dead_files(struct check *c) {
    for (each_file(f)) {
        if (!f->is_c) continue;
        if (f->is_header && !is_included(c, f)) find(c, f->path, 1, "nobody includes it; remove it");
        if (!f->is_header && !is_built(c, f)) find(c, f->path, 1, "no meson.build names it; add or remove it");
    }
}

/* ---- pages and text --------------------------------------------------------------------------------------------- */

static bool link_leads_somewhere(struct check *c, const struct file *page, struct str target) {
    struct str path, ignored;
    str_cut(target, '#', &path, &ignored);
    if (!path.n || str_contains(path, STR("://")) || str_starts_with(path, STR("mailto:"))) return true;
    /* Joins the page's folder and the target, taking .. and . out. */
    AUTO_BUF struct buf full = {.max = 4096};
    buf_add(&full, page->path, strlen(page->path) - path_base(page->path).n);
    for (struct str step; path.n;) {
        str_cut(path, '/', &step, &path);
        if (!step.n || str_equal(step, STR("."))) continue;
        if (!str_equal(step, STR(".."))) {
            buf_add_str(&full, step);
            buf_add_byte(&full, '/');
            continue;
        }
        if (!full.n) return false;
        for (full.n--; full.n && full.p[full.n - 1] != '/';) full.n--;
    }
    for (each_file(f)) {
        if (str_starts_with(str_of(f->path), buf_str(&full))) return true; /* a folder, with its / */
        if (full.n && str_equal(str_of(f->path), str_span(full.p, full.n - 1))) return true;
    }
    return false;
}

/* What follows at line[i] if it is the beginning of a link: ](target), or a picture's src="target" or srcset="target"; else nothing. */
static struct str link_target(struct str line, size_t i) {
    static const struct {
        const char *start;
        char end;
    } forms[] = {{"](", ')'}, {"src=\"", '"'}, {"srcset=\"", '"'}};
    struct str here = {line.p + i, line.n - i}, target, ignored;
    for (size_t f = 0; f < LENGTH(forms); f++) {
        struct str start = str_of(forms[f].start);
        if (!str_starts_with(here, start)) continue;
        struct str rest = {here.p + start.n, here.n - start.n};
        if (str_cut(rest, forms[f].end, &target, &ignored)) return next_word(&target);
    }
    return (struct str){0};
}

/* The targets of links in one line, outside of `code`. */
static void check_links_of(struct check *c, const struct file *f, struct str line, size_t number) {
    bool code = false;
    for (size_t i = 0; i + 1 < line.n; i++) {
        if (line.p[i] == '`') code = !code;
        struct str target = code ? (struct str){0} : link_target(line, i);
        if (target.n && !link_leads_somewhere(c, f, target))
            find(c, f->path, number, "the link to " STR_FMT " leads nowhere", STR_ARG(target));
    }
}

static void check_links(struct check *c) {
    for (each_file(f)) {
        bool fenced = false;
        struct str line, rest = str_ends_with(str_of(f->path), STR(".md")) ? f->text : (struct str){0};
        for (size_t n = 1; next_line(&rest, &line); n++) {
            if (str_starts_with(str_trim(line), STR("```")))
                fenced = !fenced;
            else if (!fenced)
                check_links_of(c, f, line, n);
        }
    }
}

static void check_machine_paths(struct check *c) {
    /* In two pieces each, so that this file passes its own rule. */
    static const char *const homes[] = {"/ho"
                                        "me/",
                                        "/ro"
                                        "ot/",
                                        "/Us"
                                        "ers/",
                                        "/wo"
                                        "rk/",
                                        "/m"
                                        "nt/"};
    for (each_file(f)) {
        struct str line, rest = f->text;
        for (size_t n = 1; next_line(&rest, &line); n++)
            for (size_t i = 0; i < LENGTH(homes); i++) {
                const char *at = memmem(line.p, line.n, homes[i], strlen(homes[i]));
                bool starts = at && (at == line.p || !(isalnum((unsigned char)at[-1]) || strchr("._-})/", at[-1])));
                if (starts) find(c, f->path, n, "a path of one machine (%s)", homes[i]);
            }
    }
}

static void check_blanks(struct check *c) {
    for (each_file(f)) {
        struct str line, rest = f->text;
        for (size_t n = 1; next_line(&rest, &line); n++) {
            if (line.n && strchr(" \t\r", line.p[line.n - 1]))
                find(c, f->path, n, "blanks at the end of the line");
            else if (str_find(line, '\t') >= 0)
                find(c, f->path, n, "a tab; indent with spaces");
        }
        if (f->text.n && f->text.p[f->text.n - 1] != '\n')
            find(c, f->path, line_of(f, f->text.n), "the last line does not end");
    }
}

/* ---- all of them ------------------------------------------------------------------------------------------------ */

static const struct {
    const char *name;
    void (*check)(struct check *c);
} rules[] = {
    {"floors", check_floors},
    {"rooms", check_rooms},
    {"private-header", check_private_headers},
    {"public-header", check_public_headers},
    {"banned-call", check_banned_calls},
    {"wait", check_waits},
    {"file", check_file_lengths},
    {"function", check_function_lengths},
    {"door", check_doors},
    {"header-comment", check_header_comments},
    {"dead-file", check_dead_files},
    {"link", check_links},
    {"machine-path", check_machine_paths},
    {"blanks", check_blanks},
    {"allow-list", check_allow_list},
};

void tidy_check(struct tree *t, struct report *r) {
    for (size_t i = 0; i < LENGTH(rules); i++) {
        struct check c = {.tree = t, .report = r, .rule = rules[i].name};
        rules[i].check(&c);
        if (c.findings)
            r->broken++;
        else
            r->held++;
    }
}
