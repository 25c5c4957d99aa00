/* What alerts remember, in records.db: the keeper of an engine, and the way of what is fired into the queues of Alertmanagers.
 *
 *   engine ─ save ─▶ one transaction ─┬─ alert_states (name, part, body): texts as they come, in parts of RECORDS_PART_BYTES
 *                                     └─ jobs: a row for up to NOTIFY_BATCH_MAX alerts and Alertmanager (notify.h)
 *
 * So an alert that fired is in a queue exactly if its state says so. One commit each evaluation of a group that has alerts; a group without costs none.
 * Owner: the caller; database and notifier outlive it. Threads: any. Blocks as db_write does. Errors: those of db.h.
 */
#pragma once

#include "alert/notify.h"

enum { RECORDS_PART_BYTES = 4 << 20 };

struct alert_records;
err alert_records_open(struct db *db, struct notifier *notifier, struct alert_records **out); /* notifier NULL: none */
void alert_records_close(struct alert_records *r);                                            /* takes NULL */
struct alert_keeper alert_records_keeper(struct alert_records *r);
