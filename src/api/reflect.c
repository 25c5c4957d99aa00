#include "api/reflect_priv.h"

#include "api/descriptor_priv.h"
#include "api/protobuf_priv.h"
#include "net/grpc.h"

/* Numbers of ServerReflectionRequest's oneof, and of ServerReflectionResponse. */
enum { HOST = 1, BY_FILENAME = 3, BY_SYMBOL, BY_EXTENSION, EXTENSIONS_OF, LIST_SERVICES };
enum { VALID_HOST = 1, ORIGINAL_REQUEST = 2, FILES = 4, SERVICES = 6, ERROR = 7 };

static void put_error(struct buf *out, enum grpc_code code, struct str message) {
    struct buf error;
    buf_init(&error, KIB);
    protobuf_put_number(&error, 1, (uint64_t)code);
    protobuf_put_bytes(&error, 2, message);
    protobuf_put_bytes(out, ERROR, buf_str(&error));
    buf_done(&error);
}

/* A file, then what it imports, so that one answer is enough. */
static void put_files(struct buf *out, size_t file) {
    struct buf files;
    buf_init(&files, REFLECT_ANSWER_MAX);
    protobuf_put_bytes(&files, 1, descriptors[file].bytes);
    for (size_t i = 0; i < file; i++)
        if (descriptors[file].needs >> i & 1) protobuf_put_bytes(&files, 1, descriptors[i].bytes);
    protobuf_put_bytes(out, FILES, buf_str(&files));
    buf_done(&files);
}

static void answer_filename(struct buf *out, struct str name) {
    for (size_t i = 0; i < descriptor_count; i++) {
        if (!str_equal(descriptors[i].name, name)) continue;
        put_files(out, i);
        return;
    }
    put_error(out, GRPC_NOT_FOUND, STR("no file of that name is here"));
}

static void answer_symbol(struct buf *out, struct str name) {
    for (size_t i = 0; i < descriptor_symbol_count; i++) {
        if (!str_equal(descriptor_symbols[i].name, name)) continue;
        put_files(out, descriptor_symbols[i].file);
        return;
    }
    put_error(out, GRPC_NOT_FOUND, STR("no service, method, message or enum of that name is here"));
}

static void answer_services(struct buf *out) {
    struct buf list, service;
    buf_init(&list, 4 * KIB);
    buf_init(&service, KIB);
    for (size_t i = 0; i < descriptor_symbol_count; i++) {
        if (!descriptor_symbols[i].is_service) continue;
        buf_clear(&service);
        protobuf_put_bytes(&service, 1, descriptor_symbols[i].name);
        protobuf_put_bytes(&list, 1, buf_str(&service));
    }
    protobuf_put_bytes(out, SERVICES, buf_str(&list));
    buf_done(&list);
    buf_done(&service);
}

static void answer_question(struct buf *out, uint32_t what, struct str name) {
    switch (what) {
    case BY_FILENAME: answer_filename(out, name); return;
    case BY_SYMBOL: answer_symbol(out, name); return;
    case BY_EXTENSION:
    case EXTENSIONS_OF: put_error(out, GRPC_NOT_FOUND, STR("there are no extensions here")); return;
    case LIST_SERVICES: answer_services(out); return;
    default: put_error(out, GRPC_INVALID_ARGUMENT, STR("the request asks nothing that is known here")); return;
    }
}

bool reflect_answer(struct str request, struct buf *out) {
    struct str rest = request, host = STR(""), name = STR("");
    struct protobuf_field f;
    uint32_t what = 0;
    while (rest.n) {
        if (!protobuf_next(&rest, &f)) return false;
        bool asks = f.number >= BY_FILENAME && f.number <= LIST_SERVICES;
        if (!f.has_bytes && (asks || f.number == HOST)) return false;
        if (f.number == HOST) host = f.bytes;
        if (asks) what = f.number, name = f.bytes; /* of a oneof the last holds */
    }
    protobuf_put_bytes(out, VALID_HOST, host);
    protobuf_put_bytes(out, ORIGINAL_REQUEST, request);
    answer_question(out, what, name);
    return true;
}
