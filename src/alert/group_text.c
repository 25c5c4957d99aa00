#include "alert/group_text.h"

#include "alert/rules.h"
#include "base/json.h"
#include "base/text.h"
#include "base/yaml.h"

/* ---- to JSON ----------------------------------------------------------------------------------------------------- */

static bool is_digits(struct str s) {
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9') return false;
    return s.n > 0 && s.n < 19 && (s.n == 1 || s.p[0] != '0');
}

static bool is_count(const struct yaml *y, uint64_t *out) {
    err e = yaml_count(y, out);
    err_free(e);
    return !e;
}

static void put_node(struct json_writer *w, const struct yaml *y, struct str key) {
    uint64_t count;
    if (y->kind == YAML_SCALAR) {
        if (yaml_is_null(y))
            json_null(w);
        else if (str_equal(key, STR("limit")) && is_count(y, &count))
            json_u64(w, count);
        else
            json_str(w, y->text);
        return;
    }
    bool is_map = y->kind == YAML_MAP;
    if (is_map)
        json_object(w);
    else
        json_array(w);
    for (uint32_t i = 0; i < y->n; i++) {
        if (is_map && yaml_is_null(y->items[i]) && !str_equal(key, STR("labels")) &&
            !str_equal(key, STR("annotations")))
            continue; /* as if it did not stand there */
        if (!is_map && yaml_is_null(y->items[i])) continue;
        if (is_map) json_key(w, y->keys[i]->text);
        put_node(w, y->items[i], is_map ? y->keys[i]->text : key);
    }
    if (is_map)
        json_object_end(w);
    else
        json_array_end(w);
}

err rule_groups_json(struct str text, struct arena *a, rule_group_found *found, void *context) {
    struct yaml *root;
    TRY(yaml_read(rules_first_document(text), "rules", a, &root));
    const struct yaml *groups = yaml_get(root, "groups");
    for (uint32_t i = 0; groups && groups->kind == YAML_LIST && i < groups->n; i++) {
        if (yaml_is_null(groups->items[i])) continue;
        AUTO_BUF struct buf json;
        struct json_writer w;
        struct str name = STR("");
        buf_init(&json, YAML_BYTES_MAX);
        json_writer_init(&w, &json);
        TRY(yaml_text(yaml_get(groups->items[i], "name"), &name));
        put_node(&w, groups->items[i], STR(""));
        if (json.full) return err_new(ERR_LIMIT, "a group of more than %d MiB", YAML_BYTES_MAX >> 20);
        TRY(found(context, name, buf_str(&json)));
    }
    return NULL;
}

/* ---- to YAML ----------------------------------------------------------------------------------------------------- */

/* What is no other thing than a text without quotes, outside of brackets. */
static bool is_plain(struct str s) {
    static const char *const meant[] = {"null", "true", "false", "yes", "no", "on", "off", "y", "n"};
    if (!s.n || s.n > 2000 || !(((s.p[0] | 32) >= 'a' && (s.p[0] | 32) <= 'z') || s.p[0] == '_')) return false;
    if (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == ':' || str_contains(s, STR(": ")) || str_contains(s, STR(" #")))
        return false;
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < ' ' || s.p[i] > '~') return false;
    for (size_t i = 0; i < LENGTH(meant); i++)
        if (str_equal_nocase(s, str_of(meant[i]))) return false;
    return true;
}

/* A block says a text of several lines as it is, if no line begins the block with a blank or has what is not printed. */
static bool is_block(struct str s) {
    if (!memchr(s.p, '\n', s.n) || s.p[0] == ' ' || s.p[0] == '\n' || !utf8_is_valid(s)) return false;
    if (s.n > 1 && s.p[s.n - 1] == '\n' && s.p[s.n - 2] == '\n') return false;
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if ((c < ' ' && c != '\n') || c == 127) return false;
        if (c >= 0x80) return false; /* some of them end lines */
    }
    return true;
}

static void put_block(struct buf *out, struct str s, int depth) {
    struct str rest = s, line;
    bool ends = s.p[s.n - 1] == '\n';
    buf_add_text(out, ends ? "|\n" : "|-\n");
    if (ends) rest.n--;
    for (bool more = true; more;) {
        more = str_cut(rest, '\n', &line, &rest);
        if (line.n) buf_add_fmt(out, "%*s" STR_FMT, 2 * depth, "", STR_ARG(line));
        buf_add_byte(out, '\n');
    }
}

/* 5m, 1h30m: no number to any reader. */
static bool is_duration(struct str s) {
    if (s.n < 2 || s.n > 12 || s.p[0] < '1' || s.p[0] > '9' || !strchr("smhdwy", s.p[s.n - 1])) return false;
    for (size_t i = 0; i < s.n; i++)
        if (!strchr("0123456789smhdwy", s.p[i]) || !s.p[i]) return false;
    return true;
}

static void put_scalar(struct buf *out, const struct yaml *y, int depth) {
    struct json_writer w;
    if (yaml_is_null(y)) {
        buf_add_text(out, "\"\"\n");
    } else if (is_block(y->text)) {
        put_block(out, y->text, depth);
    } else {
        json_writer_init(&w, out);
        if (is_plain(y->text) || (!y->quoted && is_digits(y->text)) || is_duration(y->text))
            buf_add_str(out, y->text);
        else
            json_str(&w, y->text);
        buf_add_byte(out, '\n');
    }
}

static void put_value(struct buf *out, const struct yaml *y, int depth);

static void put_members(struct buf *out, const struct yaml *y, int depth, bool first_stands) {
    for (uint32_t i = 0; i < y->n; i++) {
        struct json_writer w;
        if (i || !first_stands) buf_add_fmt(out, "%*s", 2 * depth, "");
        json_writer_init(&w, out);
        if (is_plain(y->keys[i]->text))
            buf_add_str(out, y->keys[i]->text);
        else
            json_str(&w, y->keys[i]->text);
        buf_add_byte(out, ':');
        put_value(out, y->items[i], depth + 1);
    }
}

/* Behind the colon of its key. */
static void put_value(struct buf *out, const struct yaml *y, int depth) {
    if (y->kind != YAML_SCALAR && y->n == 0) {
        buf_add_text(out, y->kind == YAML_MAP ? " {}\n" : " []\n");
    } else if (y->kind == YAML_SCALAR) {
        buf_add_byte(out, ' ');
        put_scalar(out, y, depth);
    } else if (y->kind == YAML_MAP) {
        buf_add_byte(out, '\n');
        put_members(out, y, depth, false);
    } else {
        buf_add_byte(out, '\n');
        for (uint32_t i = 0; i < y->n; i++) {
            buf_add_fmt(out, "%*s-", 2 * depth, "");
            if (y->items[i]->kind == YAML_MAP && y->items[i]->n) {
                buf_add_byte(out, ' ');
                put_members(out, y->items[i], depth + 1, true);
            } else {
                put_value(out, y->items[i], depth + 1);
            }
        }
    }
}

err rule_group_yaml(struct str json, struct arena *a, struct buf *out) {
    struct yaml *root;
    TRY(yaml_read_json(json, "group", a, &root));
    if (root->kind != YAML_MAP || !root->n) return err_new(ERR_INVALID, "a group is an object with members");
    buf_add_text(out, "  - ");
    put_members(out, root, 2, true);
    return out->full ? err_new(ERR_LIMIT, "the file is larger than %zu MiB", out->max / MIB) : NULL;
}
