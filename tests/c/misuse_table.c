#include "misuse_table.h"

#include <string.h>
#include <unistd.h>

#define CALL(function, ...)                                              \
    static int32_t call_##function(void *const *a, phantomdb_error *e) { \
        (void)a;                                                         \
        (void)e;                                                         \
        return phantomdb_##function(__VA_ARGS__);                        \
    }
#define CALL_THAT_CANNOT_FAIL(function, argument)                        \
    static int32_t call_##function(void *const *a, phantomdb_error *e) { \
        (void)a;                                                         \
        (void)e;                                                         \
        (void)phantomdb_##function(argument);                            \
        return PHANTOMDB_OK;                                             \
    }

/* An array of one text, or none. */
#define TEXTS_OF(text) ((text) != NULL ? (const char *const[]){(text)} : NULL)
/* Of a callback the table knows only whether it is there. */
#define ACQUIRE(is_there) ((is_there) ? misuse_on_acquire : NULL)
#define RESULT_TO(is_there) ((is_there) ? misuse_on_result : NULL)

CALL_THAT_CANNOT_FAIL(version, )
CALL_THAT_CANNOT_FAIL(abi_version, )
CALL_THAT_CANNOT_FAIL(code_table, a[0])
CALL_THAT_CANNOT_FAIL(code_name, INT32_MIN)
CALL_THAT_CANNOT_FAIL(operation_table, a[0])
CALL_THAT_CANNOT_FAIL(option_table, a[0])
CALL(pool_options_init, a[0], sizeof(phantomdb_pool_options))
CALL(status_init, a[0], sizeof(phantomdb_status))
CALL(operation_check, PHANTOMDB_LIST_TABLES, TEXTS_OF(a[0]), 1, e)
CALL(request_check, a[0], a[1], a[2], 2, e)
CALL(pool_create, a[0], a[1], e)
CALL(pool_acquire, a[0], a[1], e)
CALL(pool_acquire_timeout, a[0], 10000, a[1], e)
CALL(pool_try_acquire, a[0], a[1], e)
CALL(pool_release, a[0], a[1], e)
CALL(pool_discard, a[0], a[1], e)
CALL(pool_request, a[0], a[1], a[2], a[3], 2, a[4], e)
CALL(pool_query, a[0], a[1], a[2], a[3], a[4], e)
CALL(pool_status, a[0], a[1], e)
CALL(pool_status_json, a[0], a[1], e)
CALL(pool_stats_json, a[0], a[1], e)
CALL(pool_metrics, a[0], a[1], e)
CALL(pool_reset, a[0], e)
CALL(pool_resize, a[0], 1, 4, e)
CALL(pool_set_token, a[0], a[1], e)
CALL(pool_close, a[0], e)
CALL(pool_close_timeout, a[0], 1000, e)
CALL(pool_run, a[0], PHANTOMDB_LIST_TABLES, TEXTS_OF(a[1]), 1, a[2], e)
CALL(pool_acquire_async, a[0], PHANTOMDB_POOL_TIMEOUT, ACQUIRE(a[1]), a[2], a[3], e)
CALL(pool_acquire_direct, a[0], PHANTOMDB_POOL_TIMEOUT, ACQUIRE(a[1]), a[2], a[3], a[4], e)
CALL(pool_run_async, a[0], PHANTOMDB_LIST_TABLES, TEXTS_OF(a[1]), 1, RESULT_TO(a[2]), a[3], a[4], e)
CALL(pool_request_async, a[0], a[1], a[2], a[3], 2, RESULT_TO(a[4]), a[5], a[6], e)
CALL(pool_close_async, a[0], 1000, a[1] ? misuse_on_close : NULL, a[2], e)
CALL(connection_run, a[0], PHANTOMDB_LIST_TABLES, TEXTS_OF(a[1]), 1, a[2], e)
CALL(connection_run_async, a[0], PHANTOMDB_LIST_TABLES, TEXTS_OF(a[1]), 1, RESULT_TO(a[2]), a[3],
     a[4], e)
CALL(connection_request_async, a[0], a[1], a[2], a[3], 2, RESULT_TO(a[4]), a[5], a[6], e)
CALL(connection_start, a[0], PHANTOMDB_LIST_TABLES, TEXTS_OF(a[1]), 1, a[2], a[3], e)
CALL(connection_start_request, a[0], a[1], a[2], a[3], 2, a[4], a[5], e)
CALL(connection_resume, a[0], a[1], a[2], e)
CALL(connection_resume_unread, a[0], a[1], a[2], e)
CALL(connection_finish_async, a[0], RESULT_TO(a[1]), a[2], a[3], e)
CALL(connection_finish, a[0], a[1], e)
CALL(cancel, a[0], e)
CALL_THAT_CANNOT_FAIL(post_connection, )
CALL_THAT_CANNOT_FAIL(post_result, )
CALL_THAT_CANNOT_FAIL(post_close, )
CALL(completion_queue_create, NULL, NULL, a[0], e)
CALL(completion_queue_descriptor, a[0], a[1], e)
/* Of the place for completions the table knows only whether it is there. */
CALL(completion_queue_take, a[0], 0, a[1] != NULL ? &(phantomdb_completion){0} : NULL, 1, a[2], e)
CALL(completion_queue_defer_wake, a[0], e)
CALL(completion_queue_free, a[0], e)

/* It always fails: this is how it does where all is well. */
static int32_t call_pool_acquire_cancelled(void *const *a, phantomdb_error *e) {
    int32_t code = phantomdb_pool_acquire_cancelled(a[0], e);
    if (code != PHANTOMDB_ERR_CANCELLED) return code;
    if (e != NULL) memset(e, 0, sizeof *e);
    return PHANTOMDB_OK;
}

static int32_t call_connection_watch_socket(void *const *a, phantomdb_error *e) {
    int32_t code = phantomdb_connection_watch_socket(a[0], NULL, a[1], a[2], e);
    if (code == PHANTOMDB_OK) close(*(int32_t *)a[2]);
    return code;
}

CALL(connection_health_check, a[0], a[1], e)
CALL(connection_list_databases, a[0], a[1], e)
CALL(connection_create_database, a[0], a[1], a[2], e)
CALL(connection_drop_database, a[0], a[1], a[2], e)
CALL(connection_list_tables, a[0], a[1], a[2], e)
CALL(connection_create_table, a[0], a[1], a[2], a[3], a[4], e)
CALL(connection_drop_table, a[0], a[1], a[2], a[3], e)
CALL(connection_insert, a[0], a[1], a[2], a[3], a[4], e)
CALL(connection_select, a[0], a[1], a[2], a[3], a[4], e)
CALL(connection_update, a[0], a[1], a[2], a[3], a[4], a[5], e)
CALL(connection_delete, a[0], a[1], a[2], a[3], a[4], e)
CALL(connection_execute_query, a[0], a[1], a[2], a[3], a[4], e)
CALL(connection_begin_transaction, a[0], a[1], a[2], e)
CALL(connection_commit_transaction, a[0], a[1], a[2], e)
CALL(connection_rollback_transaction, a[0], a[1], a[2], e)
CALL(connection_request, a[0], a[1], a[2], a[3], 2, a[4], e)
CALL(connection_interrupt, a[0], e)
CALL(connection_set_owner, a[0], a[1], e)
CALL(result_text, a[0], a[1], a[2], e)
CALL(result_row_count, a[0], a[1], e)
CALL(result_column_count, a[0], a[1], e)
CALL(result_column_name, a[0], 0, a[1], a[2], e)
CALL(result_column_index, a[0], a[1], a[2], e)
CALL(result_cell_kind, a[0], 0, 0, a[1], e)
CALL(result_cell_is_null, a[0], 0, 0, a[1], e)
CALL(result_cell_text, a[0], 0, 0, a[1], a[2], e)
CALL(result_cell_int64, a[0], 0, 0, a[1], e)
CALL(result_cell_double, a[0], 0, 0, a[1], e)
CALL(result_cell_bool, a[0], 0, 0, a[1], e)
CALL(result_item_count, a[0], a[1], e)
CALL(result_item, a[0], 0, a[1], a[2], e)
CALL(result_affected_rows, a[0], a[1], e)
CALL(result_free, a[0])
CALL(result_reported_row_count, a[0], a[1], e)
CALL(result_cell_is_replaced, a[0], 0, 0, a[1], e)

/* Of the places for a position and for values the table knows only whether they are there. */
#define POSITION(is_there) ((is_there) ? &(uint64_t){0} : NULL)
#define VALUES(is_there) ((is_there) ? &(phantomdb_value){0} : NULL)
CALL(result_read_columns, a[0], POSITION(a[1]), VALUES(a[2]), 1, a[3], e)
CALL(result_read_cells, a[0], POSITION(a[1]), VALUES(a[2]), 1, a[3], e)
CALL(result_read_items, a[0], POSITION(a[1]), VALUES(a[2]), 1, a[3], e)
CALL(result_read_json, a[0], PHANTOMDB_WHOLE, PHANTOMDB_WHOLE, POSITION(a[1]), VALUES(a[2]), 1, a[3], NULL, 0,
     e)

#define ROW(name, traits, ...) {"phantomdb_" #name, traits, call_##name, {__VA_ARGS__}}
#define A_POOL {POOL, "pool", NULL}
#define A_CONNECTION {CONNECTION, "connection", NULL}
#define A_RESULT {RESULT, "result", NULL}
#define A_QUEUE {QUEUE, "queue", NULL}
#define DATABASE {TEXT, "database", "d"}
#define TABLE {TEXT, "table", "t"}
#define RESULT_OUT {OPTIONAL_OUT_HANDLE, "result", NULL}
#define OUT(name) {OUT_VALUE, #name, NULL}
#define LENT {OUT_TEXT, "text", NULL}
#define CALLS_BACK {CALLBACK, "callback", "yes"}, {USER_DATA, "user_data", NULL}
#define A_TICKET {OPTIONAL_OUT_VALUE, "ticket", NULL}
#define THE_TEXTS {TEXTS, "arguments", "d"}
#define THE_STEP {OUT_STEP, "step", NULL}
#define LENGTH {OPTIONAL_OUT_VALUE, "length", NULL}

const misuse_row misuse_rows[] = {
    ROW(version, HAS_NO_ERROR | CANNOT_FAIL, {NO_ARGUMENT, NULL, NULL}),
    ROW(abi_version, HAS_NO_ERROR | CANNOT_FAIL, {NO_ARGUMENT, NULL, NULL}),
    ROW(code_table, HAS_NO_ERROR | CANNOT_FAIL, {OPTIONAL_OUT_VALUE, "count", NULL}),
    ROW(code_name, HAS_NO_ERROR | CANNOT_FAIL, {NO_ARGUMENT, NULL, NULL}),
    ROW(operation_table, HAS_NO_ERROR | CANNOT_FAIL, {OPTIONAL_OUT_VALUE, "count", NULL}),
    ROW(option_table, HAS_NO_ERROR | CANNOT_FAIL, {OPTIONAL_OUT_VALUE, "count", NULL}),
    ROW(pool_options_init, HAS_NO_ERROR, {STRUCT, "options", NULL}),
    ROW(status_init, HAS_NO_ERROR, {STRUCT, "status", NULL}),

    ROW(operation_check, PLAIN, THE_TEXTS),
    ROW(request_check, PLAIN, {TEXT, "method", "POST"}, {TEXT, "path", "/p"}, {BYTES, "body", "{}"}),
    ROW(pool_create, PLAIN, {OPTIONS, "options", NULL}, {OUT_HANDLE, "pool", NULL}),
    ROW(pool_acquire, PLAIN, A_POOL, {OUT_HANDLE, "connection", NULL}),
    ROW(pool_acquire_timeout, PLAIN, A_POOL, {OUT_HANDLE, "connection", NULL}),
    ROW(pool_try_acquire, PLAIN, A_POOL, {OUT_HANDLE, "connection", NULL}),
    ROW(pool_acquire_cancelled, PLAIN, A_POOL),
    ROW(pool_release, ENDS_ITS_HANDLE, A_POOL, A_CONNECTION),
    ROW(pool_discard, ENDS_ITS_HANDLE, A_POOL, A_CONNECTION),
    ROW(pool_request, PLAIN, A_POOL, {TEXT, "method", "POST"}, {TEXT, "path", "/p"},
        {BYTES, "body", "{}"}, RESULT_OUT),
    ROW(pool_query, PLAIN, A_POOL, DATABASE, {TEXT, "sql", "SELECT 1"},
        {OPTIONAL_TEXT, "parameters", "[]"}, RESULT_OUT),
    ROW(pool_status, PLAIN, A_POOL, {STRUCT, "status", NULL}),
    ROW(pool_status_json, PLAIN, A_POOL, RESULT_OUT),
    ROW(pool_stats_json, PLAIN, A_POOL, RESULT_OUT),
    ROW(pool_metrics, PLAIN, A_POOL, RESULT_OUT),
    ROW(pool_reset, PLAIN, A_POOL),
    ROW(pool_resize, PLAIN, A_POOL),
    ROW(pool_set_token, PLAIN, A_POOL, {OPTIONAL_TEXT, "token", "hush"}),
    ROW(pool_close, ENDS_ITS_HANDLE, A_POOL),
    ROW(pool_close_timeout, ENDS_ITS_HANDLE, A_POOL),
    ROW(pool_run, PLAIN, A_POOL, THE_TEXTS, RESULT_OUT),
    ROW(pool_acquire_async, PLAIN, A_POOL, CALLS_BACK, A_TICKET),
    ROW(pool_acquire_direct, PLAIN, A_POOL, {OPTIONAL_CALLBACK, "callback", "yes"},
        {USER_DATA, "user_data", NULL}, {OUT_HANDLE, "connection", NULL}, A_TICKET),
    ROW(pool_run_async, PLAIN, A_POOL, THE_TEXTS, CALLS_BACK, A_TICKET),
    ROW(pool_request_async, PLAIN, A_POOL, {TEXT, "method", "POST"}, {TEXT, "path", "/p"},
        {BYTES, "body", "{}"}, CALLS_BACK, A_TICKET),
    ROW(pool_close_async, ENDS_ITS_HANDLE, A_POOL, CALLS_BACK),
    ROW(cancel, NEEDS_TICKET, {TICKET, "ticket", NULL}),
    ROW(post_connection, HAS_NO_ERROR | CANNOT_FAIL, {NO_ARGUMENT, NULL, NULL}),
    ROW(post_result, HAS_NO_ERROR | CANNOT_FAIL, {NO_ARGUMENT, NULL, NULL}),
    ROW(post_close, HAS_NO_ERROR | CANNOT_FAIL, {NO_ARGUMENT, NULL, NULL}),
    ROW(completion_queue_create, PLAIN, {OUT_HANDLE, "queue", NULL}),
    ROW(completion_queue_descriptor, PLAIN, A_QUEUE, OUT(descriptor)),
    ROW(completion_queue_take, PLAIN, A_QUEUE, OUT(completions), OUT(count)),
    ROW(completion_queue_defer_wake, PLAIN, A_QUEUE),
    ROW(completion_queue_free, ENDS_ITS_HANDLE, A_QUEUE),

    ROW(connection_health_check, PLAIN, A_CONNECTION, RESULT_OUT),
    ROW(connection_list_databases, PLAIN, A_CONNECTION, RESULT_OUT),
    ROW(connection_create_database, PLAIN, A_CONNECTION, {TEXT, "name", "d"}, RESULT_OUT),
    ROW(connection_drop_database, PLAIN, A_CONNECTION, DATABASE, RESULT_OUT),
    ROW(connection_list_tables, PLAIN, A_CONNECTION, DATABASE, RESULT_OUT),
    ROW(connection_create_table, PLAIN, A_CONNECTION, DATABASE, {TEXT, "name", "t"},
        {TEXT, "columns", "[]"}, RESULT_OUT),
    ROW(connection_drop_table, PLAIN, A_CONNECTION, DATABASE, TABLE, RESULT_OUT),
    ROW(connection_insert, PLAIN, A_CONNECTION, DATABASE, TABLE, {TEXT, "row", "{}"}, RESULT_OUT),
    ROW(connection_select, PLAIN, A_CONNECTION, DATABASE, TABLE,
        {OPTIONAL_TEXT, "condition", "a=1"}, RESULT_OUT),
    ROW(connection_update, PLAIN, A_CONNECTION, DATABASE, TABLE, {TEXT, "data", "{}"},
        {OPTIONAL_TEXT, "condition", "a=1"}, RESULT_OUT),
    ROW(connection_delete, PLAIN, A_CONNECTION, DATABASE, TABLE, {TEXT, "condition", "a=1"},
        RESULT_OUT),
    ROW(connection_execute_query, PLAIN, A_CONNECTION, DATABASE, {TEXT, "sql", "SELECT 1"},
        {OPTIONAL_TEXT, "parameters", "[]"}, RESULT_OUT),
    ROW(connection_begin_transaction, PLAIN, A_CONNECTION, {OPTIONAL_TEXT, "database", "d"},
        RESULT_OUT),
    ROW(connection_commit_transaction, NEEDS_TRANSACTION, A_CONNECTION,
        {OPTIONAL_TEXT, "transaction_id", "t1"}, RESULT_OUT),
    ROW(connection_rollback_transaction, NEEDS_TRANSACTION, A_CONNECTION,
        {OPTIONAL_TEXT, "transaction_id", "t1"}, RESULT_OUT),
    ROW(connection_request, PLAIN, A_CONNECTION, {TEXT, "method", "POST"}, {TEXT, "path", "/p"},
        {BYTES, "body", "{}"}, RESULT_OUT),
    ROW(connection_run, PLAIN, A_CONNECTION, THE_TEXTS, RESULT_OUT),
    ROW(connection_run_async, PLAIN, A_CONNECTION, THE_TEXTS, CALLS_BACK, A_TICKET),
    ROW(connection_request_async, PLAIN, A_CONNECTION, {TEXT, "method", "POST"},
        {TEXT, "path", "/p"}, {BYTES, "body", "{}"}, CALLS_BACK, A_TICKET),
    ROW(connection_start, PLAIN, A_CONNECTION, THE_TEXTS, THE_STEP, RESULT_OUT),
    ROW(connection_start_request, PLAIN, A_CONNECTION, {TEXT, "method", "POST"},
        {TEXT, "path", "/p"}, {BYTES, "body", "{}"}, THE_STEP, RESULT_OUT),
    ROW(connection_resume, NEEDS_STEP, A_CONNECTION, THE_STEP, RESULT_OUT),
    ROW(connection_resume_unread, NEEDS_STEP, A_CONNECTION, THE_STEP, RESULT_OUT),
    ROW(connection_finish_async, NEEDS_STEP, A_CONNECTION, CALLS_BACK, A_TICKET),
    ROW(connection_finish, NEEDS_STEP, A_CONNECTION, RESULT_OUT),
    ROW(connection_watch_socket, NEEDS_SOCKET, A_CONNECTION, {USER_DATA, "user_data", NULL},
        OUT(descriptor)),
    ROW(connection_interrupt, PLAIN, A_CONNECTION),
    ROW(connection_set_owner, PLAIN, A_CONNECTION, {TEXT, "owner", "me"}),

    ROW(result_text, PLAIN, A_RESULT, LENT, LENGTH),
    ROW(result_row_count, PLAIN, A_RESULT, OUT(count)),
    ROW(result_column_count, PLAIN, A_RESULT, OUT(count)),
    ROW(result_column_name, PLAIN, A_RESULT, LENT, LENGTH),
    ROW(result_column_index, PLAIN, A_RESULT, {TEXT, "name", "max"}, OUT(column)),
    ROW(result_cell_kind, PLAIN, A_RESULT, OUT(value)),
    ROW(result_cell_is_null, PLAIN, A_RESULT, OUT(value)),
    ROW(result_cell_text, PLAIN, A_RESULT, LENT, LENGTH),
    ROW(result_cell_int64, PLAIN, A_RESULT, OUT(value)),
    ROW(result_cell_double, PLAIN, A_RESULT, OUT(value)),
    ROW(result_cell_bool, PLAIN, A_RESULT, OUT(value)),
    ROW(result_item_count, OF_A_LIST, A_RESULT, OUT(count)),
    ROW(result_item, OF_A_LIST, A_RESULT, LENT, LENGTH),
    ROW(result_affected_rows, PLAIN, A_RESULT, OUT(count)),
    ROW(result_reported_row_count, PLAIN, A_RESULT, OUT(count)),
    ROW(result_cell_is_replaced, PLAIN, A_RESULT, OUT(value)),
    ROW(result_read_columns, PLAIN, A_RESULT, OUT(position), OUT(values), OUT(count)),
    ROW(result_read_cells, PLAIN, A_RESULT, OUT(position), OUT(values), OUT(count)),
    ROW(result_read_items, OF_A_LIST, A_RESULT, OUT(position), OUT(values), OUT(count)),
    ROW(result_read_json, PLAIN, A_RESULT, OUT(position), OUT(values), OUT(count)),
    ROW(result_free, HAS_NO_ERROR | ENDS_ITS_HANDLE, A_RESULT),
};

const size_t misuse_row_count = sizeof misuse_rows / sizeof *misuse_rows;
