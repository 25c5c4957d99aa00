/* In the place of the page, in a build without it: -Dpage=false. */
#include "api/page/page_priv.h"

static const char document[] =
    "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>clew</title>\n"
    "<link rel=\"stylesheet\" href=\"/docs.css\">\n<main>\n<h1>This build of clew has no page</h1>\n"
    "<p>It was built without Node.js. With Node.js 18.19 or newer and npm, <code>./dev build</code> makes the "
    "page.</p>\n"
    "<p>All else is here: <a href=\"/docs\">the API to read</a>, and <code>clew query</code> and <code>clew "
    "trace</code> "
    "on the command line.</p>\n</main>\n</html>\n";

const struct page_file page_files[] = {
    {"index.html", "text/html; charset=utf-8", "\"absent\"", (const unsigned char *)document, sizeof document - 1,
     false},
};
const size_t page_file_count = LENGTH(page_files);
