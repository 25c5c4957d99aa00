#include "signal/field.h"

const char *const signal_names[SIGNALS] = {"spans", "logs"};
const char *const set_names[SETS] = {"rows", "events", "links", "resources", "scopes"};

/* Bits of sets, so that a row of the table reads like the comments of field.h. */
enum {
    R = 1 << SET_ROWS,
    E = 1 << SET_EVENTS,
    L = 1 << SET_LINKS,
    S = 1 << SET_RESOURCES,
    C = 1 << SET_SCOPES,
};

const struct field_row field_rows[FIELDS] = {
    [FIELD_TRACE_ID] = {"trace_id", FIELD_ID16, {R | L, R}},
    [FIELD_SPAN_ID] = {"span_id", FIELD_ID8, {R | L, R}},
    [FIELD_PARENT_ID] = {"parent_id", FIELD_ID8, {R, 0}},
    [FIELD_TIME] = {"time", FIELD_U64, {R | E, R}},
    [FIELD_DURATION] = {"duration", FIELD_U64, {R, 0}},
    [FIELD_TIME_ABSENT] = {"time_absent", FIELD_U32, {0, R}},
    [FIELD_OBSERVED] = {"observed", FIELD_U64, {0, R}},
    [FIELD_NAME] = {"name", FIELD_STRING, {R | E | C, R | C}},
    [FIELD_KIND] = {"kind", FIELD_U32, {R, 0}},
    [FIELD_STATUS] = {"status", FIELD_U32, {R, 0}},
    [FIELD_STATUS_MESSAGE] = {"status_message", FIELD_STRING, {R, 0}},
    [FIELD_TRACE_STATE] = {"trace_state", FIELD_STRING, {R | L, 0}},
    [FIELD_FLAGS] = {"flags", FIELD_U32, {R | L, R}},
    [FIELD_SEVERITY] = {"severity", FIELD_U32, {0, R}},
    [FIELD_SEVERITY_TEXT] = {"severity_text", FIELD_STRING, {0, R}},
    [FIELD_BODY] = {"body", FIELD_STRING, {0, R}},
    [FIELD_BODY_TYPE] = {"body_type", FIELD_U32, {0, R}},
    [FIELD_VERSION] = {"version", FIELD_STRING, {C, C}},
    [FIELD_SCHEMA_URL] = {"schema_url", FIELD_STRING, {S | C, S | C}},
    [FIELD_DROPPED_ATTRIBUTES] = {"dropped_attributes", FIELD_U32, {R | E | L | S | C, R | S | C}},
    [FIELD_DROPPED_EVENTS] = {"dropped_events", FIELD_U32, {R, 0}},
    [FIELD_DROPPED_LINKS] = {"dropped_links", FIELD_U32, {R, 0}},
    [FIELD_EVENT_END] = {"event_end", FIELD_U32, {R, 0}},
    [FIELD_LINK_END] = {"link_end", FIELD_U32, {R, 0}},
    [FIELD_RESOURCE] = {"resource", FIELD_U32, {R, R}},
    [FIELD_SCOPE] = {"scope", FIELD_U32, {R, R}},
    [FIELD_SHAPE] = {"shape", FIELD_U32, {R | E | L | S | C, R | S | C}},
    [FIELD_SLOT] = {"slot", FIELD_U32, {R | E | L | S | C, R | S | C}},
    [FIELD_CORRELATION] = {"correlation_id", FIELD_STRING, {R, R}},
};
