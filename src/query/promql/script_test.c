/* Runs PromQL test scripts as Prometheus has them (`load`, `clear`, `eval instant`, `eval range`, `expect`): each case once as it is
 * written and, where it is an instant, once more as a range around it.
 *
 * usage: promql_script_test [plain] [FOLDER], else the environment's CLEW_PROMQL_SCRIPTS. Cases are counted by what they need: core,
 * native histograms, and what Prometheus has behind flags. The scripts are written for delayed name removal; `plain` runs them
 * without it, where Prometheus passes 713 of core. The run is good if as many of each pass as the table says. No folder: skipped. */
#include "query/promql/script_test_priv.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SKIPPED = 77 };

static const struct {
    const char *name;
    size_t least, plain; /* of them must pass, and without delayed_name_removal as Prometheus is by default */
} classes[CLASSES] = {[CLASS_CORE] = {"core", 718, 713},
                      [CLASS_NATIVE] = {"native histograms", 640, 640},
                      [CLASS_EXTENSION] = {"extensions", 121, 117}};

static bool almost(double a, double b) {
    double smallest = 0x1p-1022, sum = fabs(a) + fabs(b), difference = fabs(a - b);
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    if (a == b) return true;
    if (a == 0 || b == 0 || sum < smallest) return difference < 1e-6 * smallest;
    return difference / fmin(sum, 0x1.fffffffffffffp1023) < 1e-6;
}

/* ---- comparing --------------------------------------------------------------------------------------------------- */

static bool native_almost(const struct native *x, const struct native *y) {
    if (!almost(x->count, y->count) || !almost(x->sum, y->sum) || x->schema != y->schema) return false;
    struct native_walk i = native_walk(x, false), k = native_walk(y, false);
    for (;;) {
        struct native_bucket a = {0}, b = {0};
        bool more = native_next(&i, &a);
        if (more != native_next(&k, &b)) return false;
        if (!more) return true;
        if (!almost(a.lower, b.lower) || !almost(a.upper, b.upper) || !almost(a.count, b.count)) return false;
    }
}

static bool cell_equals(const struct series_value *want, const struct promql_row *row, size_t i) {
    if (want->histogram) return row->kinds[i] == PROMQL_HISTOGRAM && native_almost(want->histogram, row->histograms[i]);
    return row->kinds[i] == PROMQL_FLOAT && almost(want->number, row->values[i]);
}

static void say_cell(struct buf *b, const struct promql_row *row, size_t i) {
    promql_labels_print(row->labels, b);
    buf_add_byte(b, ' ');
    if (row->kinds[i] == PROMQL_FLOAT)
        buf_add_fmt(b, "%.17g", row->values[i]);
    else if (row->kinds[i] == PROMQL_HISTOGRAM)
        native_print(row->histograms[i], b);
    else
        buf_add_text(b, "nothing");
}

static const struct script_series *expected_for(const struct script_case *c, struct labels labels, size_t *out_at) {
    for (size_t i = 0; i < c->expected.n; i++)
        if (promql_labels_compare(c->expected.v[i].labels, labels) == 0) return *out_at = i, &c->expected.v[i];
    return NULL;
}

/* Step `from` of the answer is the first expected value. */
static bool rows_equal(const struct script_case *c, const struct promql_answer *a, size_t from, size_t steps,
                       bool ordered, struct buf *why) {
    size_t found = 0, place = 0, at = 0;
    for (size_t r = 0; r < a->row_n; r++) {
        const struct promql_row *row = &a->rows[r];
        bool any = false;
        for (size_t i = 0; i < steps; i++) any |= row->kinds[from + i] != PROMQL_ABSENT;
        if (!any) continue;
        const struct script_series *want = expected_for(c, row->labels, &at);
        if (!want) return buf_add_text(why, "unexpected "), say_cell(why, row, from), false;
        if (ordered && at != place) return buf_add_text(why, "out of order: "), say_cell(why, row, from), false;
        place++;
        found++;
        for (size_t i = 0; i < steps; i++) {
            bool wanted = i < want->values.n && !want->values.v[i].omitted;
            if (wanted ? cell_equals(&want->values.v[i], row, from + i) : row->kinds[from + i] == PROMQL_ABSENT)
                continue;
            buf_add_fmt(why, "step %zu: ", i);
            say_cell(why, row, from + i);
            if (wanted && !want->values.v[i].histogram) buf_add_fmt(why, ", expected %.17g", want->values.v[i].number);
            if (wanted && want->values.v[i].histogram)
                buf_add_text(why, ", expected "), native_print(want->values.v[i].histogram, why);
            return false;
        }
    }
    size_t wanted = 0;
    for (size_t i = 0; i < c->expected.n; i++) {
        bool any = false;
        for (size_t k = 0; k < c->expected.v[i].values.n; k++) any |= !c->expected.v[i].values.v[k].omitted;
        wanted += any;
    }
    if (found == wanted) return true;
    return buf_add_fmt(why, "%zu series, expected %zu", found, wanted), false;
}

static bool points_equal(const struct script_case *c, const struct promql_answer *a, struct buf *why) {
    size_t at;
    for (size_t r = 0; r < a->point_n; r++) {
        const struct promql_points *p = &a->points[r];
        const struct script_series *want = expected_for(c, p->labels, &at);
        size_t got = 0;
        if (!want) return buf_add_text(why, "an unexpected series"), false;
        for (size_t k = 0; k < want->values.n; k++) {
            int64_t t = c->start + (int64_t)k * c->step;
            bool found = false;
            for (size_t i = 0; i < p->n; i++)
                found |=
                    p->times[i] == t && !want->values.v[k].histogram && almost(p->values[i], want->values.v[k].number);
            for (size_t i = 0; i < p->histogram_n; i++)
                found |= p->histogram_times[i] == t && want->values.v[k].histogram &&
                         native_almost(p->histograms[i], want->values.v[k].histogram);
            if (!want->values.v[k].omitted && !found)
                return buf_add_fmt(why, "no such point at %lld", (long long)t), false;
            got += found && !want->values.v[k].omitted;
        }
        if (got != p->n + p->histogram_n) return buf_add_text(why, "more points than expected"), false;
    }
    return a->point_n == c->expected.n || (buf_add_fmt(why, "%zu series", a->point_n), false);
}

static bool notes_fit(const struct script_case *c, const struct promql_answer *a, struct buf *why) {
    const struct str *notes[2] = {a->warnings, a->infos};
    size_t n[2] = {a->warning_n, a->info_n};
    for (int kind = 0; kind < 2; kind++) {
        if (c->wants_note[kind] && !n[kind]) return buf_add_fmt(why, "no %s", kind ? "info" : "warning"), false;
        if (c->wants_no_note[kind] && n[kind])
            return buf_add_fmt(why, "unexpected: " STR_FMT, STR_ARG(notes[kind][0])), false;
        bool found = !c->note[kind].n;
        for (size_t i = 0; i < n[kind]; i++) found |= str_starts_with(notes[kind][i], c->note[kind]);
        if (!found)
            return buf_add_fmt(why, "another %s: " STR_FMT, kind ? "info" : "warning", STR_ARG(notes[kind][0])), false;
    }
    return true;
}

/* ---- running ----------------------------------------------------------------------------------------------------- */

static bool answer_fits(const struct script_case *c, const struct promql_answer *a, size_t from, bool as_range,
                        struct buf *why) {
    if (c->text.p && !as_range) return str_equal(a->text, c->text) || (buf_add_text(why, "another string"), false);
    if (c->is_scalar) {
        bool good = (a->type == PROMQL_SCALAR) && a->row_n == 1 && almost(a->rows[0].values[from], c->scalar);
        return good ||
               (buf_add_fmt(why, "scalar %.17g, expected %.17g", a->row_n ? a->rows[0].values[from] : NAN, c->scalar),
                false);
    }
    if (a->type == PROMQL_SCALAR && !c->is_range) return buf_add_text(why, "a scalar"), false;
    if (a->type == PROMQL_MATRIX) return points_equal(c, a, why);
    return rows_equal(c, a, from, c->is_range ? a->step_n : 1, c->ordered && !as_range, why);
}

static bool run_case(struct memory *m, const struct script_case *c, bool delayed, bool as_range, struct buf *why) {
    struct arena a;
    struct promql_answer answer = {0};
    struct promql_options o = {.start_ms = c->start,
                               .end_ms = c->end,
                               .step_ms = c->is_range ? c->step : 0,
                               .delayed_name_removal = delayed,
                               .type_and_unit_labels = true};
    if (as_range)
        o.start_ms = c->at - 60000, o.end_ms = c->at + 60000, o.step_ms = 60000;
    else if (!c->is_range)
        o.start_ms = o.end_ms = c->at;
    arena_init(&a, 1024 * MIB);
    const struct promql_node *e;
    err failed = promql_parse(&a, c->query, (struct promql_syntax){true, true}, &e, NULL);
    bool parsed = !failed, good;
    if (!failed) failed = promql_run(&a, &m->source, e, c->query, &o, &answer);
    if (failed) {
        good = c->fails && (!c->message.n || str_contains(str_of(err_text(failed)), c->message));
        if (!good) buf_add_fmt(why, "%s%s", parsed ? "" : "not parsed: ", err_text(failed));
    } else if (c->fails) {
        buf_add_text(why, "it did not fail");
        good = false;
    } else {
        good = answer_fits(c, &answer, as_range ? 1 : 0, as_range, why) && (as_range || notes_fit(c, &answer, why));
    }
    err_free(failed);
    arena_done(&a);
    return good;
}

static bool may_ask_as_range(const struct script_case *c) {
    return !c->is_range && !c->ordered && !c->text.p && !c->is_matrix && !c->fails;
}

struct counts {
    size_t passed[CLASSES], failed[CLASSES], as_range;
};

static void run_script(const char *path, bool delayed, struct counts *counts) {
    struct script s;
    script_read(&s, path);
    struct memory m;
    memory_init(&m);
    for (size_t i = 0; i < s.commands.n; i++) {
        const struct script_command *command = &s.commands.v[i];
        if (command->kind == SCRIPT_CLEAR) {
            memory_done(&m);
            memory_init(&m);
        } else if (command->kind == SCRIPT_LOAD) {
            script_load(&s, command, &m);
        } else {
            AUTO_BUF struct buf why;
            buf_init(&why, 64 * KIB);
            const struct script_case *c = &command->eval;
            bool good = run_case(&m, c, delayed, false, &why);
            if (good && may_ask_as_range(c) && !run_case(&m, c, delayed, true, &why)) {
                counts->as_range++;
                good = false;
            }
            (good ? counts->passed : counts->failed)[c->class]++;
            if (!good)
                printf("%s:%zu: [%s] " STR_FMT "\n    %s\n", path, c->line, classes[c->class].name, STR_ARG(c->query),
                       why.p ? why.p : "");
        }
    }
    memory_done(&m);
    script_done(&s);
}

int main(int argc, char **argv) {
    struct dirent **names;
    struct counts counts = {0};
    const char *named = getenv("CLEW_PROMQL_SCRIPTS"), *folder = named ? named : "";
    bool plain = argc > 1 && strcmp(argv[1], "plain") == 0;
    if (argc > 1 + plain) folder = argv[1 + plain];
    int n = scandir(folder, &names, NULL, alphasort);
    if (n < 0) {
        size_t all = 0;
        for (enum script_class k = 0; k < CLASSES; k++) all += plain ? classes[k].plain : classes[k].least;
        printf("no scripts in \"%s\"\n%zu skipped\n", folder, all);
        return SKIPPED;
    }
    for (int i = 0; i < n; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        if (str_ends_with(str_of(names[i]->d_name), STR(".test"))) run_script(path, !plain, &counts);
        free(names[i]);
    }
    free(names);
    size_t passed = 0, failed = 0;
    for (enum script_class k = 0; k < CLASSES; k++) {
        printf("%s: %zu of %zu\n", classes[k].name, counts.passed[k], counts.passed[k] + counts.failed[k]);
        passed += counts.passed[k];
        failed += counts.passed[k] < (plain ? classes[k].plain : classes[k].least);
    }
    printf("differ only as a range: %zu\n%zu passed, %zu failed\n", counts.as_range, passed, failed);
    return failed ? 1 : 0;
}
