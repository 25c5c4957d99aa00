#include "db/libpq_priv.h"

#include <dlfcn.h>
#include <pthread.h>

struct libpq_functions libpq;

static void libpq_find(void) {
    void *library = dlopen("libpq.so.5", RTLD_NOW | RTLD_LOCAL); /* for the life of the process */
    const struct {
        const char *name;
        void *to;
    } functions[] = {
        {"PQconninfoParse", &libpq.conninfo_parse},
        {"PQconninfoFree", &libpq.conninfo_free},
        {"PQfreemem", &libpq.freemem},
        {"PQconnectdbParams", &libpq.connect},
        {"PQpingParams", &libpq.ping},
        {"PQfinish", &libpq.finish},
        {"PQstatus", &libpq.status},
        {"PQtransactionStatus", &libpq.transaction_status},
        {"PQparameterStatus", &libpq.parameter_status},
        {"PQserverVersion", &libpq.server_version},
        {"PQerrorMessage", &libpq.error_message},
        {"PQsocket", &libpq.socket},
        {"PQsetNoticeProcessor", &libpq.set_notice_processor},
        {"PQsendQuery", &libpq.send_query},
        {"PQsendPrepare", &libpq.send_prepare},
        {"PQsendQueryPrepared", &libpq.send_prepared},
        {"PQsetSingleRowMode", &libpq.single_row_mode},
        {"PQconsumeInput", &libpq.consume_input},
        {"PQisBusy", &libpq.is_busy},
        {"PQgetResult", &libpq.get_result},
        {"PQclear", &libpq.clear},
        {"PQresultStatus", &libpq.result_status},
        {"PQresultErrorField", &libpq.error_field},
        {"PQcmdStatus", &libpq.command_status},
        {"PQcmdTuples", &libpq.command_tuples},
        {"PQntuples", &libpq.tuples},
        {"PQnfields", &libpq.fields},
        {"PQfname", &libpq.field_name},
        {"PQftype", &libpq.field_type},
        {"PQgetisnull", &libpq.is_null},
        {"PQgetvalue", &libpq.value},
        {"PQgetlength", &libpq.length},
    };
    if (!library) libpq.missing = "libpq.so.5";
    for (size_t i = 0; library && i < LENGTH(functions); i++) {
        void *found = dlsym(library, functions[i].name);
        if (!found) libpq.missing = functions[i].name;
        memcpy(functions[i].to, &found, sizeof found); /* ISO C has no cast from data to function pointers */
    }
}

err libpq_open(void) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, libpq_find);
    if (!libpq.missing) return NULL;
    return err_new(ERR_UNAVAILABLE, "records in PostgreSQL need libpq (Debian package libpq5): %s is missing",
                   libpq.missing);
}
