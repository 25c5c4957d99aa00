/* libcurl, opened on first use: its functions, found once. The types are those of its header, so a wrong call does not compile. */
#pragma once

#include <curl/curl.h>

#include "base/base.h"

struct curl_functions {
    int client_index;    /* of our pointer in an SSL_CTX */
    const char *missing; /* what could not be found; NULL: all there */
    __typeof__(&curl_global_init) global_init;
    __typeof__(&curl_easy_init) easy_init;
    __typeof__(&curl_easy_setopt) setopt;
    __typeof__(&curl_easy_getinfo) getinfo;
    __typeof__(&curl_easy_perform) perform;
    __typeof__(&curl_easy_strerror) strerror;
    __typeof__(&curl_easy_reset) reset;
    __typeof__(&curl_easy_cleanup) cleanup;
    __typeof__(&curl_slist_append) list_append;
    __typeof__(&curl_slist_free_all) list_free;
    __typeof__(&curl_multi_init) multi_init;
    __typeof__(&curl_multi_setopt) multi_setopt;
    __typeof__(&curl_multi_add_handle) multi_add;
    __typeof__(&curl_multi_remove_handle) multi_remove;
    __typeof__(&curl_multi_perform) multi_perform;
    __typeof__(&curl_multi_poll) multi_poll;
    __typeof__(&curl_multi_wakeup) multi_wakeup;
    __typeof__(&curl_multi_info_read) multi_info;
    __typeof__(&curl_multi_cleanup) multi_cleanup;
};
extern struct curl_functions curl;

err curl_open(void); /* ERR_UNAVAILABLE with the package's name when libcurl is missing. Any thread. */
