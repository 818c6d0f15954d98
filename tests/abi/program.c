/*
 * A program as it was written for the first release: it uses nothing that came later, and every
 * kind of thing that the header has. Its output is the same with every later library.
 */
#include <inttypes.h>
#include <phantomdb.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define DATABASE "abi"

static phantomdb_pool *pool;
static phantomdb_error error;

static void check(const char *what, int32_t code) {
    printf("%s: %s\n", what, phantomdb_code_name(code));
}

static void show(const char *what, int32_t code, phantomdb_result *result) {
    const char *text = "";
    uint64_t length = 0;
    check(what, code);
    if (result == NULL) return;
    phantomdb_result_text(result, &text, &length, NULL);
    printf("  %" PRIu64 " %s\n", length, text);
    phantomdb_result_free(result);
}

static void on_log(int32_t level, const char *message, void *user_data) {
    (void)level, (void)message, (void)user_data;
}

typedef struct outcome {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int done;
    int32_t code;
    phantomdb_result *result;
} outcome;

static void on_result(phantomdb_result *result, const phantomdb_error *failure, void *user_data) {
    outcome *it = user_data;
    pthread_mutex_lock(&it->lock);
    it->done = 1;
    it->code = failure->code;
    it->result = result;
    pthread_cond_signal(&it->changed);
    pthread_mutex_unlock(&it->lock);
}

static void asynchronously(void) {
    outcome it = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    phantomdb_ticket *ticket;
    const char *arguments[] = {DATABASE};
    check("run_async", phantomdb_pool_run_async(pool, PHANTOMDB_LIST_TABLES, arguments, 1, on_result, &it, &ticket, &error));
    pthread_mutex_lock(&it.lock);
    while (!it.done) pthread_cond_wait(&it.changed, &it.lock);
    pthread_mutex_unlock(&it.lock);
    show("its callback", it.code, it.result);
    check("a late cancel", phantomdb_cancel(ticket, &error));
}

static void tables(void) {
    uint64_t codes = 0, operations = 0;
    const phantomdb_code_info *code = phantomdb_code_table(&codes);
    const phantomdb_operation_info *operation = phantomdb_operation_table(&operations);
    for (uint64_t i = 0; i < codes && code[i].code >= PHANTOMDB_ERR_PANIC; i++)
        printf("%" PRId32 " %s\n", code[i].code, code[i].name);
    for (uint64_t i = 0; i < operations && operation[i].operation <= PHANTOMDB_ROLLBACK_TRANSACTION; i++)
        printf("%" PRId32 " %s %" PRIu32 "\n", operation[i].operation, operation[i].name, operation[i].required_count);
}

static void rows(phantomdb_connection *connection) {
    phantomdb_result *result = NULL;
    int32_t code = phantomdb_connection_select(connection, DATABASE, "person", "id = 1", &result, &error);
    check("select", code);
    uint64_t count = 0, column = 0, length = 0;
    int64_t id = 0;
    double height = 0;
    bool is_null = false;
    int32_t kind = -1;
    const char *name = "";
    phantomdb_result_row_count(result, &count, NULL);
    phantomdb_result_column_index(result, "name", &column, NULL);
    phantomdb_result_cell_text(result, 0, column, &name, &length, NULL);
    phantomdb_result_cell_int64(result, 0, 0, &id, NULL);
    phantomdb_result_cell_double(result, 0, 2, &height, NULL);
    phantomdb_result_cell_is_null(result, 0, 3, &is_null, NULL);
    phantomdb_result_cell_kind(result, 0, 3, &kind, NULL);
    printf("  %" PRIu64 ": %" PRId64 " %s (%" PRIu64 ") %.2f %d %" PRId32 "\n", count, id, name, length, height, is_null, kind);
    check("a row that is not there", phantomdb_result_cell_int64(result, 9, 0, &id, &error));
    check("free", phantomdb_result_free(result));
    check("free twice", phantomdb_result_free(result));
}

static void on_connection(phantomdb_connection *connection) {
    const char *columns = "[{\"name\":\"id\",\"type\":\"integer\",\"primaryKey\":true},{\"name\":\"name\",\"type\":\"string\"},"
                          "{\"name\":\"height\",\"type\":\"float\"},{\"name\":\"note\",\"type\":\"string\"}]";
    int64_t affected = 0;
    phantomdb_result *result = NULL;
    check("owner", phantomdb_connection_set_owner(connection, "program", &error));
    check("create_database", phantomdb_connection_create_database(connection, DATABASE, NULL, &error));
    check("again", phantomdb_connection_create_database(connection, DATABASE, NULL, &error));
    printf("  http_status %" PRId32 ", retriable %d\n", error.http_status, error.retriable);
    check("create_table", phantomdb_connection_create_table(connection, DATABASE, "person", columns, NULL, &error));
    check("begin", phantomdb_connection_begin_transaction(connection, DATABASE, NULL, &error));
    check("insert", phantomdb_connection_insert(connection, DATABASE, "person", "{\"id\":1,\"name\":\"Ada\",\"height\":1.65}", NULL, &error));
    check("commit", phantomdb_connection_commit_transaction(connection, NULL, NULL, &error));
    rows(connection);
    check("update", phantomdb_connection_update(connection, DATABASE, "person", "{\"name\":\"Grace\"}", "id = 1", &result, &error));
    phantomdb_result_affected_rows(result, &affected, NULL);
    printf("  %" PRId64 "\n", affected);
    phantomdb_result_free(result);
    check("delete without a condition", phantomdb_connection_delete(connection, DATABASE, "person", NULL, NULL, &error));
    check("delete", phantomdb_connection_delete(connection, DATABASE, "person", "1=1", NULL, &error));
}

int main(int argc, char **argv) {
    phantomdb_pool_options options;
    phantomdb_status status;
    if (argc != 2) return 2;
#ifdef SET_LATER
    phantomdb_pool_options_init(&options, sizeof options);
    options.later_ms = 1;
    printf("%d ", phantomdb_pool_create(&options, &pool, &error) == PHANTOMDB_ERR_INVALID_ARGUMENT);
    puts(error.message);
    return 0;
#endif
    check("options_init", phantomdb_pool_options_init(&options, sizeof options));
    check("status_init", phantomdb_status_init(&status, sizeof status));
    options.base_url = argv[1];
    options.min_connections = 1;
    options.max_connections = 3;
    options.max_connecting = 1;
    options.max_waiters = 7;
    options.validation = PHANTOMDB_VALIDATION_PING;
    options.acquire_timeout_ms = 20000;
    options.close_timeout_ms = 1000;
    options.max_response_bytes = 1 << 20;
    options.log = on_log;
    options.preconnect = 1;
    if (phantomdb_pool_create(&options, &pool, &error) != PHANTOMDB_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    printf("abi %d\n", phantomdb_abi_version() == PHANTOMDB_ABI_VERSION);

    phantomdb_connection *connection = NULL;
    check("acquire", phantomdb_pool_acquire(pool, &connection, &error));
    printf("  message \"%s\"\n", error.message);
    check("status", phantomdb_pool_status(pool, &status, &error));
    printf("  used %" PRIu32 ", pending %" PRIu32 ", min %" PRIu32 ", max %" PRIu32 "\n", status.used, status.pending,
           status.min, status.max);
    if (connection != NULL) on_connection(connection);
    check("release", phantomdb_pool_release(pool, connection, &error));
    check("release twice", phantomdb_pool_release(pool, connection, &error));

    phantomdb_result *result = NULL;
    int32_t code = phantomdb_pool_query(pool, DATABASE, "SELECT ? AS x", "[\"y\"]", &result, &error);
    show("query", code, result);
    asynchronously();
    tables();
    check("drop", phantomdb_pool_run(pool, PHANTOMDB_DROP_DATABASE, (const char *const[]){DATABASE}, 1, NULL, &error));
    check("close", phantomdb_pool_close(pool, &error));
    check("acquire after close", phantomdb_pool_acquire(pool, &connection, &error));
    printf("  says closed: %d\n", strstr(error.message, "closed") != NULL);
    return 0;
}
