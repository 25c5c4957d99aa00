/* What the SQL of this tree needs to be PostgreSQL's: `$n` in place of each `?`, and texts that sort by their bytes, as SQLite sorts them.
 * Statements are literals of the program: what is in quotes ('…' or "…") is kept, comments are not known. */
#pragma once

#include "base/base.h"

/* The same with $1, $2, …; *out_places says how many. `defines`: it makes tables, so TEXT becomes TEXT COLLATE "C" (but for CAST (… AS TEXT)).
 * ERR_LIMIT: `out` is full. */
err postgres_sql(const char *sql, bool defines, struct buf *out, size_t *out_places);
