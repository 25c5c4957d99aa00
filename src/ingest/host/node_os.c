/* What the host is: kernel, distribution, clock. */
#include "ingest/host/node_priv.h"

/* ---- uname ------------------------------------------------------------------------------------------------------------- */

static const struct {
    const char *label, *file;
} uname_rows[] = {{"domainname", "domainname"}, {"machine", "arch"},   {"nodename", "hostname"},
                  {"release", "osrelease"},     {"sysname", "ostype"}, {"version", "version"}};

static void put_uname(struct node *n) {
    struct str text;
    if (!tree_read(&n->tree, &text, "proc/sys/kernel/ostype")) return;
    expo_family(&n->expo, "gauge", "Labeled system information as provided by the uname system call.",
                "node_uname_info");
    for (size_t i = 0; i < LENGTH(uname_rows); i++) {
        bool there = tree_read(&n->tree, &text, "proc/sys/kernel/%s", uname_rows[i].file);
        expo_label(&n->expo, uname_rows[i].label, there ? str_trim(text) : STR(""));
    }
    expo_value(&n->expo, 1);
}

/* ---- os-release --------------------------------------------------------------------------------------------------------- */

/* The value of KEY=value or KEY="value"; "" if it is not there. Escapes in values stay. */
static struct str release_value(struct str text, const char *key) {
    struct str line, name, value;
    while (take_line(&text, &line)) {
        if (!str_cut(line, '=', &name, &value) || !str_equal(str_trim(name), str_of(key))) continue;
        value = str_trim(value);
        if (value.n >= 2 && (value.p[0] == '"' || value.p[0] == '\'') && value.p[value.n - 1] == value.p[0])
            value = str_span(value.p + 1, value.n - 2);
        return value;
    }
    return STR("");
}

static const struct {
    const char *label, *key;
} release_rows[] = {
    {"build_id", "BUILD_ID"},
    {"id", "ID"},
    {"id_like", "ID_LIKE"},
    {"image_id", "IMAGE_ID"},
    {"image_version", "IMAGE_VERSION"},
    {"name", "NAME"},
    {"pretty_name", "PRETTY_NAME"},
    {"variant", "VARIANT"},
    {"variant_id", "VARIANT_ID"},
    {"version", "VERSION"},
    {"version_codename", "VERSION_CODENAME"},
    {"version_id", "VERSION_ID"},
};

/* Digits, and once more behind a point: 22.04.1 is 22.04. */
static bool release_number(struct str version, double *out) {
    size_t n = 0, points = 0;
    while (n < version.n && ((version.p[n] >= '0' && version.p[n] <= '9') || (version.p[n] == '.' && n && !points)))
        points += version.p[n++] == '.';
    if (n && version.p[n - 1] == '.') n--;
    return word_number(str_span(version.p, n), out);
}

void node_os(struct node *n) {
    struct str text;
    double version;
    put_uname(n);
    if (!tree_read(&n->tree, &text, "etc/os-release") && !tree_read(&n->tree, &text, "usr/lib/os-release")) return;
    expo_family(&n->expo, "gauge", "A metric with a constant 1 value labeled by the fields of os-release.",
                "node_os_info");
    for (size_t i = 0; i < LENGTH(release_rows); i++)
        expo_label(&n->expo, release_rows[i].label, release_value(text, release_rows[i].key));
    expo_value(&n->expo, 1);
    if (!release_number(release_value(text, "VERSION_ID"), &version)) return;
    expo_family(&n->expo, "gauge", "Metric containing the major.minor part of the OS version.", "node_os_version");
    expo_label(&n->expo, "id", release_value(text, "ID"));
    expo_label(&n->expo, "id_like", release_value(text, "ID_LIKE"));
    expo_label(&n->expo, "name", release_value(text, "NAME"));
    expo_value(&n->expo, version);
}

/* ---- time ------------------------------------------------------------------------------------------------------------------ */

static void put_clock_source(struct node *n, const char *file, const char *name, const char *help) {
    struct str text, word;
    if (!tree_read(&n->tree, &text, "sys/devices/system/clocksource/clocksource0/%s", file)) return;
    expo_family(&n->expo, "gauge", help, "%s", name);
    text = str_trim(text);
    while (take_word(&text, &word)) {
        expo_label(&n->expo, "clocksource", word);
        expo_label(&n->expo, "device", STR("0"));
        expo_value(&n->expo, 1);
    }
}

void node_time(struct node *n) {
    expo_family(&n->expo, "gauge", "System time in seconds since epoch (1970).", "node_time_seconds");
    expo_value(&n->expo, (double)n->now_ns / 1e9);
    put_clock_source(n, "available_clocksource", "node_time_clocksource_available_info",
                     "Available clocksources read from '/sys/devices/system/clocksource'.");
    put_clock_source(n, "current_clocksource", "node_time_clocksource_current_info",
                     "Current clocksource read from '/sys/devices/system/clocksource'.");
}
