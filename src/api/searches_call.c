/* The calls about saved searches. Seeing them needs the role read; changing them operate, as the list is the whole team's: the tokens of
 * dashboards and of everybody who only looks cannot push others' searches aside. The last writer wins, and has to say so: a name
 * that is taken is refused without replace=true. */
#include "api/api_priv.h"

#include "api/searches_priv.h"

enum { TEXTS_BYTES = 2 * SEARCHES_FILE_BYTES };

static err load(struct api_call *c, struct searches *out) {
    const char *dir = c->api->options.dir;
    return dir ? searches_load(dir, call_tenant(c), out) : NULL;
}

/* The answer of a call that has one of its own, or e. */
static void answer(struct api_call *c, err e, const struct search *one, const struct searches *all) {
    struct buf body;
    struct json_writer w;
    if (e) {
        call_fail(c, e);
        return;
    }
    buf_init(&body, 2 * SEARCHES_FILE_BYTES);
    json_writer_init(&w, &body);
    if (one) {
        search_write(&w, one);
    } else {
        json_object(&w);
        json_key(&w, all ? STR("searches") : STR("deleted"));
        if (all) json_array(&w);
        for (size_t i = 0; all && i < all->v.n; i++) search_write(&w, &all->v.v[i]);
        if (all)
            json_array_end(&w);
        else
            json_bool(&w, true);
        json_object_end(&w);
    }
    call_answer_json(c, 200, &body);
    buf_done(&body);
}

void handle_searches(struct api_call *c) {
    AUTO_ARENA struct arena texts;
    struct searches s = {.a = &texts};
    arena_init(&texts, TEXTS_BYTES);
    answer(c, load(c, &s), NULL, &s);
    vec_done(&s.v);
}

void handle_search(struct api_call *c) {
    AUTO_ARENA struct arena texts;
    struct searches s = {.a = &texts};
    const struct search *found = NULL;
    arena_init(&texts, TEXTS_BYTES);
    err e = load(c, &s);
    if (!e) found = searches_find(&s, c->path_values[0]);
    if (!e && !found) e = err_new(ERR_NOT_FOUND, "there is no search of that name");
    answer(c, e, found, NULL);
    vec_done(&s.v);
}

/* One at a time: what was read is what is replaced. */
static err change(struct api_call *c, struct searches *s, const struct search *put) {
    TRY(store_health(c->api->options.store));
    if (!c->api->options.dir) return err_new(ERR_UNAVAILABLE, "there is no data directory: searches cannot be saved");
    TRY(load(c, s));
    TRY(put ? searches_put(s, put, call_number(c, "replace", 0) != 0) : searches_delete(s, c->path_values[0]));
    return searches_save(c->api->options.dir, call_tenant(c), s);
}

static void change_and_answer(struct api_call *c, const struct search *put) {
    AUTO_ARENA struct arena texts;
    struct searches s = {.a = &texts};
    arena_init(&texts, TEXTS_BYTES);
    err e;
    if (atomic_exchange(&c->api->searches_busy, true)) { /* waiting would hold a work thread that queries need */
        e = err_new(ERR_BUSY, "another search is being saved or deleted right now");
    } else {
        e = change(c, &s, put);
        atomic_store(&c->api->searches_busy, false);
    }
    vec_done(&s.v);
    answer(c, e, put, NULL);
}

void handle_search_put(struct api_call *c) {
    struct search put = {.name = c->path_values[0], .by = str_of(c->caller.name), .saved = c->now_ns};
    err e = call_body_is_json(c);
    if (!e) e = search_read_body(c->request.body, &c->arena, &put);
    if (!e) e = search_check(&put);
    if (e)
        call_fail(c, e);
    else
        change_and_answer(c, &put);
}

void handle_search_delete(struct api_call *c) { change_and_answer(c, NULL); }
