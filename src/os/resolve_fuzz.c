/* Any bytes as an answer of DNS: names end with a dot, are short, and have no zero or line end in them. */
#include "os/resolve.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void hold(void *context, const char *target, uint16_t port) {
    size_t n = strlen(target);
    if (n == 0 || n > RESOLVE_NAME_MAX || target[n - 1] != '.' || strchr(target, '\n')) __builtin_trap();
    if (port && *(const int *)context != RESOLVE_SRV) __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (int kind = RESOLVE_SRV; kind <= RESOLVE_NS; kind++)
        err_free(resolve_records_read((struct str){(const char *)data, size}, (enum resolve_kind)kind, hold, &kind));
    return 0;
}
