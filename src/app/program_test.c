/* The built program as a person or a script calls it: what it says and how it ends for every wrong word, what stands in the environment,
 * what becomes of output nobody takes, and the commands that work on files, on good, damaged and foreign ones. */
#include "app/program_test_priv.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/options.h"
#include "os/file.h"

#define NOWHERE "http://127.0.0.1:1" /* nothing listens there */

/* ---- words ------------------------------------------------------------------------------------------------------ */

static const struct {
    const char *words[8], *error;
} wrong_words[] = {
    {{"foo"}, "there is no command \"foo\"; `clew --help` lists them"}, /* too short to be like "load" */
    {{"sreve"}, "did you mean \"serve\"?"},
    {{"bakcup", "x"}, "did you mean \"backup\"?"},
    {{"query"},
     "clew query what? `clew query traces` or `clew query logs` or `clew query promql` or `clew query attributes` or "
     "`clew query values` or `clew query correlations` or `clew query correlation` or `clew query propagation`"},
    {{"query", "spans"}, "clew query what?"},
    {{"query", "logs", "extra"}, "clew query logs does not take \"extra\""},
    {{"version", "-v"}, "clew version does not take \"-v\""},
    {{"version", "--jsn"}, "did you mean --json?"},
    {{"load", "--abc"}, "clew load has no option --abc\n"},
    {{"load", "--conections", "3"}, "did you mean --connections?"},
    {{"serve", "--otlp-htp", "x"}, "did you mean --otlp-http?"},
    {{"trace"}, "clew trace needs TRACE_ID"},
    {{"trace", "1", "2"}, "does not take \"2\""},
    {{"trace", ""}, "\"\" is no trace id"},
    {{"query", "correlation", ""}, "the ID is empty"},
    {{"trace", "0af7651916cd43dd8448eb211c80319"}, "is no trace id"},
    {{"trace", "0af7651916cd43dd8448eb211c80319cc"}, "is no trace id"},
    {{"trace", "xaf7651916cd43dd8448eb211c80319c"}, "is no trace id"},
    {{"backup"}, "clew backup needs DIR"},
    {{"restore"}, "clew restore needs BACKUP"},
    {{"dump"}, "clew dump needs FILE"},
    {{"serve", "--listen", "nonsense"}, "--listen: address \"nonsense\""},
    {{"serve", "--otlp-http", "127.0.0.1:99999"}, "--otlp-http: "},
    {{"serve", "--listen", "127.0.0.1:0", "--otlp-http", "0.0.0.0:0", "--data", "%d"}, "not a loopback address"},
    {{"serve", "--watch", "mysql=127.0.0.1:1"}, "--watch: watching mysql: expected nginx=URL"},
    {{"serve", "--watch", "redis=127.0.0.1:1", "--watch", "redis=127.0.0.1:1"},
     "--watch: redis at 127.0.0.1:1 is watched twice"},
    {{"serve", "--watch", "redis=:secret@127.0.0.1:1"}, "a password does not belong here"},
    {{"serve", "--watch", "postgres=127.0.0.1:1?sslmode=no"}, "expected ?password_file=FILE"},
    {{"serve", "--watch", "nginx=127.0.0.1:1"}, "expected the http(s)://"},
    {{"serve", "--host-metrics", "maybe"}, "--host-metrics: on or off"},
    {{"serve", "--host-interval", "1ms"}, "--host-interval: at least 1s"},
    {{"serve", "--listen", "nonsense", "--compat-ports"}, "--listen: address \"nonsense\""},
    {{"serve", "--allow-host", "clew.example:80"}, "--allow-host: a name is as clew.example, without"},
    {{"serve", "--allow-host", "https://clew.example"}, "--allow-host: "},
    {{"serve", "--allow-host", "*"}, "--allow-host: "},
    {{"serve", "--allow-host", ""}, "--allow-host: "},
    {{"serve", "--cors-origin", "*"}, "--cors-origin: "},
    {{"serve", "--retention", "-1h"}, "--retention: not a duration"},
    {{"serve", "--retention", "30"}, "--retention: not a duration"},
    {{"serve", "--flush-age", "soon"}, "--flush-age: not a duration"},
    {{"serve", "--memory-limit", "lots"}, "--memory-limit: "},
    {{"serve", "--memory-limit", "1MiB"}, "--memory-limit: at least 16 MiB"},
    {{"serve", "--workers", "0"}, "--workers: from 1 to 256"},
    {{"serve", "--workers", "257"}, "--workers: from 1 to 256"},
    {{"serve", "--workers", "2.5"}, "--workers: not a whole number"},
    {{"serve", "--disk-use-max", "0"}, "--disk-use-max: from 1 to 100"},
    {{"serve", "--disk-use-max", "101"}, "--disk-use-max: from 1 to 100"},
    {{"serve", "--disk-free-min", "100"}, "--disk-free-min: from 0 to 99"},
    {{"serve", "--log-level", "loud"}, "--log-level: debug, info, warn or error"},
    {{"serve", "--log-format", "xml"}, "--log-format: logfmt or json"},
    {{"serve", "--data", ""}, "--data: must name a folder"},
    {{"load", "--signal", "rumours"}, "--signal: traces, logs, both or metrics"},
    {{"load", "--shape", "round"}, "--shape: law, shop, node or buckets"},
    {{"load", "--stories"}, "--stories: only --shape shop tells them"},
    {{"load", "--seed", "one"}, "--seed: not a whole number"},
    {{"load", "--rate", "-1"}, "--rate: not a whole number"},
    {{"load", "--rate", "1000000001"}, "--rate: at most 1000000000"},
    {{"load", "--count", "18446744073709551615"}, "--count: at most 1000000000000"},
    {{"load", "--count", "18446744073709551616"}, "--count: not a number below 2^64"},
    {{"load", "--connections", "0"}, "--connections: from 1 to 1,000"},
    {{"load", "--connections", "1001"}, "--connections: from 1 to 1,000"},
    {{"load", "--items", "0"}, "--items: a multiple of 10"},
    {{"load", "--items", "15"}, "--items: a multiple of 10"},
    {{"load", "--items", "100010"}, "--items: a multiple of 10"},
    {{"load", "--correlated", "4294967296"}, "--correlated: at most 4294967295"},
    {{"load", "--correlated", "1", "--shape", "shop"}, "--correlated: only traces and logs of the law"},
    {{"load", "--correlated", "1", "--signal", "metrics"}, "--correlated: only traces and logs of the law"},
    {{"load", "--for", "-1s"}, "--for: not a duration"},
    {{"load", "--over", "292y", "--count", "10"}, "--over: begins before 1970"},
    {{"load", "--otlp", "ftp://127.0.0.1"}, "--otlp: \"ftp://127.0.0.1\" is no http://HOST:PORT"},
    {{"load", "--otlp", ""}, "--otlp: \"\" is no http://HOST:PORT"},
    {{"load", "--verify", "--server", "file:///etc/passwd"}, "--server: \"file:///etc/passwd\" is no http"},
    {{"load", "--to-file", "%d/x", "--verify"}, "--to-file sends nothing"},
    {{"load", "--to-file", "%d/x", "--ids", "%d/y"}, "--to-file sends nothing"},
    {{"query", "traces", "--server", "file:///etc/passwd"}, "--server: "},
    {{"query", "traces", "--server", ""}, "--server: "},
    {{"query", "traces", "--color", "maybe"}, "--color: auto, always or never, not \"maybe\""},
    {{"dump", "%d"}, " is a folder: name one of its files"},
    {{"dump", "x", "--rows", "some"}, "--rows: not a whole number"},
    {{"check", "--data", ""}, "--data: must name a folder"},
    {{"restore", "%d", "--data", "x"}, "no data directory of clew"},
    {{"delete"}, "say what to delete"},
    {{"delete", "--start", "now-1h"}, "say what to delete"},
    {{"delete", "--service", "x", "--yes"}, "say what to delete"},
    {{"delete", "--trace", "0af7651916cd43dd8448eb211c80319c"}, "needs --yes where nobody can be asked"},
};

static void wrong_words_are_named_and_end_with_2(void **state) {
    (void)state;
    for (size_t i = 0; i < LENGTH(wrong_words); i++) {
        const char *words[9] = {NULL};
        for (int k = 0; wrong_words[i].words[k]; k++) {
            const char *word = wrong_words[i].words[k];
            words[k] = strncmp(word, "%d", 2) == 0 ? in_folder(word[2] ? word + 3 : "") : word;
        }
        bool missing = strstr(wrong_words[i].error, "no data directory") != NULL; /* not found */
        check_run(missing ? 3 : 2, "", wrong_words[i].error, words);
    }
    assert_int_equal(entries_of(in_folder("")), 0); /* what can be wrong is found before a folder is made (2) */
}

static void who_does_not_answer_is_named_and_ends_with_8(void **state) {
    (void)state;
    static const char *const commands_words[][8] = {
        {"query", "traces", "--server", NOWHERE},
        {"query", "logs", "--server", NOWHERE "/"},
        {"trace", "0af7651916cd43dd8448eb211c80319c", "--server", NOWHERE},
        {"backup", "/tmp/never-made", "--server", NOWHERE},
        {"delete", "--trace", "0af7651916cd43dd8448eb211c80319c", "--yes", "--server", NOWHERE},
        {"load", "--count", "10", "--otlp", NOWHERE},
        {"load", "--otlp", NOWHERE, "--for", "292y"},
    };
    for (size_t i = 0; i < LENGTH(commands_words); i++) check_run(8, "", NOWHERE, commands_words[i]);
}

static void help_is_for_every_command(void **state) {
    (void)state;
    CHECK(0, "usage: clew COMMAND", "", "--help");
    CHECK(0, "usage: clew COMMAND", "", "help");
    CHECK(0, "clew ", "", "--version");
    for (size_t i = 0; i < command_count; i++) {
        char name[64], usage[96];
        snprintf(name, sizeof name, "%s", commands[i].name);
        snprintf(usage, sizeof usage, "usage: clew %s", commands[i].name);
        char *space = strchr(name, ' ');
        if (space) *space++ = 0;
        const char *words[] = {name, space ? space : "--help", space ? "--help" : NULL, NULL};
        check_run(0, usage, "", words);
    }
}

/* Flag, then environment, then default; a wrong value is blamed on where it came from. */
static void the_environment_stands_in_for_flags(void **state) {
    (void)state;
    setenv("CLEW_SERVER", "ftp://environment", 1);
    CHECK(2, "", "CLEW_SERVER: \"ftp://environment\"", "query", "logs");
    CHECK(2, "", "--server: \"ftp://flag\"", "query", "logs", "--server", "ftp://flag");
    unsetenv("CLEW_SERVER");
    setenv("CLEW_JSON", "yes", 1);
    CHECK(0, "{\"version\":", "", "version");
    setenv("CLEW_JSON", "perhaps", 1);
    CHECK(2, "", "CLEW_JSON: ", "version");
    unsetenv("CLEW_JSON");
    setenv("CLEW_ROWS", "-", 1);
    CHECK(0, "clew ", "", "version"); /* not an option of this command */
    CHECK(2, "", "CLEW_ROWS: not a whole number", "dump", "x");
    unsetenv("CLEW_ROWS");
}

/* ---- output ----------------------------------------------------------------------------------------------------- */

static void output_that_cannot_be_written_is_an_error(void **state) {
    (void)state;
    static const char *const words[][4] = {{"--help"}, {"version"}, {"version", "--json"}, {"serve", "--help"}};
    for (size_t i = 0; i < LENGTH(words); i++) {
        struct program p;
        program_start(&p, OUTPUT_FULL, words[i]);
        program_wait(&p);
        program_check(&p, 10, NULL, "writing to standard output: No space left on device");
        program_done(&p);
    }
}

/* `clew … | head`: not a word; by SIGPIPE, as other programs, or with 0. */
static void a_reader_that_went_away_is_no_error(void **state) {
    (void)state;
    static const char *const words[][4] = {{"--help"}, {"version"}, {"version", "--json"}};
    for (size_t i = 0; i < LENGTH(words); i++) {
        struct program p;
        program_start(&p, OUTPUT_UNREAD, words[i]);
        program_wait(&p);
        assert_true(p.status == 0 || p.status == 128 + SIGPIPE);
        program_check(&p, p.status, NULL, "");
        program_done(&p);
    }
}

/* ---- files ------------------------------------------------------------------------------------------------------ */

static void load_writes_whole_bodies_to_a_file(void **state) {
    (void)state;
    struct program p;
    const char *file = in_folder("bodies");
    RUN(&p, "load", "--count", "1005", "--to-file", file, "--json"); /* to the next multiple of 10 */
    program_check(&p, 0, "\"items\":1010", "");
    check_json(buf_str(&p.out), "items requests bytes");
    AUTO_BUF struct buf bytes;
    buf_init(&bytes, 16 * MIB);
    read_bytes(file, &bytes);
    char want[64];
    snprintf(want, sizeof want, "\"requests\":3,\"bytes\":%zu", bytes.n);
    program_check(&p, 0, want, "");
    program_done(&p);
    CHECK(0, "wrote 10 logs in 1 request", "", "load", "--count", "1", "--items", "10", "--signal", "logs", "--to-file",
          file);
    CHECK(3, "", "No such file", "load", "--count", "10", "--to-file", in_folder("no/such/folder"));
    CHECK(0, "wrote ", "", "load", "--shape", "shop", "--signal", "both", "--count", "3", "--to-file", file);
}

/* Folders and files that are not clew's: a sentence each, and nothing is changed. */
static void foreign_files_are_refused(void **state) {
    (void)state;
    const char *empty = in_folder("empty"), *notes = in_folder("notes"), *odd = in_folder("odd");
    assert_null(path_make_dir(empty));
    assert_null(path_make_dir(odd));
    write_text(notes, "my notes\n", 9);
    write_text(in_folder("nothing"), "", 0);
    write_text(in_folder("odd/manifest"), "my notes\n", 9);
    CHECK(3, "", "it does not exist", "check", "--data", in_folder("absent"));
    CHECK(3, "", "it has neither manifest nor log", "check", "--data", empty);
    CHECK(3, "", "is no data directory", "check", "--data", notes);
    CHECK(9, "/manifest: ", "1 bad place;", "check", "--data", odd);
    CHECK(3, "", "is no data directory", "restore", empty, "--data", in_folder("to"));
    CHECK(9, "", "manifest", "restore", odd, "--data", in_folder("to"));
    CHECK(3, "", "No such file", "dump", in_folder("absent"));
    CHECK(9, "", "this is no part file", "dump", notes);
    CHECK(9, "", NULL, "dump", in_folder("nothing"));
    CHECK(9, "", NULL, "dump", "/dev/null");
    assert_false(path_exists(in_folder("to")));
    assert_int_equal(entries_of(empty), 0);
    assert_int_equal(entries_of(odd), 1);
}

/* The n-th file of a folder's tree, in the order of the disk. */
struct files {
    char paths[16][512];
    size_t n;
    const char *folder;
};

static err add_file(void *context, const char *name, bool is_dir) {
    struct files *f = context;
    char path[512];
    assert_true(snprintf(path, sizeof path, "%s/%s", f->folder, name) < (int)sizeof path);
    if (is_dir) {
        const char *before = f->folder;
        f->folder = path;
        err e = path_list(path, add_file, f);
        f->folder = before;
        return e;
    }
    assert_true(f->n < LENGTH(f->paths));
    memcpy(f->paths[f->n++], path, sizeof path);
    return NULL;
}

/* check and restore must see it (unless it is in what nobody reads: padding, preallocated space), dump must end in a sentence. */
static void run_on_damaged(const char *path, const char *what, int *seen) {
    struct program p;
    RUN(&p, "check", "--data", in_folder("backup"), "--json");
    if (p.status != 0 && p.status != 9) fail_msg("%s %s: check ends with %d: %s", what, path, p.status, p.err.p);
    check_json(buf_str(&p.out), "bad findings");
    bool bad = p.status == 9;
    *seen += bad;
    program_done(&p);
    RUN(&p, "dump", path, "--json");
    if (p.status != 0 && p.status != 9) fail_msg("%s %s: dump ends with %d: %s", what, path, p.status, p.err.p);
    check_json(buf_str(&p.out), "file lines");
    program_done(&p);
    RUN(&p, "restore", in_folder("backup"), "--data", in_folder("to"));
    if (p.status != (bad ? 9 : 0)) fail_msg("%s %s: restore ends with %d: %s", what, path, p.status, p.err.p);
    assert_int_equal(path_exists(in_folder("to")), !bad);
    program_done(&p);
    folder_remove(in_folder("to"));
}

static void damaged_folders_are_named(void **state) {
    (void)state;
    static struct files files;
    int seen = 0, flipped = 0;
    make_data("data", "backup");
    files = (struct files){.folder = in_folder("backup")};
    assert_null(path_list(in_folder("backup"), add_file, &files));
    assert_true(files.n >= 4); /* manifest, two parts, a log */
    for (size_t i = 0; i < files.n; i++) {
        AUTO_BUF struct buf good;
        const char *path = files.paths[i];
        buf_init(&good, 256 * MIB);
        read_bytes(path, &good);
        for (size_t k = 0; k < 4; k++) {
            size_t at = k * good.n / 4 + 17 * k;
            if (at >= good.n) continue;
            good.p[at] ^= 0x20;
            write_text(path, good.p, good.n);
            good.p[at] ^= 0x20;
            run_on_damaged(path, "flipped", &seen);
            flipped++;
        }
        write_text(path, good.p, good.n / 2);
        run_on_damaged(path, "cut", &seen);
        write_text(path, "", 0);
        run_on_damaged(path, "emptied", &seen);
        write_text(path, good.p, good.n);
    }
    print_message("%d of %d flips and %zu cuts seen\n", seen, flipped, 2 * files.n);
    assert_true(seen > flipped / 2);
    CHECK(0, "everything reads", "", "check", "--data", in_folder("backup"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, folder_setup, folder_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(wrong_words_are_named_and_end_with_2),
        TEST(who_does_not_answer_is_named_and_ends_with_8),
        TEST(help_is_for_every_command),
        TEST(the_environment_stands_in_for_flags),
        TEST(output_that_cannot_be_written_is_an_error),
        TEST(a_reader_that_went_away_is_no_error),
        TEST(load_writes_whole_bodies_to_a_file),
        TEST(foreign_files_are_refused),
        TEST(damaged_folders_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
