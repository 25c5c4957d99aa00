/* What spans come to: for each span a call of its service's operation, and what it says about who calls whom. The function that a store is
 * opened with, so that it keeps rollups.
 *
 *   span ─▶ environment, namespace, service, operation, kind, status ─▶ a call
 *        ├─ CLIENT, PRODUCER ──────────▶ a half that calls; to a database: an edge at once
 *        ├─ SERVER, CONSUMER ──────────▶ a half that is called; without a parent: an edge from `user` or from the messaging system at once
 *        ├─ no half that calls ────────▶ a parent: its children may be of another service
 *        └─ no half that is called, its parent not of its service in its batch ▶ a plain half that is called
 *
 * Names of attributes, which of them tell the other end, and what is cut: README.md. The same rows always come to the same.
 * Limits: a text 512 bytes, longer ones are cut. Threads: any, several at once.
 */
#pragma once

#include "store/rollup.h"

enum { ROLLUP_TEXT_MAX = 512 };
#define ROLLUP_USER "user" /* who calls where no span does */

struct rollup_function rollup_of_spans(void);
