/* The command line: parsing, the environment, defaults, and what is said about mistakes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "app/options.h"

/* Parses up to eight words after "clew". */
static err parse(struct arguments *a, const char *const *words) {
    static char copies[8][64];
    char *argv[9] = {(char[]){"clew"}};
    int argc = 1;
    for (; *words; words++, argc++) {
        snprintf(copies[argc - 1], sizeof copies[0], "%s", *words);
        argv[argc] = copies[argc - 1];
    }
    return arguments_parse(argc, argv, a);
}
#define PARSE(a, ...) parse(a, &((const char *const[]){"clew", ##__VA_ARGS__, NULL})[1])

static void fails_with(const char *text, const char *const *words) {
    struct arguments a;
    err e = parse(&a, words);
    assert_non_null(e);
    assert_int_equal(err_kind(e), ERR_INVALID);
    assert_string_equal(err_text(e), text);
    err_free(e);
}
#define FAILS(text, ...) fails_with(text, (const char *const[]){__VA_ARGS__, NULL})

static bool text_is(const struct arguments *a, enum option o, const char *want) {
    return str_equal(argument_text(a, o), str_of(want));
}

static void values_come_attached_or_after(void **state) {
    (void)state;
    struct arguments a;
    assert_null(PARSE(&a, "serve", "--data", "x", "--listen=127.0.0.1:0", "--json"));
    assert_string_equal(a.command->name, "serve");
    assert_true(text_is(&a, OPTION_DATA, "x"));
    assert_true(text_is(&a, OPTION_LISTEN, "127.0.0.1:0"));
    assert_true(argument_flag(&a, OPTION_JSON));
    assert_null(PARSE(&a, "serve", "--data="));
    assert_true(text_is(&a, OPTION_DATA, ""));
    assert_null(PARSE(&a, "query", "traces", "--where=a=b"));
    assert_true(text_is(&a, OPTION_WHERE, "a=b"));
}

static void what_is_not_given_has_its_default(void **state) {
    (void)state;
    struct arguments a;
    uint64_t n;
    int64_t ns;
    assert_null(PARSE(&a, "load"));
    assert_null(argument_u64(&a, OPTION_CONNECTIONS, &n));
    assert_int_equal(n, 4);
    assert_null(argument_duration(&a, OPTION_OVER, &ns));
    assert_int_equal(ns, (int64_t)3600 * 1000000000);
    assert_true(text_is(&a, OPTION_IDS, ""));
    assert_false(argument_flag(&a, OPTION_GZIP));
}

static void the_last_value_wins_unless_the_option_repeats(void **state) {
    (void)state;
    struct arguments a;
    assert_null(PARSE(&a, "query", "logs", "--limit", "1", "--limit", "2"));
    assert_int_equal(a.given[OPTION_LIMIT], 1);
    assert_true(text_is(&a, OPTION_LIMIT, "2"));
    assert_null(PARSE(&a, "query", "logs", "--where", "a=1", "--where", "b=2"));
    assert_int_equal(a.given[OPTION_WHERE], 2);
    assert_true(str_equal(a.values[OPTION_WHERE][0], STR("a=1")));
}

static void repeats_have_a_limit(void **state) {
    (void)state;
    static char option[] = "--where", value[] = "a=1";
    char *argv[2 * OPTION_REPEATS_MAX + 5] = {(char[]){"clew"}, (char[]){"query"}, (char[]){"traces"}};
    for (int i = 3; i < 2 * OPTION_REPEATS_MAX + 5; i += 2) argv[i] = option, argv[i + 1] = value;
    struct arguments a;
    assert_null(arguments_parse(2 * OPTION_REPEATS_MAX + 3, argv, &a));
    err e = arguments_parse(2 * OPTION_REPEATS_MAX + 5, argv, &a);
    assert_non_null(e);
    err_free(e);
}

static void positions_may_look_like_options_after_two_dashes(void **state) {
    (void)state;
    struct arguments a;
    assert_null(PARSE(&a, "backup", "--", "--odd"));
    assert_int_equal(a.position_count, 1);
    assert_true(str_equal(a.positions[0], STR("--odd")));
}

static void a_flag_wins_over_the_environment(void **state) {
    (void)state;
    struct arguments a;
    int64_t ns;
    setenv("CLEW_RETENTION", "bad", 1);
    setenv("CLEW_JSON", "yes", 1);
    assert_null(PARSE(&a, "serve"));
    assert_true(argument_flag(&a, OPTION_JSON));
    err e = argument_duration(&a, OPTION_RETENTION, &ns);
    assert_non_null(e);
    assert_true(str_starts_with(str_of(err_text(e)), STR("CLEW_RETENTION: ")));
    err_free(e);
    assert_null(PARSE(&a, "serve", "--retention", "1h"));
    assert_null(argument_duration(&a, OPTION_RETENTION, &ns));
    assert_int_equal(ns, (int64_t)3600 * 1000000000);
    setenv("CLEW_JSON", "maybe", 1);
    e = PARSE(&a, "serve");
    assert_non_null(e);
    err_free(e);
    unsetenv("CLEW_RETENTION");
    unsetenv("CLEW_JSON");
}

static void mistakes_are_named(void **state) {
    (void)state;
    FAILS("clew serve has no option --dta; did you mean --data?", "serve", "--dta", "x");
    FAILS("clew serve has no option --gzip", "serve", "--gzip");
    FAILS("--data needs a value: DIR", "serve", "--data");
    FAILS("--json takes no value", "serve", "--json=1");
    FAILS("clew serve does not take \"extra\"", "serve", "extra");
    FAILS("clew trace needs TRACE_ID; `clew trace --help` explains", "trace");
    FAILS("there is no command \"sevre\"; did you mean \"serve\"? `clew --help` lists them", "sevre");
    FAILS("there is no command \"quary\"; did you mean \"query traces\"? `clew --help` lists them", "quary", "traces");
    FAILS("there is no command \"\"; `clew --help` lists them", "");
    FAILS("clew query what? `clew query traces` or `clew query logs` or `clew query promql` or `clew query attributes` "
          "or `clew query values` or `clew query correlations` or `clew query correlation` or `clew query propagation`",
          "query");
}

static void wrong_values_are_blamed_on_their_option(void **state) {
    (void)state;
    struct arguments a;
    uint64_t n;
    assert_null(PARSE(&a, "load", "--rate", "-1"));
    err e = argument_u64(&a, OPTION_RATE, &n);
    assert_non_null(e);
    assert_string_equal(err_text(e), "--rate: not a whole number: \"-1\"");
    err_free(e);
    assert_null(PARSE(&a, "serve", "--memory-limit", "x"));
    e = argument_size(&a, OPTION_MEMORY_LIMIT, &n);
    assert_non_null(e);
    err_free(e);
}

static void help_can_be_asked_for_anywhere(void **state) {
    (void)state;
    struct arguments a;
    assert_null(PARSE(&a));
    assert_true(argument_flag(&a, OPTION_HELP) && !a.command);
    assert_null(PARSE(&a, "--help"));
    assert_true(argument_flag(&a, OPTION_HELP) && !a.command);
    assert_null(PARSE(&a, "query", "--help"));
    assert_true(argument_flag(&a, OPTION_HELP) && !a.command && str_equal(a.topic, STR("query")));
    assert_null(PARSE(&a, "help", "token"));
    assert_true(argument_flag(&a, OPTION_HELP) && !a.command && str_equal(a.topic, STR("token")));
    assert_null(PARSE(&a, "help", "query", "logs"));
    assert_string_equal(a.command->name, "query logs");
    assert_null(PARSE(&a, "help", "trace"));
    assert_true(argument_flag(&a, OPTION_HELP) && a.command);
    FAILS("there is no command \"kwery\"; `clew --help` lists them", "kwery", "--help");
    assert_null(PARSE(&a, "trace", "-h")); /* without its TRACE_ID */
    assert_true(argument_flag(&a, OPTION_HELP) && a.command);
    assert_null(PARSE(&a, "query", "logs", "--help"));
    assert_string_equal(a.command->name, "query logs");
    assert_null(PARSE(&a, "--version"));
    assert_string_equal(a.command->name, "version");
}

/* Two commands may share a name for different options; one command may not. */
static void each_name_of_a_command_is_one_option(void **state) {
    (void)state;
    for (size_t i = 0; i < command_count; i++) {
        AUTO_BUF struct buf help;
        struct str rest, line, seen[OPTIONS];
        int n = 0;
        buf_init(&help, 64 * KIB);
        arguments_help(&commands[i], &help);
        rest = buf_str(&help);
        while (rest.n) {
            struct str name, text;
            str_cut(rest, '\n', &line, &rest);
            if (!str_starts_with(line, STR("  --"))) continue;
            str_cut((struct str){line.p + 4, line.n - 4}, ' ', &name, &text);
            for (int k = 0; k < n; k++) assert_false(str_equal(seen[k], name));
            seen[n++] = name;
        }
    }
}

/* ---- every option of every command ------------------------------------------------------------------------------ */

/* Words that call a command with what it needs, then these; returns the error. */
static err call(const struct command *c, struct arguments *a, const char *one, const char *two) {
    char text[64];
    const char *words[8] = {NULL};
    int n = 0;
    snprintf(text, sizeof text, "%s", c->name);
    char *space = strchr(text, ' ');
    if (space) *space = 0;
    words[n++] = text;
    if (space) words[n++] = space + 1;
    for (int i = 0; i < c->positions_min; i++) words[n++] = "position";
    if (one) words[n++] = one;
    if (two) words[n++] = two;
    return parse(a, words);
}

static void expect(err e, const char *want, const char *what) {
    if (!want && e) fail_msg("%s: %s", what, err_text(e));
    if (want && (!e || !strstr(err_text(e), want))) fail_msg("%s: \"%s\", not \"%s\"", what, err_text(e), want);
    err_free(e);
}

/* The name of an option and whether it takes a value, from the help of a command that has it. */
static bool option_name(enum option o, char name[40], bool *out_value) {
    for (size_t i = 0; i < command_count; i++) {
        if (!(commands[i].options >> o & 1)) continue;
        struct command alone = commands[i];
        AUTO_BUF struct buf help;
        alone.options = (option_set)1 << o;
        buf_init(&help, 64 * KIB);
        arguments_help(&alone, &help);
        const char *at = strstr(help.p, "\n  --");
        assert_non_null(at);
        size_t n = strcspn(at + 5, " \n");
        snprintf(name, 40, "--%.*s", (int)n, at + 5);
        *out_value = at[5 + n] == ' ' && at[6 + n] >= 'A' && at[6 + n] <= 'Z';
        return true;
    }
    return false;
}

/* Another option of the same name is the command's. */
static bool takes_namesake(const struct command *c, int o) {
    for (int k = 0; k < OPTIONS; k++)
        if (k != o && c->options >> k & 1 && strcmp(option_row(k)->name, option_row(o)->name) == 0) return true;
    return false;
}

static void each_option_is_taken_by_its_commands_alone(void **state) {
    (void)state;
    struct arguments a;
    int taken = 0, refused = 0;
    for (int o = 0; o < OPTIONS; o++) {
        char name[40], attached[64], what[128];
        bool value;
        if (!option_name((enum option)o, name, &value)) {
            assert_int_equal(o, OPTION_HELP); /* of all */
            continue;
        }
        snprintf(attached, sizeof attached, "%s=7", name);
        for (size_t i = 0; i < command_count; i++) {
            const struct command *c = &commands[i];
            snprintf(what, sizeof what, "clew %s %s", c->name, name);
            bool has = c->options >> o & 1;
            if (!has && takes_namesake(c, o)) continue;
            expect(call(c, &a, name, value ? "7" : NULL), has ? NULL : " has no option --", what);
            assert_int_equal(a.given[o], has);
            expect(call(c, &a, attached, NULL), !has ? " has no option --" : value ? NULL : " takes no value", what);
            if (has && value) expect(call(c, &a, name, NULL), " needs a value: ", what);
            taken += has, refused += !has;
        }
    }
    assert_true(taken > 60 && refused > 200);
}

/* default < environment < flag, for every pair of command and option. */
static void flag_environment_and_default_in_that_order(void **state) {
    (void)state;
    struct arguments a;
    for (int o = 0; o < OPTIONS; o++) {
        char name[40], variable[48] = "CLEW_";
        bool value;
        if (!option_name((enum option)o, name, &value)) continue;
        for (size_t i = 2; name[i]; i++)
            variable[i + 3] = name[i] == '-' ? '_' : (char)(name[i] - 'a' + 'A'), variable[i + 4] = 0;
        for (size_t i = 0; i < command_count; i++) {
            const struct command *c = &commands[i];
            if (!(c->options >> o & 1)) continue;
            unsetenv(variable);
            expect(call(c, &a, NULL, NULL), NULL, name);
            assert_int_equal(a.given[o], 0);
            struct str fallback = argument_text(&a, (enum option)o);
            setenv(variable, value ? "from-environment" : "true", 1);
            expect(call(c, &a, NULL, NULL), NULL, name);
            assert_int_equal(a.given[o], 1);
            assert_true(a.from_environment[o]);
            if (value) assert_true(text_is(&a, (enum option)o, "from-environment") && fallback.n < 40);
            expect(call(c, &a, name, value ? "from-flag" : NULL), NULL, name);
            assert_int_equal(a.given[o], 1);
            assert_false(a.from_environment[o]);
            if (value) assert_true(text_is(&a, (enum option)o, "from-flag"));
            setenv(variable, value ? "" : "off", 1);
            expect(call(c, &a, NULL, NULL), NULL, name);
            assert_int_equal(a.given[o], value); /* an empty value is a value */
            if (!value) {
                setenv(variable, "perhaps", 1);
                expect(call(c, &a, NULL, NULL), variable, name);
            }
        }
        unsetenv(variable);
    }
}

/* Each name with one letter left out, doubled or changed is answered with a name of the command that is as near. */
static void a_slip_is_answered_with_the_nearest_name(void **state) {
    (void)state;
    struct arguments a;
    for (size_t i = 0; i < command_count; i++) {
        for (int o = 0; o < OPTIONS; o++) {
            char name[40], slip[48], want[64];
            bool value;
            if (!(commands[i].options >> o & 1) || !option_name((enum option)o, name, &value) || strlen(name) < 7)
                continue;
            for (int kind = 0; kind < 3; kind++) {
                snprintf(slip, sizeof slip, "%s", name);
                if (kind == 0) memmove(slip + 3, slip + 4, strlen(slip + 4) + 1);
                if (kind == 1) snprintf(slip, sizeof slip, "%.4s%s", name, name + 3);
                if (kind == 2) slip[4] = '#';
                snprintf(want, sizeof want, "did you mean %s?", name);
                expect(call(&commands[i], &a, slip, NULL), want, slip);
            }
        }
        expect(call(&commands[i], &a, "--zzzzzzzzzzzz", NULL), "has no option --zzzzzzzzzzzz", "far");
        err e = call(&commands[i], &a, "--q", NULL);
        assert_null(strstr(err_text(e), "did you mean"));
        err_free(e);
    }
}

static void positions_are_counted(void **state) {
    (void)state;
    struct arguments a;
    for (size_t i = 0; i < command_count; i++) {
        const struct command *c = &commands[i];
        expect(call(c, &a, NULL, NULL), NULL, c->name);
        assert_int_equal(a.position_count, c->positions_min);
        if (c->positions_max == c->positions_min) expect(call(c, &a, "more", NULL), "does not take \"more\"", c->name);
        expect(call(c, &a, "--help", NULL), NULL, c->name);
        expect(call(c, &a, "-h", NULL), NULL, c->name);
        assert_int_equal(a.given[OPTION_HELP], 1);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_come_attached_or_after),
        cmocka_unit_test(what_is_not_given_has_its_default),
        cmocka_unit_test(the_last_value_wins_unless_the_option_repeats),
        cmocka_unit_test(repeats_have_a_limit),
        cmocka_unit_test(positions_may_look_like_options_after_two_dashes),
        cmocka_unit_test(a_flag_wins_over_the_environment),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(wrong_values_are_blamed_on_their_option),
        cmocka_unit_test(help_can_be_asked_for_anywhere),
        cmocka_unit_test(each_name_of_a_command_is_one_option),
        cmocka_unit_test(each_option_is_taken_by_its_commands_alone),
        cmocka_unit_test(flag_environment_and_default_in_that_order),
        cmocka_unit_test(a_slip_is_answered_with_the_nearest_name),
        cmocka_unit_test(positions_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
