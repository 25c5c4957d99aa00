#include "ingest/scrape/relabel.h"

#include <openssl/evp.h>
#include <wctype.h>
#include <locale.h>

#include "base/text.h"
#include "base/yaml.h"
#include "store/match/regex.h"

enum { GROUPS_MAX = 128, SOURCES_MAX = 64, RULES_MAX = 4096 };

struct relabel_rule {
    enum relabel_action action;
    struct str source[SOURCES_MAX];
    uint32_t source_n;
    struct str separator, target, replacement;
    bool has_regex, has_separator, has_replacement;
    uint64_t modulus;
    struct regex *regex;
};

/* ---- sets of labels ------------------------------------------------------------------------------------------------ */

void relabel_set_init(struct relabel_set *s, struct arena *a) { *s = (struct relabel_set){.arena = a}; }
void relabel_set_done(struct relabel_set *s) { vec_done(&s->list); }

/* Where the name is, or would be. */
static size_t find_label(const struct relabel_set *s, struct str name, bool *out_there) {
    size_t low = 0, high = s->list.n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = str_compare(s->list.v[middle].name, name);
        if (order == 0) {
            *out_there = true;
            return middle;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *out_there = false;
    return low;
}

struct str label_get(const struct relabel_set *s, struct str name) {
    bool there;
    size_t i = find_label(s, name, &there);
    return there ? s->list.v[i].value : STR("");
}

static void remove_at(struct relabel_set *s, size_t i) {
    memmove(&s->list.v[i], &s->list.v[i + 1], (s->list.n - i - 1) * sizeof *s->list.v);
    s->list.n--;
}

void label_remove(struct relabel_set *s, struct str name) {
    bool there;
    size_t i = find_label(s, name, &there);
    if (there) remove_at(s, i);
}

void label_put(struct relabel_set *s, struct str name, struct str value) {
    bool there;
    if (!value.n) {
        label_remove(s, name);
        return;
    }
    size_t i = find_label(s, name, &there);
    if (there) {
        s->list.v[i].value = value;
        return;
    }
    if (s->list.n == RELABEL_LABELS_MAX) {
        s->full = true;
        return;
    }
    vec_reserve(&s->list, 1);
    memmove(&s->list.v[i + 1], &s->list.v[i], (s->list.n - i) * sizeof *s->list.v);
    s->list.v[i] = (struct label){name, value};
    s->list.n++;
}

/* The same with texts that do not live on. */
static void put_copy(struct relabel_set *s, struct str name, const struct buf *value) {
    struct str kept_name = arena_copy(s->arena, name), kept = arena_copy(s->arena, buf_str(value));
    if (value->full || !kept_name.p || !kept.p)
        s->full = true;
    else
        label_put(s, kept_name, kept);
}

/* ---- templates: $1, ${1}, $name, ${name}, $$ ----------------------------------------------------------------------- */

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || (c & 0x80);
}

/* The name behind a $; false: there is none, and the $ stands for itself. */
static bool template_name(struct str text, struct str *out, size_t *out_bytes) {
    bool brace = text.n && text.p[0] == '{';
    size_t start = brace, end = start;
    while (end < text.n && is_word(text.p[end])) end++;
    if (end == start || (brace && (end == text.n || text.p[end] != '}'))) return false;
    *out = (struct str){text.p + start, end - start};
    *out_bytes = end + brace;
    return true;
}

/* The number of a group that a name says; -1: it is no number (a leading 0 makes it none, as in Go). */
static int group_number(struct str name) {
    int n = 0;
    if (name.n > 1 && name.p[0] == '0') return -1;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] < '0' || name.p[i] > '9' || n >= 100000000) return -1;
        n = n * 10 + (name.p[i] - '0');
    }
    return n;
}

static void expand(const struct regex *regex, struct str template, const struct str *groups, size_t n,
                   struct buf *out) {
    for (size_t i = 0; i < template.n;) {
        struct str name, rest = {template.p + i + 1, template.n - i - 1};
        size_t bytes;
        if (template.p[i] != '$') {
            buf_add_byte(out, template.p[i++]);
            continue;
        }
        i++;
        if (rest.n && rest.p[0] == '$') {
            buf_add_byte(out, '$');
            i++;
        } else if (!template_name(rest, &name, &bytes)) {
            buf_add_byte(out, '$');
        } else {
            int number = group_number(name);
            if (number < 0) number = regex_group_number(regex, name);
            if (number >= 0 && (size_t)number < n) buf_add_str(out, groups[number]);
            i += bytes;
        }
    }
}

/* ---- one rule ------------------------------------------------------------------------------------------------------- */

static void put_case(struct buf *out, struct str text, bool upper) {
    static locale_t unicode; /* made once; a second thread that comes at the same time makes an equal one */
    if (!unicode) unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    for (size_t i = 0; i < text.n;) {
        unsigned char c = (unsigned char)text.p[i];
        int more = c < 0xc0 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
        wint_t point = more ? c & (0x3fu >> more) : c;
        if (i + (size_t)more >= text.n) more = 0;
        for (int k = 1; k <= more; k++) point = point << 6 | ((unsigned char)text.p[i + (size_t)k] & 0x3f);
        wint_t to = more || c < 0x80 ? (upper ? towupper_l : towlower_l)(point, unicode) : point;
        if (c >= 0x80 && !more)
            buf_add_byte(out, (char)c);
        else if (to == point)
            buf_add(out, text.p + i, (size_t)more + 1);
        else if (to < 0x80)
            buf_add_byte(out, (char)to);
        else if (to < 0x800)
            buf_add(out, (char[]){(char)(0xc0 | to >> 6), (char)(0x80 | (to & 0x3f))}, 2);
        else if (to < 0x10000)
            buf_add(out, (char[]){(char)(0xe0 | to >> 12), (char)(0x80 | (to >> 6 & 0x3f)), (char)(0x80 | (to & 0x3f))},
                    3);
        else
            buf_add(out,
                    (char[]){(char)(0xf0 | to >> 18), (char)(0x80 | (to >> 12 & 0x3f)), (char)(0x80 | (to >> 6 & 0x3f)),
                             (char)(0x80 | (to & 0x3f))},
                    4);
        i += (size_t)more + 1;
    }
}

/* The last eight bytes of the MD5, as a number: what Prometheus shards by since its first days. */
static uint64_t md5_tail(struct str text) {
    unsigned char sum[EVP_MAX_MD_SIZE];
    uint64_t tail = 0;
    if (!EVP_Digest(text.p ? text.p : "", text.n, sum, NULL, EVP_md5(), NULL)) return 0;
    for (int i = 8; i < 16; i++) tail = tail << 8 | sum[i];
    return tail;
}

static bool found(const struct relabel_rule *r, struct relabel_set *s, struct str text) {
    bool there = regex_found(r->regex, text);
    s->unknown |= regex_last_gave_up(r->regex);
    return there;
}

static size_t find_groups(const struct relabel_rule *r, struct relabel_set *s, struct str text,
                          struct str groups[GROUPS_MAX]) {
    size_t n = regex_groups(r->regex, text, groups, GROUPS_MAX);
    s->unknown |= regex_last_gave_up(r->regex);
    return n;
}

static void replace(const struct relabel_rule *r, struct relabel_set *s, struct str joined, struct buf *out) {
    struct str groups[GROUPS_MAX];
    size_t n = find_groups(r, s, joined, groups);
    if (!n) return;
    expand(r->regex, r->target, groups, n, out);
    struct str target = arena_copy(s->arena, buf_str(out));
    if (out->full || !target.p) {
        s->full = true;
        return;
    }
    if (!target.n || !utf8_is_valid(target)) return;
    buf_clear(out);
    expand(r->regex, r->replacement, groups, n, out);
    put_copy(s, target, out);
}

/* labelmap, labeldrop, labelkeep: over the names as they were. */
static void over_names(const struct relabel_rule *r, struct relabel_set *s, struct buf *out) {
    size_t n = s->list.n;
    struct label *before = arena_alloc(s->arena, MAX(n, (size_t)1) * sizeof *before);
    if (!before) {
        s->full = true;
        return;
    }
    if (n) memcpy(before, s->list.v, n * sizeof *before);
    for (size_t i = 0; i < n; i++) {
        struct str groups[GROUPS_MAX];
        size_t group_n =
            r->action == RELABEL_LABELMAP ? find_groups(r, s, before[i].name, groups) : found(r, s, before[i].name);
        if (r->action != RELABEL_LABELMAP) {
            if ((group_n > 0) == (r->action == RELABEL_LABELDROP)) label_remove(s, before[i].name);
            continue;
        }
        if (!group_n) continue;
        buf_clear(out);
        expand(r->regex, r->replacement, groups, group_n, out);
        struct str name = arena_copy(s->arena, buf_str(out));
        if (out->full || !name.p)
            s->full = true;
        else
            label_put(s, name, before[i].value);
    }
}

static bool apply_rule(const struct relabel_rule *r, struct relabel_set *s, struct buf *joined, struct buf *out) {
    for (uint32_t i = 0; i < r->source_n; i++) {
        if (i) buf_add_str(joined, r->separator);
        buf_add_str(joined, label_get(s, r->source[i]));
    }
    struct str text = joined->n ? buf_str(joined) : STR("");
    switch (r->action) {
    case RELABEL_KEEP: return found(r, s, text);
    case RELABEL_DROP: return !found(r, s, text);
    case RELABEL_KEEPEQUAL: return str_equal(label_get(s, r->target), text);
    case RELABEL_DROPEQUAL: return !str_equal(label_get(s, r->target), text);
    case RELABEL_REPLACE: replace(r, s, text, out); return true;
    case RELABEL_HASHMOD: put_u64(out, md5_tail(text) % r->modulus); break;
    case RELABEL_LOWERCASE: put_case(out, text, false); break;
    case RELABEL_UPPERCASE: put_case(out, text, true); break;
    case RELABEL_LABELMAP:
    case RELABEL_LABELDROP:
    case RELABEL_LABELKEEP: over_names(r, s, out); return true;
    case RELABEL_ACTIONS: return true;
    }
    put_copy(s, r->target, out);
    return true;
}

bool relabel_apply(const struct relabel *r, struct relabel_set *s) {
    AUTO_BUF struct buf joined, out;
    buf_init(&joined, MIB);
    buf_init(&out, RELABEL_VALUE_BYTES_MAX);
    bool kept = true;
    for (size_t i = 0; i < r->n && kept; i++) {
        buf_clear(&joined);
        buf_clear(&out);
        kept = apply_rule(&r->rules[i], s, &joined, &out);
        s->full = s->full || joined.full;
        joined.full = out.full = false;
        if (s->unknown) return true;
    }
    return kept;
}

err relabel_err(const struct relabel_set *s) {
    if (s->unknown) return err_new(ERR_LIMIT, "relabelling: an expression takes too long on some label");
    return s->full ? err_new(ERR_LIMIT, "labels over the limits of relabelling") : NULL;
}

/* ---- reading -------------------------------------------------------------------------------------------------------- */

static const char *const action_names[RELABEL_ACTIONS] = {"replace",   "keep",      "drop",     "keepequal",
                                                          "dropequal", "hashmod",   "labelmap", "labeldrop",
                                                          "labelkeep", "lowercase", "uppercase"};

static err read_action(const struct yaml *y, enum relabel_action *out) {
    struct str text;
    if (!y) return NULL;
    TRY(yaml_text(y, &text));
    for (int i = 0; i < RELABEL_ACTIONS; i++)
        if (str_equal_nocase(text, str_of(action_names[i]))) {
            *out = (enum relabel_action)i;
            return NULL;
        }
    return yaml_err(y, "unknown relabel action \"" STR_FMT "\"", STR_ARG(text));
}

static err read_sources(const struct yaml *y, struct relabel_rule *r) {
    if (yaml_is_null(y)) return NULL;
    if (y->kind != YAML_LIST) return yaml_err(y, "source_labels: expected a list of names");
    if (y->n > SOURCES_MAX) return yaml_err(y, "source_labels: more than %d", SOURCES_MAX);
    for (uint32_t i = 0; i < y->n; i++) {
        TRY(yaml_text(y->items[i], &r->source[i]));
        if (!r->source[i].n) return yaml_err(y->items[i], "source_labels: \"\" is not a valid label name");
    }
    r->source_n = y->n;
    return NULL;
}

static err need_target(const struct yaml *y, const struct relabel_rule *r) {
    const char *name = action_names[r->action];
    if (!r->target.n) return yaml_err(y, "relabel configuration for %s action requires 'target_label' value", name);
    if (r->action != RELABEL_REPLACE && (r->action == RELABEL_LOWERCASE || r->action == RELABEL_UPPERCASE) &&
        r->has_replacement)
        return yaml_err(y, "'replacement' can not be set for %s action", name);
    return NULL;
}

/* What an action takes and what it does not (relabel.Config.Validate). */
static err check_rule(const struct yaml *y, const struct relabel_rule *r) {
    const char *name = action_names[r->action];
    bool others = r->has_separator || r->has_replacement || r->modulus;
    switch (r->action) {
    case RELABEL_HASHMOD:
        if (!r->modulus) return yaml_err(y, "relabel configuration for hashmod requires non-zero modulus");
        return need_target(y, r);
    case RELABEL_REPLACE:
    case RELABEL_LOWERCASE:
    case RELABEL_UPPERCASE: return need_target(y, r);
    case RELABEL_KEEPEQUAL:
    case RELABEL_DROPEQUAL:
        TRY(need_target(y, r));
        if (r->has_regex || others)
            return yaml_err(y, "%s action requires only 'source_labels' and 'target_label', and no other fields", name);
        return NULL;
    case RELABEL_LABELDROP:
    case RELABEL_LABELKEEP:
        if (r->source_n || r->target.n || others)
            return yaml_err(y, "%s action requires only 'regex', and no other fields", name);
        return NULL;
    case RELABEL_LABELMAP:
        return r->replacement.n ? NULL : yaml_err(y, "\"\" is invalid 'replacement' for labelmap action");
    case RELABEL_KEEP:
    case RELABEL_DROP:
    case RELABEL_ACTIONS: break;
    }
    return NULL;
}

static err read_texts(const struct yaml *y, struct relabel_rule *r, struct str *pattern) {
    const struct {
        const char *key, *otherwise;
        struct str *to;
        bool *differs;
    } texts[] = {{"separator", ";", &r->separator, &r->has_separator},
                 {"replacement", "$1", &r->replacement, &r->has_replacement},
                 {"regex", "(.*)", pattern, &r->has_regex},
                 {"target_label", "", &r->target, &(bool){false}}};
    for (size_t i = 0; i < LENGTH(texts); i++) {
        const struct yaml *value = yaml_get(y, texts[i].key);
        *texts[i].to = str_of(texts[i].otherwise);
        if (!value) continue;
        if (value->kind != YAML_SCALAR) return yaml_err(value, "%s: expected text", texts[i].key);
        *texts[i].to = yaml_is_null(value) ? STR("") : value->text;
        *texts[i].differs = !str_equal(*texts[i].to, str_of(texts[i].otherwise));
    }
    return NULL;
}

static err read_rule(const struct yaml *y, struct relabel_rule *r) {
    static const char *const keys[] = {"source_labels", "separator",   "regex",  "modulus",
                                       "target_label",  "replacement", "action", NULL};
    struct str pattern;
    if (y->kind != YAML_MAP) return yaml_err(y, "expected a relabelling rule, a map");
    TRY(yaml_only(y, keys));
    TRY(read_action(yaml_get(y, "action"), &r->action));
    TRY(read_sources(yaml_get(y, "source_labels"), r));
    TRY(yaml_count(yaml_get(y, "modulus"), &r->modulus));
    TRY(read_texts(y, r, &pattern));
    TRY(check_rule(y, r));
    err e = regex_compile_whole(pattern, &r->regex);
    const struct yaml *at = yaml_get(y, "regex");
    return e ? err_wrap(e, "%s:%d", y->file, (at ? at : y)->line) : NULL;
}

err relabel_read(const struct yaml *list, struct relabel *out) {
    *out = (struct relabel){0};
    if (yaml_is_null(list)) return NULL;
    if (list->kind != YAML_LIST) return yaml_err(list, "expected a list of relabelling rules");
    if (list->n > RULES_MAX) return yaml_err(list, "more than %d relabelling rules", RULES_MAX);
    out->rules = mem_new_array(struct relabel_rule, MAX(list->n, 1u));
    for (uint32_t i = 0; i < list->n; i++) {
        out->n = i + 1;
        TRY(read_rule(list->items[i], &out->rules[i]));
    }
    return NULL;
}

void relabel_done(struct relabel *r) {
    for (size_t i = 0; i < r->n; i++) regex_free(r->rules[i].regex);
    mem_free(r->rules);
    *r = (struct relabel){0};
}
