/* Samples of rules on their way in. */
#include "alert/unit.h"
#include "ingest/ingest.h"
#include "os/thread.h"

struct landing {
    struct lock lock;
    struct signal_flag flag;
    bool landed;
    err e;
};

static void on_landed(void *context, err e, const struct ingest_outcome *outcome) {
    struct landing *l = context;
    (void)
        outcome; /* samples that are refused (out of their time, say) are counted by ingest, and no fault of a rule's */
    lock_take(&l->lock);
    l->e = e;
    l->landed = true;
    flag_wake_all(&l->flag);
    lock_give(&l->lock);
}

err alert_append_wait(void *ingest, struct str tenant, struct batch_blob *blob) {
    struct landing l = {0};
    lock_init(&l.lock);
    flag_init(&l.flag);
    err e = ingest_points(ingest, tenant, INGEST_DERIVED, blob, on_landed, &l);
    lock_take(&l.lock);
    while (!e && !l.landed) flag_wait(&l.flag, &l.lock);
    lock_give(&l.lock);
    flag_done(&l.flag);
    lock_done(&l.lock);
    return e ? e : l.e;
}
