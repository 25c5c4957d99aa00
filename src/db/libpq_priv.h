/* libpq, opened on first use: its functions, found once, so that a clew whose records are a file needs none. The types are those of its
 * header (PostgreSQL 15; all of these are in every libpq since 9.2), so a wrong call does not compile. */
#pragma once

#include <libpq-fe.h>

#include "base/base.h"

struct libpq_functions {
    const char *missing; /* what could not be found; NULL: all there */
    __typeof__(&PQconninfoParse) conninfo_parse;
    __typeof__(&PQconninfoFree) conninfo_free;
    __typeof__(&PQfreemem) freemem;
    __typeof__(&PQconnectdbParams) connect;
    __typeof__(&PQpingParams) ping;
    __typeof__(&PQfinish) finish;
    __typeof__(&PQstatus) status;
    __typeof__(&PQtransactionStatus) transaction_status;
    __typeof__(&PQparameterStatus) parameter_status;
    __typeof__(&PQserverVersion) server_version;
    __typeof__(&PQerrorMessage) error_message;
    __typeof__(&PQsocket) socket;
    __typeof__(&PQsetNoticeProcessor) set_notice_processor;
    __typeof__(&PQsendQuery) send_query;
    __typeof__(&PQsendPrepare) send_prepare;
    __typeof__(&PQsendQueryPrepared) send_prepared;
    __typeof__(&PQsetSingleRowMode) single_row_mode;
    __typeof__(&PQconsumeInput) consume_input;
    __typeof__(&PQisBusy) is_busy;
    __typeof__(&PQgetResult) get_result;
    __typeof__(&PQclear) clear;
    __typeof__(&PQresultStatus) result_status;
    __typeof__(&PQresultErrorField) error_field;
    __typeof__(&PQcmdStatus) command_status;
    __typeof__(&PQcmdTuples) command_tuples;
    __typeof__(&PQntuples) tuples;
    __typeof__(&PQnfields) fields;
    __typeof__(&PQfname) field_name;
    __typeof__(&PQftype) field_type;
    __typeof__(&PQgetisnull) is_null;
    __typeof__(&PQgetvalue) value;
    __typeof__(&PQgetlength) length;
};
extern struct libpq_functions libpq;

err libpq_open(void); /* ERR_UNAVAILABLE with the package's name when libpq is missing. Any thread. */
