/* The fields of telemetry rows, and the row sets they stand in: one table that decoding, storing, querying and printing
 * share. Attributes are not fields: they are (key, type) columns that come and go (signal/batch.h).
 *
 *   set              spans: one row a          logs: one row a
 *   SET_ROWS         span                      log record
 *   SET_EVENTS       span event                –
 *   SET_LINKS        span link                 –
 *   SET_RESOURCES    distinct resource         distinct resource     (rows point here by FIELD_RESOURCE)
 *   SET_SCOPES       distinct scope            distinct scope        (by FIELD_SCOPE)
 *
 * Units: times are ns since 1970 as sent (uint64 on the wire; kept bit for bit); durations are end - start in ns, signed
 * (an end before its start is kept). Ids are the bytes as sent, all zero = absent. Enumerations keep unknown numbers.
 */
#pragma once

#include "base/base.h"

enum signal { SIGNAL_SPANS, SIGNAL_LOGS, SIGNALS };
/* Numbers of sets and fields are on disk (docs/formats/batch.md): new fields need new numbers. */
enum set { SET_ROWS, SET_EVENTS, SET_LINKS, SET_RESOURCES, SET_SCOPES, SETS };

enum field_type {
    FIELD_U32,    /* number, enumeration, flags, count, index */
    FIELD_U64,    /* time or duration */
    FIELD_ID8,    /* 8 raw bytes, as a uint64 in memory order */
    FIELD_ID16,   /* 16 raw bytes */
    FIELD_STRING, /* uint32 string id */
};

enum field {
    FIELD_TRACE_ID,       /* rows, links */
    FIELD_SPAN_ID,        /* rows, links */
    FIELD_PARENT_ID,      /* spans */
    FIELD_TIME,           /* span start, log time (observed time where time is 0), event time */
    FIELD_DURATION,       /* spans: end - start */
    FIELD_TIME_ABSENT,    /* logs: 1 where no time was sent and FIELD_TIME is the observed time (or the arrival's) */
    FIELD_OBSERVED,       /* logs: observed_time_unix_nano */
    FIELD_NAME,           /* span, event and scope name; a log's event_name */
    FIELD_KIND,           /* spans */
    FIELD_STATUS,         /* spans: status code */
    FIELD_STATUS_MESSAGE, /* spans */
    FIELD_TRACE_STATE,    /* spans, links */
    FIELD_FLAGS,          /* spans, logs, links */
    FIELD_SEVERITY,       /* logs: severity_number */
    FIELD_SEVERITY_TEXT,  /* logs */
    FIELD_BODY,           /* logs: text, or for other types the AnyValue message's bytes */
    FIELD_BODY_TYPE,      /* logs: enum value_type; VALUE_EMPTY = no body, VALUE_STRING, else VALUE_ANY */
    FIELD_VERSION,        /* scopes */
    FIELD_SCHEMA_URL,     /* resources, scopes */
    FIELD_DROPPED_ATTRIBUTES, /* all sets */
    FIELD_DROPPED_EVENTS,     /* spans */
    FIELD_DROPPED_LINKS,      /* spans */
    FIELD_EVENT_END,          /* spans: events of row i are [end(i-1), end(i)) of SET_EVENTS */
    FIELD_LINK_END,           /* spans: the same of SET_LINKS */
    FIELD_RESOURCE,           /* rows: row of SET_RESOURCES */
    FIELD_SCOPE,              /* rows: row of SET_SCOPES */
    FIELD_SHAPE,              /* all sets: which attributes, in which order */
    FIELD_SLOT,               /* all sets: index of the first attribute value in batch.slots */
    FIELD_CORRELATION, /* spans, logs: the correlation id that came with the row, found by ingest. clew's own: no sender sets it,
                                 and it never leaves as OTLP */
    FIELDS
};

struct field_row {
    const char *name; /* "trace_id": of dump, JSON and predicates */
    enum field_type type;
    uint8_t sets[SIGNALS]; /* bit s: present in set s */
};

extern const struct field_row field_rows[FIELDS];
extern const char *const signal_names[SIGNALS]; /* "spans", "logs" */
extern const char *const set_names[SETS];

static inline bool field_in(enum field f, enum signal signal, enum set set) {
    return field_rows[f].sets[signal] >> set & 1;
}

/* Fields that say where things are in one batch; they mean nothing in another. */
static inline bool field_is_structural(enum field f) { return f >= FIELD_EVENT_END && f <= FIELD_SLOT; }

/* Types of attribute values and bodies; numbers are on disk: never change one. */
enum value_type {
    VALUE_EMPTY = 0,  /* an AnyValue without a value */
    VALUE_STRING = 1, /* slot: string id */
    VALUE_BOOL = 2,   /* slot: 0 or 1 */
    VALUE_INT = 3,    /* slot: int64 */
    VALUE_DOUBLE = 4, /* slot: the bits of a double */
    VALUE_BYTES = 5,  /* slot: string id of the raw bytes */
    VALUE_ANY = 6,    /* array or map, nested at will: slot: string id of the AnyValue message's bytes, validated */
    VALUE_TYPES
};
