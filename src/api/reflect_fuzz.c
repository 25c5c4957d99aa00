/* Any message is answered or refused, and an answer is protobuf below its limit. */
#include "api/protobuf_priv.h"
#include "api/reflect_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct str request = {(const char *)data, size};
    struct protobuf_field f;
    AUTO_BUF struct buf out;
    if (size > REFLECT_MESSAGE_MAX) return 0;
    buf_init(&out, REFLECT_ANSWER_MAX);
    if (!reflect_answer(request, &out)) return 0;
    assert(!out.full);
    struct str rest = buf_str(&out);
    for (size_t i = 0; rest.n; i++) {
        bool good = protobuf_next(&rest, &f);
        assert(good && f.has_bytes && (i != 1 || str_equal(f.bytes, request)));
        (void)good;
    }
    return 0;
}
