/* clew token: makes, lists and ends tokens in the data directory, whether a clew runs on it or not. */
#include <stdio.h>

#include "api/token.h"
#include "app/command.h"
#include "base/text.h"
#include "os/clock.h"

/* ---- new -------------------------------------------------------------------------------------------------------- */

static err read_order(const struct arguments *a, struct token_order *o) {
    *o = (struct token_order){
        .name = a->positions[0], .tenant = argument_text(a, OPTION_TENANT), .now = clock_wall_ns()};
    if (!o->tenant.n) o->tenant = STR("default");
    if (!a->given[OPTION_ROLE]) return err_new(ERR_INVALID, "--role is missing: ingest, read, operate or admin");
    TRY_WRAP(role_parse(argument_text(a, OPTION_ROLE), &o->role), "--role");
    return a->given[OPTION_EXPIRES] ? err_wrap(token_order_for(o, argument_text(a, OPTION_EXPIRES)), "--expires")
                                    : NULL;
}

static void write_token(struct json_writer *w, const struct token *t, struct str text) {
    json_object(w);
    token_put(w, t, text);
    json_object_end(w);
}

/* The token alone goes to standard output, so that a script may take it from there. */
err command_token_new(const struct arguments *a) {
    AUTO_FREE char *dir = str_dup(argument_text(a, OPTION_DATA));
    AUTO_BUF struct buf out;
    struct json_writer w;
    struct token_order m;
    buf_init(&out, 4 * KIB);
    TRY(read_order(a, &m));
    TRY(tokens_change(dir, token_make, &m));
    json_writer_init(&w, &out);
    if (argument_flag(a, OPTION_JSON))
        write_token(&w, &m.made, (struct str){m.text, TOKEN_TEXT_BYTES});
    else
        buf_add(&out, m.text, TOKEN_TEXT_BYTES);
    buf_add_byte(&out, '\n');
    command_print(&out);
    if (!argument_flag(a, OPTION_JSON))
        fprintf(stderr, "%s may %s in tenant %s; the token is shown this once\n", m.made.name, role_names[m.role],
                m.made.tenant);
    return NULL;
}

/* ---- list ------------------------------------------------------------------------------------------------------- */

static void list_json(const struct tokens *t, struct buf *out) {
    struct json_writer w;
    json_writer_init(&w, out);
    json_array(&w);
    for (size_t i = 0; i < t->v.n; i++) write_token(&w, &t->v.v[i], (struct str){0});
    json_array_end(&w);
    buf_add_byte(out, '\n');
}

static void put_when(struct buf *out, int64_t ns) {
    AUTO_BUF struct buf text;
    buf_init(&text, 64);
    put_time(&text, ns / 1000000000 * 1000000000);
    buf_add_fmt(out, "%-21s ", text.p);
}

static void list_text(const struct tokens *t, struct buf *out) {
    int64_t now = clock_wall_ns();
    buf_add_fmt(out, "%-24s %-8s %-16s %-16s %-21s %s\n", "NAME", "ROLE", "TENANT", "ID", "CREATED", "EXPIRES");
    for (size_t i = 0; i < t->v.n; i++) {
        const struct token *k = &t->v.v[i];
        buf_add_fmt(out, "%-24s %-8s %-16s %016llx ", k->name, role_names[k->role], k->tenant,
                    (unsigned long long)k->id);
        put_when(out, k->created);
        if (k->expires)
            put_when(out, k->expires);
        else
            buf_add_text(out, "never");
        buf_add_text(out, k->expires && k->expires <= now ? "expired\n" : "\n");
    }
}

err command_token_list(const struct arguments *a) {
    AUTO_FREE char *dir = str_dup(argument_text(a, OPTION_DATA));
    AUTO_BUF struct buf text = {0}, out;
    struct tokens t = {0};
    buf_init(&out, 4 * MIB);
    err e = tokens_load(dir, &text);
    if (e && err_kind(e) == ERR_NOT_FOUND) {
        err_free(take(&e));
        fprintf(stderr, "%s has no tokens: everything is open to this machine, and to it alone\n", dir);
    } else {
        TRY(e);
        TRY_WRAP(tokens_read(buf_str(&text), &t), "%s/tokens.json", dir);
    }
    (argument_flag(a, OPTION_JSON) ? list_json : list_text)(&t, &out);
    command_print(&out);
    tokens_done(&t);
    return NULL;
}

/* ---- revoke ----------------------------------------------------------------------------------------------------- */

err command_token_revoke(const struct arguments *a) {
    AUTO_FREE char *dir = str_dup(argument_text(a, OPTION_DATA));
    AUTO_BUF struct buf text = {0};
    struct str name = a->positions[0];
    TRY_WRAP(tokens_load(dir, &text), "there are no tokens"); /* a wrong --data makes no folder */
    TRY(tokens_change(dir, token_end, &name));
    if (argument_flag(a, OPTION_JSON))
        puts("{\"revoked\":true}");
    else
        printf("revoked " STR_FMT "; a running clew refuses it within a second\n", STR_ARG(name));
    return NULL;
}
