#include "net/curl_priv.h"

#include <dlfcn.h>
#include <openssl/ssl.h>
#include <pthread.h>

struct curl_functions curl;

static void curl_find(void) {
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL); /* for the life of the process */
    const struct {
        const char *name;
        void *to;
    } functions[] = {
        {"curl_global_init", &curl.global_init},
        {"curl_easy_init", &curl.easy_init},
        {"curl_easy_setopt", &curl.setopt},
        {"curl_easy_getinfo", &curl.getinfo},
        {"curl_easy_perform", &curl.perform},
        {"curl_easy_strerror", &curl.strerror},
        {"curl_easy_reset", &curl.reset},
        {"curl_easy_cleanup", &curl.cleanup},
        {"curl_slist_append", &curl.list_append},
        {"curl_slist_free_all", &curl.list_free},
        {"curl_multi_init", &curl.multi_init},
        {"curl_multi_setopt", &curl.multi_setopt},
        {"curl_multi_add_handle", &curl.multi_add},
        {"curl_multi_remove_handle", &curl.multi_remove},
        {"curl_multi_perform", &curl.multi_perform},
        {"curl_multi_poll", &curl.multi_poll},
        {"curl_multi_wakeup", &curl.multi_wakeup},
        {"curl_multi_info_read", &curl.multi_info},
        {"curl_multi_cleanup", &curl.multi_cleanup},
    };
    if (!library) curl.missing = "libcurl.so.4";
    for (size_t i = 0; library && i < LENGTH(functions); i++) {
        void *found = dlsym(library, functions[i].name);
        if (!found) curl.missing = functions[i].name;
        memcpy(functions[i].to, &found, sizeof found); /* ISO C has no cast from data to function pointers */
    }
    curl.client_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, NULL);
    if (!curl.missing && curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) curl.missing = "curl_global_init";
}

err curl_open(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, curl_find);
    if (!curl.missing) return NULL;
    return err_new(ERR_UNAVAILABLE, "HTTP calls need libcurl (Debian package libcurl4): %s is missing", curl.missing);
}
