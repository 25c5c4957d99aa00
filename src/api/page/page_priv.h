/* The page's files, as web/build.mjs made them: scripts and styles under names that hold a hash of their content, and one document for
 * every screen. A build without the page (-Dpage=false) has a document alone, which says so.
 *
 *   name "index.html"             the document of /, /traces, /logs … (its ETag lets a browser ask whether it changed)
 *   name "app-5K2ZQ4XA.js"        below /assets/, never another content under this name
 *
 * Files are kept as gzip (is_gzip); who does not take that gets them unpacked. Source: web/README.md.
 */
#pragma once

#include "api/api_priv.h"

struct page_file {
    const char *name, *content_type, *etag; /* etag with its quotes */
    const unsigned char *bytes;
    size_t n;
    bool is_gzip;
};
extern const struct page_file page_files[]; /* sorted as it comes; [0] is the document */
extern const size_t page_file_count;
/* Whether a list as If-None-Match has it holds the tag: weakly, as RFC 9110 13.1.2 says. */
bool page_etag_matches(struct str list, struct str etag);
/* Whether Accept-Encoding takes gzip: named, or by "*", and not with q=0. */
bool page_takes_gzip(struct str accept_encoding);
