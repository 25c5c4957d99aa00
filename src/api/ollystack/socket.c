/* WebSockets: /ws and /logs/tail. */
#include "api/ollystack/ollystack_priv.h"

void handle_olly_socket(struct api_call *c) { olly_fail(c, 400, STR("Bad Request")); }
