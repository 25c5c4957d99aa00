/* grpc.reflection.v1.ServerReflection as a call: messages in, messages out, as they come. What they say is in reflect.c. */
#include "api/reflect_priv.h"

#include "api/api_priv.h"
#include "net/grpc.h"
#include "net/inflate.h"

enum { STREAMS_MAX = 32, MESSAGES_MAX = 1000, HELD_MAX = 64 * 1024 };

struct reflection {
    struct api *api;
    struct http_stream *stream;
    int64_t deadline_ns; /* wall time; 0: none */
    size_t messages;
    bool gzip; /* grpc-encoding allows it */
    bool has_ended;
};

static void end(struct reflection *f, enum grpc_code code, struct str why) {
    struct grpc_status status;
    grpc_status_init(&status, code, why, 0);
    http_stream_end(f->stream, status.fields, status.count);
    grpc_status_done(&status);
    atomic_fetch_sub(&f->api->reflections, 1);
    f->has_ended = true;
}

/* The answer to one message; false: the stream has ended, or (it has not) there is no room. */
static bool answer(struct reflection *f, struct str message) {
    AUTO_BUF struct buf body, framed;
    buf_init(&body, REFLECT_ANSWER_MAX);
    buf_init(&framed, REFLECT_ANSWER_MAX + GRPC_PREFIX);
    if (!reflect_answer(message, &body)) {
        end(f, GRPC_INVALID_ARGUMENT, STR("not a ServerReflectionRequest"));
        return false;
    }
    assert(!body.full && "reflect_test holds the size of answers");
    grpc_put_message(&framed, buf_str(&body), false);
    enum http_stream_state state = http_stream_write(f->stream, buf_str(&framed));
    if (state == HTTP_STREAM_SLOW && http_stream_held(f->stream) == 0) /* the budget: no room will be told of */
        end(f, GRPC_UNAVAILABLE, STR("over the memory budget: retry later"));
    return state == HTTP_STREAM_OK;
}

/* One framed message of n bytes in all. */
static bool take_message(struct reflection *f, struct str framed) {
    struct str message = {framed.p + GRPC_PREFIX, framed.n - GRPC_PREFIX};
    void *owned = NULL;
    err e = NULL;
    if ((uint8_t)framed.p[0] > 1 || (framed.p[0] == 1 && !f->gzip)) {
        end(f, GRPC_INTERNAL, STR("the message is marked as compressed, but not by which grpc-encoding"));
        return false;
    }
    if (framed.p[0]) e = inflate_body(STR("gzip"), message, REFLECT_MESSAGE_MAX, &message, &owned);
    bool over = e && err_kind(e) == ERR_LIMIT, good = !e && answer(f, message);
    if (e)
        end(f, over ? GRPC_RESOURCE_EXHAUSTED : GRPC_INVALID_ARGUMENT,
            over ? STR("the message is over the limit") : STR("the message cannot be unpacked"));
    err_free(e);
    mem_free(owned);
    f->messages += good;
    return good;
}

/* Whole messages, while there are some and room for their answers; how many bytes they took. */
static size_t take_messages(struct reflection *f, struct str bytes) {
    size_t taken = 0, n;
    while (grpc_message_size((struct str){bytes.p + taken, bytes.n - taken}, &n)) {
        if (n > REFLECT_MESSAGE_MAX + GRPC_PREFIX) {
            end(f, GRPC_RESOURCE_EXHAUSTED, STR("the message is over the limit"));
        } else if (f->messages == MESSAGES_MAX) {
            end(f, GRPC_RESOURCE_EXHAUSTED, STR("a thousand questions were answered: begin another stream"));
        } else if (n <= bytes.n - taken && http_stream_held(f->stream) + REFLECT_ANSWER_MAX < HELD_MAX &&
                   take_message(f, (struct str){bytes.p + taken, n})) {
            taken += n;
            continue;
        }
        break;
    }
    return taken;
}

static bool is_late(const struct reflection *f) {
    return f->deadline_ns && f->api->options.wall_ns() >= f->deadline_ns;
}

static size_t receive(void *context, struct str bytes, enum http_input input) {
    static const struct {
        enum grpc_code code;
        struct str why;
    } ends[] = {[HTTP_INPUT_LATE] = {GRPC_DEADLINE_EXCEEDED, STR("nothing was asked for too long")},
                [HTTP_INPUT_BUSY] = {GRPC_UNAVAILABLE, STR("clew is stopping, or over its memory budget")},
                [HTTP_INPUT_GONE] = {GRPC_CANCELLED, STR("")}};
    struct reflection *f = context;
    size_t taken = 0;
    if (input > HTTP_INPUT_ENDED)
        end(f, ends[input].code, ends[input].why);
    else if (is_late(f))
        end(f, GRPC_DEADLINE_EXCEEDED, STR("the deadline passed"));
    else
        taken = take_messages(f, bytes);
    size_t n, left = bytes.n - taken;
    bool whole = grpc_message_size((struct str){bytes.p + taken, left}, &n) && n <= left; /* it waits for room */
    if (!f->has_ended && input == HTTP_INPUT_ENDED && !whole)
        end(f, left ? GRPC_INTERNAL : GRPC_OK, left ? STR("the last message is cut off") : STR(""));
    if (f->has_ended) mem_free(f);
    return taken;
}

static bool check_encoding(struct api_call *c) {
    struct str encoding = c->request.grpc_encoding;
    if (encoding.n == 0 || str_equal_nocase(encoding, STR("identity")) || str_equal_nocase(encoding, STR("gzip")))
        return true;
    call_fail_as(c, 400, GRPC_UNIMPLEMENTED, ERR_INVALID, STR("this grpc-encoding is not taken: send gzip or identity"),
                 STR(""), NULL);
    return false;
}

void handle_grpc_reflection(struct api_call *c) {
    struct api *api = c->api;
    if (!call_begin_grpc(c) || !check_encoding(c)) return;
    if (atomic_fetch_add(&api->reflections, 1) >= STREAMS_MAX) {
        atomic_fetch_sub(&api->reflections, 1);
        call_fail_as(c, 429, GRPC_UNAVAILABLE, ERR_BUSY, STR("too many ask for descriptors already"), STR(""), NULL);
        return;
    }
    struct reflection *f = mem_new_of(struct reflection);
    *f = (struct reflection){
        .api = api, .deadline_ns = c->deadline_ns, .gzip = str_equal_nocase(c->request.grpc_encoding, STR("gzip"))};
    f->stream = call_stream(c, &(struct api_reply){.status = 200, .content_type = STR("application/grpc")}, HELD_MAX);
    http_stream_receive(f->stream, receive, f);
}
