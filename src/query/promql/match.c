#include "query/promql/source.h"

err promql_compile(const struct promql_matcher *m, struct promql_compiled *out) {
    *out = (struct promql_compiled){.matcher = m};
    if (m->op != PROMQL_REGEX && m->op != PROMQL_NOT_REGEX) return NULL;
    /* Alone first: what is wrong in itself must not be mended by what stands around it: a)(b. */
    TRY_WRAP(regex_compile(m->value, &out->regex), "error parsing regexp");
    regex_free(out->regex);
    out->regex = NULL;
    AUTO_BUF struct buf pattern;
    buf_init(&pattern, m->value.n + 64);
    buf_add_text(&pattern, "^(?s:");
    buf_add_str(&pattern, m->value);
    buf_add_text(&pattern, ")\\z");
    return err_wrap(regex_compile(buf_str(&pattern), &out->regex), "error parsing regexp");
}

void promql_compiled_done(struct promql_compiled *c) {
    regex_free(c->regex);
    c->regex = NULL;
}

bool promql_matches(const struct promql_compiled *c, struct str value) {
    switch (c->matcher->op) {
    case PROMQL_EQUAL: return str_equal(value, c->matcher->value);
    case PROMQL_NOT_EQUAL: return !str_equal(value, c->matcher->value);
    case PROMQL_REGEX: return regex_found(c->regex, value);
    case PROMQL_NOT_REGEX: return !regex_found(c->regex, value);
    }
    return false;
}
