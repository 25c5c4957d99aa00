/* The audit log: who administered what, as lines of JSON that are synced before the caller gets its answer.
 *
 *   DATA/audit.jsonl ─ 16 MiB ─▶ audit.1.jsonl ─▶ … ─▶ audit.7.jsonl ─▶ gone
 *
 * A line: {"time","action","token","tenant","peer","method","path","parameters":{…},"status"}; docs/formats/audit.md. Text from outside is
 * escaped by the JSON writer and cut, so it can neither end a line nor make it long; what has the form of a token is masked.
 *
 * Limits: a line 64 KiB (over it, without parameters); AUDIT_FILES of 16 MiB; of refusals, and of what strangers get wrong, 60 a minute, so that a
 * stranger cannot push aside what counts: what is over is told by the next line ("suppressed").
 * Threads: any but io threads, as it waits for the disk. Errors: a line that cannot be written is logged and counted; the
 * call goes on.
 */
#pragma once

#include "base/base.h"

struct audit;

struct audit_parameter {
    struct str name, value;
};

struct audit_record {
    int64_t time;
    const char *action;             /* "call", "token_added", "token_removed", "tokens_in_force" */
    struct str token, tenant, peer; /* empty: none */
    struct str method, path;        /* of a call */
    const struct audit_parameter *parameters;
    size_t parameter_count;
    int status;    /* of a call; 0: none */
    bool stranger; /* nobody known made the call */
};

enum { AUDIT_FILE_BYTES = 16 << 20, AUDIT_FILES = 8, AUDIT_REFUSALS_A_MINUTE = 60, AUDIT_TEXT_BYTES = 1024 };

/* The folder must exist. file_bytes 0: AUDIT_FILE_BYTES (tests take less). */
err audit_open(const char *dir, uint64_t file_bytes, struct audit **out);
void audit_close(struct audit *a);                               /* takes NULL */
void audit_write(struct audit *a, const struct audit_record *r); /* takes NULL: nothing is kept */
void audit_get_counts(struct audit *a, uint64_t *out_written, uint64_t *out_failed, uint64_t *out_suppressed);
