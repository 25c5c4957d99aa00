/* Messages, deadlines and statuses of gRPC from any bytes. The first byte picks the encoding. */
#include "net/grpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct str encodings[] = {STR(""), STR("gzip"), STR("identity"), STR("snappy")};
    if (size == 0) return 0;
    struct str input = {(const char *)data + 1, size - 1};
    struct grpc_message m;
    const char *reason = NULL;
    enum grpc_code code = grpc_read_unary(input, encodings[data[0] % 4], 1000, &m, &reason);
    if (code == GRPC_OK) {
        size_t whole;
        if (!grpc_message_size(input, &whole) || whole != input.n || m.bytes.n + 5 != input.n || m.bytes.n > 1000)
            __builtin_trap();
    } else if (!reason) {
        __builtin_trap();
    }
    int64_t ns;
    if (grpc_timeout_read(input, &ns) && (ns < 0 || input.n > 9)) __builtin_trap();
    if (grpc_retry_read(input, &ns) && ns < 0) __builtin_trap();
    (void)grpc_type_is_taken(input);
    struct grpc_status s;
    grpc_status_init(&s, (enum grpc_code)(data[0] % 17), input, data[0]);
    for (size_t i = 0; i < s.count; i++)
        for (size_t k = 0; k < s.fields[i].value.n; k++)
            if (s.fields[i].value.p[k] < ' ' || s.fields[i].value.p[k] > '~') __builtin_trap();
    grpc_status_done(&s);
    return 0;
}
