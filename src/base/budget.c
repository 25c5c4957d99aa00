#include "base/budget.h"

static void raise_peak(struct budget *b, uint64_t used) {
    uint64_t peak = atomic_load_explicit(&b->peak_bytes, memory_order_relaxed);
    while (used > peak && !atomic_compare_exchange_weak(&b->peak_bytes, &peak, used)) {}
}

bool budget_take(struct budget *b, uint64_t bytes) {
    uint64_t used = atomic_load_explicit(&b->used_bytes, memory_order_relaxed);
    do {
        if (bytes > b->limit_bytes || used > b->limit_bytes - bytes) {
            atomic_fetch_add(&b->refused, 1);
            return false;
        }
    } while (!atomic_compare_exchange_weak(&b->used_bytes, &used, used + bytes));
    raise_peak(b, used + bytes);
    return true;
}

void budget_take_always(struct budget *b, uint64_t bytes) {
    raise_peak(b, atomic_fetch_add(&b->used_bytes, bytes) + bytes);
}

void budget_give(struct budget *b, uint64_t bytes) {
    uint64_t before = atomic_fetch_sub(&b->used_bytes, bytes);
    assert(before >= bytes);
    (void)before;
}

err budget_err(const struct budget *b, const char *what) {
    return err_new(ERR_BUSY, "over memory.limit of %llu MiB: %s", (unsigned long long)(b->limit_bytes / MIB), what);
}
