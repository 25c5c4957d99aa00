/* Series that the log has said before: records of points hold labels once, and numbers after that.
 *
 *   record 17  begins a head     rows 0 1 2 3     say numbers 0 1 2 3
 *   record 18  said_before 4     rows 0 1 2       row 1 says number 5; rows 0 and 2 refer to 1 and 3
 *
 * Numbers count the rows of a table's records from where its head begins: row i of a record has number said_before + i, and who refers to it
 * finds labels there. A record also says where its head begins (`since`), so that numbers of one head are never looked for in another, whatever
 * was lost between them; the log keeps what a head has in files as long as one that began with it has not (series_table_priv.h).
 *
 * What a replay has read may not be durable (a kill leaves it in the system's cache, and a power cut takes it from there): nothing refers to it, so a process
 * says its series anew.
 *
 * Who writes knows what was said by `known` of the table: a series that it has in the head, it has from a record of the head. Owner and threads: the
 * log thread, or replay; a said_log its maker's. Limits: numbers below POINTS_NUMBER_END, else records say everything.
 */
#pragma once

#include "store/journal/log_priv.h"
#include "store/engine/memory_priv.h"

/* Of a table: where the numbers are. */
struct said {
    uint64_t from; /* sequence of the record that began the head; 0: not known, so nothing can be referred to */
    uint32_t next;
};

/* ---- reading -------------------------------------------------------------------------------------------------------- */

/* What records of points have said in a walk through the log, by tenant. It points into the records: their segments stay mapped. */
struct said_record {
    uint32_t before, rows;
    struct str blob; /* points_brief_view has taken it; some of its rows are in full */
};
struct said_tenant {
    char tenant[TENANT_BYTES];
    uint64_t from; /* of the records */
    VEC(struct said_record) records;
};
struct said_log {
    VEC(struct said_tenant) tenants;
};
void said_log_done(struct said_log *l);
/* Keeps what a record says. Every record of points of the log that is not void, in order. */
void said_log_add(struct said_log *l, const struct log_record *r);
/* The batch of a record that was added. *out_numbers, the caller's: the number of each series row, POINTS_LOST if nobody has its labels (*out_lost: how many
 * are); NULL if records of this kind have none. */
err said_log_open(struct said_log *l, const struct log_record *r, struct batch_blob **out, uint32_t **out_numbers,
                  uint32_t *out_lost);
