/* Small documents of the data directory that are read and written whole: tokens.json, searches/TENANT.json.
 *
 * Replacing: written beside it, synced, renamed, its folder synced. So there is always the old one or the new one, whole.
 * One writer at a time: the caller sees to it. Errors: those of os/file.h.
 */
#pragma once

#include "base/base.h"

/* dir/name; the caller's. */
char *document_path(const char *dir, const char *name);
/* Makes the folder if it must, so that it is there after a power cut, too. Its parent must exist. */
err document_make_dir(const char *dir);
err document_replace(const char *dir, const char *name, struct str text);
