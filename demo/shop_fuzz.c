/* Bodies that services take: orders, what is written of them is read again as it was; faults. */
#include <stdlib.h>

#include "shop.h"

static void take_order(struct str body) {
    AUTO_BUF struct buf out;
    struct shop_order o, again;
    buf_init(&out, MIB);
    err e = shop_order_read(body, &o);
    if (!e) {
        shop_order_write(&o, &out);
        err f = shop_order_read(buf_str(&out), &again);
        if (f || again.item_count != o.item_count || strcmp(again.order, o.order) != 0) abort();
    }
    err_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    AUTO_FREE char *text = mem_new(size + 1); /* of its very size, so that reading beyond it is seen */
    struct shop_faults f;
    if (size) memcpy(text, data, size);
    take_order((struct str){text, size});
    err_free(shop_faults_read((struct str){text, size}, &f));
    err_free(shop_faults_parse((struct str){text, size}, &f));
    return 0;
}
