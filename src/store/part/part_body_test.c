/* Log bodies of every type, and what stands beside them: fields against the attributes of their name, events of their span only,
 * attributes of a row before those of its resource. Each by definition, in a batch and in a part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include "os/sim/sim.h"
#include "store/part/part_testing_priv.h"

struct asking {
    struct part *part;
    struct batch rows; /* as the part has them */
};

static void asking_init(struct asking *a, enum signal signal, struct batch_builder *b) {
    struct batches all = {0};
    batches_add_blob(&all, batch_builder_finish(b));
    batch_builder_done(b);
    sim_reset(1);
    a->part = part_write_open("p", signal, &all);
    batch_view(part_fetch_group(a->part, 0), &a->rows);
    batches_done(&all);
}

static void asking_done(struct asking *a) {
    batch_unref(a->rows.blob);
    part_unref(a->part);
}

/* Which rows match, as letters: row 0 is a. Part, batch and definition are compared on the way. */
static void rows_are(const struct asking *a, struct column_ref column, enum operator op, struct str text,
                     const char *want) {
    AUTO_ARENA struct arena memory;
    struct predicate p;
    char got[64] = "";
    size_t n = 0;
    arena_init(&memory, MIB);
    OK(predicate_make(&memory, column, op, text, &p));
    struct scan_request r = {.time_min = INT64_MIN, .time_max = INT64_MAX, .predicates = &p, .predicate_count = 1};
    part_compare_scan(a->part, 0, &a->rows, &r);
    for (uint32_t row = 0; row < a->rows.rows; row++)
        if (predicate_matches_row(&p, &a->rows, row)) got[n++] = (char)('a' + row);
    if (strcmp(got, want) != 0) fail_msg("op %d '" STR_FMT "': rows %s, not %s", op, STR_ARG(text), got, want);
    predicate_done(&p);
}

static uint32_t new_row(struct batch_builder *b) {
    uint32_t row = batch_builder_row(b, SET_ROWS);
    batch_builder_set_u64(b, SET_ROWS, FIELD_TIME, row, row + 1);
    return row;
}

static void put_text(struct batch_builder *b, enum set s, uint32_t row, const char *name, const char *text) {
    uint32_t key = batch_builder_key(b, str_of(name), VALUE_STRING), slot = (uint32_t)b->slots.n;
    *vec_push(&b->slots) = strings_intern(&b->strings, str_of(text));
    batch_builder_attributes(b, s, row, &key, 1, slot);
}

/* ---- bodies ------------------------------------------------------------------------------------------------------- */

/* a: none, b: an empty text, c: "Error 7", d: "7", e: an array ["Error"], f: the number 7, g: bytes, h: an AnyValue of nothing. */
static void make_bodies(struct asking *a) {
    static const struct {
        enum value_type type;
        struct str body;
    } bodies[] = {{VALUE_EMPTY, {"", 0}},
                  {VALUE_STRING, {"", 0}},
                  {VALUE_STRING, {"Error 7", 7}},
                  {VALUE_STRING, {"7", 1}},
                  {VALUE_ANY,
                   {"\x2a\x09\x0a\x07\x0a\x05"
                    "Error",
                    11}},
                  {VALUE_ANY, {"\x18\x07", 2}},
                  {VALUE_ANY, {"\x3a\x02\xff\xff", 4}},
                  {VALUE_ANY, {"", 0}}};
    struct batch_builder b;
    batch_builder_init(&b, SIGNAL_LOGS);
    for (size_t i = 0; i < LENGTH(bodies); i++) {
        uint32_t row = new_row(&b);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_BODY, row, strings_intern(&b.strings, bodies[i].body));
        batch_builder_set_u32(&b, SET_ROWS, FIELD_BODY_TYPE, row, bodies[i].type);
    }
    asking_init(a, SIGNAL_LOGS, &b);
}

static void bodies_match_by_their_type(void **state) {
    (void)state;
    static const struct {
        enum operator op;
        const char *text, *rows;
    } cases[] = {
        {OP_EXISTS, "", "bcdefgh"},
        {OP_ABSENT, "", "a"},
        {OP_EQUAL, "", "b"},
        {OP_NOT_EQUAL, "", "acdefgh"},
        {OP_EQUAL, "7", "df"},
        {OP_NOT_EQUAL, "7", "abcegh"},
        {OP_EQUAL, "Error 7", "c"},
        {OP_EQUAL, "[\"Error\"]", "e"},
        {OP_EQUAL, "\"//8=\"", "g"},
        {OP_EQUAL, "null", "h"},
        {OP_LESS, "Z", "bcd"}, /* texts alone have an order with a text */
        {OP_LESS, "9", ""},    /* and none with a number */
        {OP_GREATER_EQUAL, "E", "c"},
        {OP_MATCH, "Error", "ce"},
        {OP_NOT_MATCH, "Error", "abdfgh"},
        {OP_MATCH, "^$", "b"},
        {OP_MATCH, "", "bcdefgh"},
        {OP_MATCH, "^7$", "df"},
    };
    struct asking a;
    make_bodies(&a);
    for (size_t i = 0; i < LENGTH(cases); i++)
        rows_are(&a, (struct column_ref){.target = TARGET_FIELD, .field = FIELD_BODY}, cases[i].op,
                 str_of(cases[i].text), cases[i].rows);
    static const char *const words[][2] = {{"error", "ce"},  {"err*", "ce"}, {"7", "cdf"},
                                           {"\"r 7\"", "c"}, {"null", "h"},  {"8", "g"},
                                           {"error 7", "c"}, {"\"[\"", "e"}, {"nothing", ""}};
    for (size_t i = 0; i < LENGTH(words); i++)
        rows_are(&a, (struct column_ref){.target = TARGET_TEXT}, OP_WORDS, str_of(words[i][0]), words[i][1]);
    asking_done(&a);
}

/* ---- rows before their resource ----------------------------------------------------------------------------------- */

/* Resource 0 has env=prod, 1 none. a: nothing of its own, b: env=dev, c: env=prod, d: of resource 1 with env=prod, e: of 1. */
static void a_rows_own_attribute_hides_its_resources(void **state) {
    (void)state;
    struct batch_builder b;
    struct asking a;
    batch_builder_init(&b, SIGNAL_LOGS);
    static const char *const own[] = {NULL, "dev", "prod", "prod", NULL};
    put_text(&b, SET_RESOURCES, batch_builder_row(&b, SET_RESOURCES), "env", "prod");
    batch_builder_row(&b, SET_RESOURCES);
    for (size_t i = 0; i < LENGTH(own); i++) {
        uint32_t row = new_row(&b);
        if (own[i]) put_text(&b, SET_ROWS, row, "env", own[i]);
        batch_builder_set_u32(&b, SET_ROWS, FIELD_RESOURCE, row, i >= 3);
    }
    asking_init(&a, SIGNAL_LOGS, &b);
    static const struct {
        enum target target;
        enum operator op;
        const char *text, *rows;
    } cases[] = {
        {TARGET_ANY, OP_EQUAL, "prod", "acd"},      {TARGET_ANY, OP_NOT_EQUAL, "prod", "be"},
        {TARGET_ANY, OP_EXISTS, "", "abcd"},        {TARGET_ANY, OP_ABSENT, "", "e"},
        {TARGET_ANY, OP_EQUAL, "dev", "b"},         {TARGET_ANY, OP_MATCH, "^p", "acd"},
        {TARGET_ATTRIBUTE, OP_EQUAL, "prod", "cd"}, {TARGET_ATTRIBUTE, OP_NOT_EQUAL, "prod", "abe"},
        {TARGET_RESOURCE, OP_EQUAL, "prod", "abc"}, {TARGET_RESOURCE, OP_NOT_EQUAL, "prod", "de"},
        {TARGET_RESOURCE, OP_EQUAL, "dev", ""},     {TARGET_RESOURCE, OP_ABSENT, "", "de"},
    };
    for (size_t i = 0; i < LENGTH(cases); i++)
        rows_are(&a, (struct column_ref){.target = cases[i].target, .key = STR("env")}, cases[i].op,
                 str_of(cases[i].text), cases[i].rows);
    asking_done(&a);
}

/* ---- names -------------------------------------------------------------------------------------------------------- */

/* Scope 0: name lib, version 2; scope 1: nameless, with an attribute name=lib; scope 2: name other. */
static void scopes_have_fields_and_attributes_of_one_name(void **state) {
    (void)state;
    struct batch_builder b;
    struct asking a;
    batch_builder_init(&b, SIGNAL_SPANS);
    for (uint32_t i = 0; i < 3; i++) {
        uint32_t scope = batch_builder_row(&b, SET_SCOPES);
        if (i != 1)
            batch_builder_set_u32(&b, SET_SCOPES, FIELD_NAME, scope,
                                  strings_intern(&b.strings, i ? STR("other") : STR("lib")));
        if (i == 0) batch_builder_set_u32(&b, SET_SCOPES, FIELD_VERSION, scope, strings_intern(&b.strings, STR("2")));
        if (i == 1) put_text(&b, SET_SCOPES, scope, "name", "lib");
        batch_builder_set_u32(&b, SET_ROWS, FIELD_SCOPE, new_row(&b), i);
    }
    asking_init(&a, SIGNAL_SPANS, &b);
    struct column_ref name = {.target = TARGET_SCOPE, .key = STR("name")},
                      version = {.target = TARGET_SCOPE, .key = STR("version")};
    rows_are(&a, name, OP_EQUAL, STR("lib"), "ab");
    rows_are(&a, name, OP_NOT_EQUAL, STR("lib"), "c");
    rows_are(&a, name, OP_EXISTS, STR(""), "abc");
    rows_are(&a, name, OP_GREATER, STR("m"), "c");
    rows_are(&a, version, OP_EXISTS, STR(""), "a");
    rows_are(&a, version, OP_ABSENT, STR(""), "bc");
    rows_are(&a, version, OP_EQUAL, STR("2"), "a");
    rows_are(&a, version, OP_GREATER, STR("1"), ""); /* a version is a text, 1 a number */
    asking_done(&a);
}

/* a: events boot and stop, b: none, c: stop with why=disk full, d: none, e: one without a name. */
static void events_are_asked_of_their_own_span(void **state) {
    (void)state;
    struct batch_builder b;
    struct asking a;
    static const char *const names[][2] = {{"boot", "stop"}, {NULL, NULL}, {"stop", NULL}, {NULL, NULL}, {"", NULL}};
    batch_builder_init(&b, SIGNAL_SPANS);
    for (size_t i = 0; i < LENGTH(names); i++) {
        uint32_t row = new_row(&b);
        for (int k = 0; k < 2 && names[i][k]; k++) {
            uint32_t event = batch_builder_row(&b, SET_EVENTS);
            batch_builder_set_u32(&b, SET_EVENTS, FIELD_NAME, event, strings_intern(&b.strings, str_of(names[i][k])));
            if (i == 2) put_text(&b, SET_EVENTS, event, "why", "disk full");
        }
        batch_builder_set_u32(&b, SET_ROWS, FIELD_EVENT_END, row, b.sets[SET_EVENTS].n);
    }
    asking_init(&a, SIGNAL_SPANS, &b);
    struct column_ref name = {.target = TARGET_EVENT, .key = STR("name")},
                      why = {.target = TARGET_EVENT, .key = STR("why")};
    rows_are(&a, name, OP_EQUAL, STR("stop"), "ac");
    rows_are(&a, name, OP_NOT_EQUAL, STR("stop"), "bde");
    rows_are(&a, name, OP_EQUAL, STR("boot"), "a");
    rows_are(&a, name, OP_EXISTS, STR(""), "ac");
    rows_are(&a, name, OP_ABSENT, STR(""), "bde");
    rows_are(&a, name, OP_MATCH, STR("o"), "ac");
    rows_are(&a, name, OP_EQUAL, STR(""), "e");
    rows_are(&a, why, OP_EXISTS, STR(""), "c");
    rows_are(&a, why, OP_NOT_MATCH, STR("disk"), "abde");
    rows_are(&a, (struct column_ref){.target = TARGET_TEXT}, OP_WORDS, STR("full stop"), "c");
    rows_are(&a, (struct column_ref){.target = TARGET_TEXT}, OP_WORDS, STR("\"k f\""), "c");
    rows_are(&a, (struct column_ref){.target = TARGET_TEXT}, OP_WORDS, STR("boot stop"), "a");
    asking_done(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bodies_match_by_their_type),
        cmocka_unit_test(a_rows_own_attribute_hides_its_resources),
        cmocka_unit_test(scopes_have_fields_and_attributes_of_one_name),
        cmocka_unit_test(events_are_asked_of_their_own_span),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
