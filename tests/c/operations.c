/* Every operation, end to end against the development server. */
#include <pthread.h>
#include <string.h>

#include "devserver.h"
#include "fake_server.h"
#include "support.h"

/* Holds all that a URL must not. */
#define DATABASE "d/b?#% &=+ é漢\"'"
#define TABLE "t/a?#% &=+ ü漢'"
#define QUOTED_TABLE "\"t/a?#% &=+ ü漢'\""

static devserver server;
static phantomdb_pool *pool;
static phantomdb_connection *connection;
static phantomdb_error error;

static void with_a_database(void) {
    phantomdb_pool_options options = options_for(server.url);
    options.max_connections = 3;
    options.acquire_timeout_ms = WAIT_LIMIT_MS;
    pool = new_pool(&options);
    connection = acquired(pool);
    CHECK_OK(phantomdb_connection_create_database(connection, DATABASE, NULL, &error), &error);
}

static void without_it_again(void) {
    CHECK_OK(phantomdb_connection_drop_database(connection, DATABASE, NULL, &error), &error);
    released(pool, connection);
    at_rest(pool);
    closed(pool);
}

static void make_table(const char *columns) {
    CHECK_OK(phantomdb_connection_create_table(connection, DATABASE, TABLE, columns, NULL, &error),
             &error);
}

static void insert(const char *row) {
    CHECK_OK(phantomdb_connection_insert(connection, DATABASE, TABLE, row, NULL, &error), &error);
}

static phantomdb_result *query(const char *sql, const char *parameters) {
    phantomdb_result *result = NULL;
    CHECK_OK(phantomdb_connection_execute_query(connection, DATABASE, sql, parameters, &result,
                                                &error), &error);
    return result;
}

static void freed(phantomdb_result *result) {
    CHECK_INT(phantomdb_result_free(result), PHANTOMDB_OK);
}

static uint64_t row_count(const phantomdb_result *result) {
    uint64_t count = UINT64_MAX;
    CHECK_OK(phantomdb_result_row_count(result, &count, &error), &error);
    return count;
}

static uint64_t rows_in_table(void) {
    phantomdb_result *result = NULL;
    CHECK_OK(phantomdb_connection_select(connection, DATABASE, TABLE, NULL, &result, &error),
             &error);
    uint64_t count = row_count(result);
    freed(result);
    return count;
}

static int64_t affected(const phantomdb_result *result) {
    int64_t count = -2;
    CHECK_OK(phantomdb_result_affected_rows(result, &count, &error), &error);
    return count;
}

static bool lists(const phantomdb_result *result, const char *name) {
    uint64_t count = 0;
    CHECK_OK(phantomdb_result_item_count(result, &count, &error), &error);
    for (uint64_t i = 0; i < count; i++) {
        const char *item = NULL;
        uint64_t length = 0;
        CHECK_OK(phantomdb_result_item(result, i, &item, &length, &error), &error);
        if (CHECK(item != NULL) && length == strlen(name) && strcmp(item, name) == 0) return true;
    }
    return false;
}

static void health(void) {
    with_a_database();
    phantomdb_result *result = NULL;
    CHECK_OK(phantomdb_connection_health_check(connection, &result, &error), &error);
    const char *status = NULL;
    uint64_t column = 0;
    CHECK_OK(phantomdb_result_column_index(result, "status", &column, &error), &error);
    CHECK_OK(phantomdb_result_cell_text(result, 0, column, &status, NULL, &error), &error);
    CHECK_TEXT(status, "healthy");
    freed(result);
    without_it_again();
}

static void databases(void) {
    with_a_database();
    phantomdb_result *result = NULL;
    CHECK_OK(phantomdb_connection_list_databases(connection, &result, &error), &error);
    CHECK(lists(result, DATABASE));
    freed(result);
    CHECK_CODE(phantomdb_connection_create_database(connection, DATABASE, &result, &error),
               PHANTOMDB_ERR_HTTP, &error, "already");
    CHECK_INT(error.http_status, 409);
    CHECK(result == NULL);
    without_it_again();
}

static void tables(void) {
    with_a_database();
    make_table("[{\"name\":\"id\",\"type\":\"integer\",\"primaryKey\":true}]");
    phantomdb_result *result = NULL;
    CHECK_OK(phantomdb_connection_list_tables(connection, DATABASE, &result, &error), &error);
    CHECK(lists(result, TABLE));
    freed(result);
    CHECK_OK(phantomdb_connection_drop_table(connection, DATABASE, TABLE, NULL, &error), &error);
    CHECK_OK(phantomdb_connection_list_tables(connection, DATABASE, &result, &error), &error);
    uint64_t count = 9;
    CHECK_OK(phantomdb_result_item_count(result, &count, &error), &error);
    CHECK_INT(count, 0);
    freed(result);
    CHECK_CODE(phantomdb_connection_drop_table(connection, DATABASE, TABLE, NULL, &error),
               PHANTOMDB_ERR_HTTP, &error, NULL);
    CHECK_INT(error.http_status, 404);
    without_it_again();
}

static void insert_select_update_delete(void) {
    with_a_database();
    make_table("[{\"name\":\"id\",\"type\":\"integer\",\"primaryKey\":true},"
               "{\"name\":\"ñame\",\"type\":\"string\"}]");
    insert("{\"id\":1,\"ñame\":\"a & b # c\"}");
    insert("{\"id\":2,\"ñame\":\"50%\"}");
    insert("{\"id\":3,\"ñame\":null}");
    phantomdb_result *result = NULL;
    CHECK_OK(phantomdb_connection_select(connection, DATABASE, TABLE, "\"ñame\" = 'a & b # c'",
                                         &result, &error), &error);
    CHECK_INT(row_count(result), 1);
    freed(result);
    CHECK_OK(phantomdb_connection_update(connection, DATABASE, TABLE, "{\"ñame\":\"+\"}", "id >= 2",
                                         &result, &error), &error);
    CHECK_INT(affected(result), 2);
    freed(result);
    CHECK_OK(phantomdb_connection_delete(connection, DATABASE, TABLE, "\"ñame\" = '+'", &result,
                                         &error), &error);
    CHECK_INT(affected(result), 2);
    freed(result);
    CHECK_INT(rows_in_table(), 1);
    CHECK_OK(phantomdb_connection_update(connection, DATABASE, TABLE, "{\"ñame\":\"x\"}", NULL,
                                         &result, &error), &error);
    CHECK_INT(affected(result), 1);
    freed(result);
    without_it_again();
}

static void a_delete_without_a_condition_is_refused(void) {
    with_a_database();
    make_table("[{\"name\":\"id\",\"type\":\"integer\"}]");
    insert("{\"id\":1}");
    const char *const blank[] = {NULL, "", "  ", "\t\r\n"};
    for (int i = 0; i < 4; i++) {
        phantomdb_result *result = NULL;
        CHECK_CODE(phantomdb_connection_delete(connection, DATABASE, TABLE, blank[i], &result,
                                               &error),
                   PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "condition");
        CHECK(result == NULL);
        CHECK_INT(error.http_status, 0);
    }
    CHECK_INT(rows_in_table(), 1);
    phantomdb_result *result = NULL;
    CHECK_OK(phantomdb_connection_delete(connection, DATABASE, TABLE, "1=1", &result, &error),
             &error);
    CHECK_INT(affected(result), 1);
    freed(result);
    CHECK_INT(rows_in_table(), 0);
    without_it_again();
}

static void a_refused_delete_sends_nothing(void) {
    const fake_step any = {"HTTP/1.1 200 OK\r\n", 0, FAKE_KEEP, "{}"};
    fake_server *fake = fake_server_start(&any, 1);
    phantomdb_pool_options options = options_for(fake_server_url(fake));
    phantomdb_pool *of_fake = new_pool(&options);
    phantomdb_connection *to_fake = acquired(of_fake);
    CHECK_CODE(phantomdb_connection_delete(to_fake, "d", "t", NULL, NULL, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "condition");
    CHECK_CODE(phantomdb_connection_delete(to_fake, "d", "t", " ", NULL, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "condition");
    CHECK_CODE(phantomdb_connection_drop_table(to_fake, "d", "..", NULL, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "table");
    CHECK_CODE(phantomdb_connection_drop_database(to_fake, "", NULL, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "database");
    CHECK_INT(fake_server_connections(fake), 0);
    released(of_fake, to_fake);
    closed(of_fake);
    fake_server_stop(fake);
}

static void values_arrive_as_they_are(void) {
    with_a_database();
    make_table("[{\"name\":\"whole\",\"type\":\"integer\"},{\"name\":\"real\",\"type\":\"float\"},"
               "{\"name\":\"yes\",\"type\":\"boolean\"},{\"name\":\"text\",\"type\":\"string\"},"
               "{\"name\":\"absent\",\"type\":\"string\"}]");
    insert("{\"whole\":9223372036854775807,\"real\":0.1,\"yes\":true,"
           "\"text\":\"\\\"quotes\\\" 'é' 漢 \\u0000 \\n end\",\"absent\":null}");
    insert("{\"whole\":-9223372036854775808,\"real\":1e300,\"yes\":false,\"text\":\"\"}");
    phantomdb_result *result =
        query("SELECT whole, real, yes, text, absent FROM " QUOTED_TABLE " ORDER BY rowid", NULL);
    uint64_t columns = 0;
    CHECK_OK(phantomdb_result_column_count(result, &columns, &error), &error);
    CHECK_INT(columns, 5);
    CHECK_INT(row_count(result), 2);

    int64_t whole = 0;
    double real = 0;
    bool yes = false;
    bool is_null = true;
    const char *text = NULL;
    uint64_t length = 0;
    CHECK_OK(phantomdb_result_cell_int64(result, 0, 0, &whole, &error), &error);
    CHECK_INT(whole, INT64_MAX);
    CHECK_OK(phantomdb_result_cell_int64(result, 1, 0, &whole, &error), &error);
    CHECK_INT(whole, INT64_MIN);
    CHECK_OK(phantomdb_result_cell_double(result, 0, 1, &real, &error), &error);
    CHECK(real == 0.1);
    CHECK_OK(phantomdb_result_cell_double(result, 1, 1, &real, &error), &error);
    CHECK(real == 1e300);
    CHECK_OK(phantomdb_result_cell_bool(result, 0, 2, &yes, &error), &error);
    CHECK(yes);
    CHECK_OK(phantomdb_result_cell_bool(result, 1, 2, &yes, &error), &error);
    CHECK(!yes);
    CHECK_OK(phantomdb_result_cell_text(result, 0, 3, &text, &length, &error), &error);
    static const char expected[] = "\"quotes\" 'é' 漢 \0 \n end";
    CHECK_INT(length, sizeof expected - 1);
    CHECK(text != NULL && memcmp(text, expected, sizeof expected) == 0);
    CHECK_OK(phantomdb_result_cell_is_null(result, 0, 3, &is_null, &error), &error);
    CHECK(!is_null);
    CHECK_OK(phantomdb_result_cell_is_null(result, 1, 4, &is_null, &error), &error);
    CHECK(is_null);
    CHECK_OK(phantomdb_result_cell_text(result, 1, 4, &text, &length, &error), &error);
    CHECK_TEXT(text, "");
    CHECK_INT(length, 0);
    static const int32_t kinds[] = {PHANTOMDB_CELL_NUMBER, PHANTOMDB_CELL_NUMBER,
                                    PHANTOMDB_CELL_BOOL, PHANTOMDB_CELL_STRING,
                                    PHANTOMDB_CELL_NULL};
    for (uint64_t i = 0; i < 5; i++) {
        int32_t kind = -1;
        CHECK_OK(phantomdb_result_cell_kind(result, 0, i, &kind, &error), &error);
        CHECK_INT(kind, kinds[i]);
    }
    freed(result);
    without_it_again();
}

static void what_is_not_there_or_of_another_type(void) {
    with_a_database();
    phantomdb_result *result = query("SELECT 'x' AS text, 1.5 AS real, NULL AS absent", NULL);
    int64_t whole = 7;
    double real = 7;
    bool yes = true;
    const char *text = NULL;
    uint64_t number = 7;
    CHECK_CODE(phantomdb_result_cell_int64(result, 0, 0, &whole, &error), PHANTOMDB_ERR_TYPE,
               &error, "text");
    CHECK_CODE(phantomdb_result_cell_int64(result, 0, 1, &whole, &error), PHANTOMDB_ERR_TYPE,
               &error, "1.5");
    CHECK_CODE(phantomdb_result_cell_int64(result, 0, 2, &whole, &error), PHANTOMDB_ERR_TYPE,
               &error, "null");
    CHECK_CODE(phantomdb_result_cell_double(result, 0, 0, &real, &error), PHANTOMDB_ERR_TYPE,
               &error, "text");
    CHECK_CODE(phantomdb_result_cell_bool(result, 0, 1, &yes, &error), PHANTOMDB_ERR_TYPE, &error,
               "real");
    CHECK_CODE(phantomdb_result_cell_text(result, 1, 0, &text, NULL, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "row");
    CHECK_CODE(phantomdb_result_cell_text(result, 0, 3, &text, NULL, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "column");
    CHECK_CODE(phantomdb_result_cell_text(result, UINT64_MAX, UINT64_MAX, &text, NULL, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "column");
    CHECK_CODE(phantomdb_result_column_name(result, 3, &text, NULL, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "column");
    CHECK(text == NULL);
    CHECK_CODE(phantomdb_result_column_index(result, "none", &number, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "none");
    CHECK_CODE(phantomdb_result_item_count(result, &number, &error), PHANTOMDB_ERR_TYPE, &error,
               "list");
    CHECK_INT(whole, 7);
    CHECK_OK(phantomdb_result_column_index(result, "real", &number, &error), &error);
    CHECK_INT(number, 1);
    CHECK_OK(phantomdb_result_column_name(result, 2, &text, &number, &error), &error);
    CHECK_TEXT(text, "absent");
    CHECK_INT(number, 6);
    freed(result);

    CHECK_OK(phantomdb_connection_list_databases(connection, &result, &error), &error);
    CHECK_CODE(phantomdb_result_row_count(result, &number, &error), PHANTOMDB_ERR_TYPE, &error,
               "table");
    CHECK_CODE(phantomdb_result_item(result, 100, &text, NULL, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "item");
    freed(result);
    without_it_again();
}

static void queries_with_parameters(void) {
    with_a_database();
    phantomdb_result *result = query("SELECT ? AS a, ? AS b, ? AS c", "[\"O'Hara; --\", 42, null]");
    const char *text = NULL;
    CHECK_OK(phantomdb_result_cell_text(result, 0, 0, &text, NULL, &error), &error);
    CHECK_TEXT(text, "O'Hara; --");
    CHECK_OK(phantomdb_result_cell_text(result, 0, 1, &text, NULL, &error), &error);
    CHECK_TEXT(text, "42");
    freed(result);
    CHECK_CODE(phantomdb_connection_execute_query(connection, DATABASE, "SELEC 1", NULL, &result,
                                                  &error),
               PHANTOMDB_ERR_HTTP, &error, "SELEC");
    CHECK_INT(error.http_status, 400);
    CHECK(!error.retriable);
    CHECK_CODE(phantomdb_connection_execute_query(connection, DATABASE, "SELECT 1", "{}", NULL,
                                                  &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "parameters");
    CHECK_CODE(phantomdb_connection_execute_query(connection, DATABASE, " ", NULL, NULL, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "sql");
    CHECK_CODE(phantomdb_connection_insert(connection, DATABASE, TABLE, "[1]", NULL, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "row");
    CHECK_CODE(phantomdb_connection_insert(connection, DATABASE, TABLE, "{\"a\":", NULL, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "row");
    CHECK_CODE(phantomdb_connection_create_table(connection, DATABASE, TABLE, "x", NULL, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "columns");
    without_it_again();
}

static void begin(void) {
    CHECK_OK(phantomdb_connection_begin_transaction(connection, DATABASE, NULL, &error), &error);
}

static void a_transaction_commits(void) {
    with_a_database();
    make_table("[{\"name\":\"id\",\"type\":\"integer\"}]");
    phantomdb_result *result = NULL;
    CHECK_OK(phantomdb_connection_begin_transaction(connection, NULL, &result, &error), &error);
    const char *id = NULL;
    uint64_t column = 9;
    CHECK_OK(phantomdb_result_column_index(result, "transaction_id", &column, &error), &error);
    CHECK_OK(phantomdb_result_cell_text(result, 0, column, &id, NULL, &error), &error);
    insert("{\"id\":1}");
    CHECK_CODE(phantomdb_connection_begin_transaction(connection, NULL, NULL, &error),
               PHANTOMDB_ERR_INVALID_STATE, &error, "open");
    CHECK_CODE(phantomdb_connection_commit_transaction(connection, "another", NULL, &error),
               PHANTOMDB_ERR_INVALID_STATE, &error, NULL);
    CHECK_OK(phantomdb_connection_commit_transaction(connection, id, NULL, &error), &error);
    freed(result);
    CHECK_INT(rows_in_table(), 1);
    without_it_again();
}

static void a_transaction_rolls_back(void) {
    with_a_database();
    make_table("[{\"name\":\"id\",\"type\":\"integer\"}]");
    begin();
    insert("{\"id\":1}");
    CHECK_INT(rows_in_table(), 1);
    CHECK_OK(phantomdb_connection_rollback_transaction(connection, NULL, NULL, &error), &error);
    CHECK_INT(rows_in_table(), 0);
    CHECK_CODE(phantomdb_connection_rollback_transaction(connection, NULL, NULL, &error),
               PHANTOMDB_ERR_INVALID_STATE, &error, "no transaction");
    CHECK_CODE(phantomdb_connection_commit_transaction(connection, NULL, NULL, &error),
               PHANTOMDB_ERR_INVALID_STATE, &error, "no transaction");
    without_it_again();
}

static void a_released_transaction_is_rolled_back(void) {
    with_a_database();
    make_table("[{\"name\":\"id\",\"type\":\"integer\"}]");
    begin();
    insert("{\"id\":1}");
    released(pool, connection);
    settled(pool, 2);
    connection = acquired(pool);
    CHECK_INT(rows_in_table(), 0);
    begin();
    CHECK_OK(phantomdb_connection_rollback_transaction(connection, NULL, NULL, &error), &error);
    without_it_again();
}

static void a_discarded_transaction_is_rolled_back(void) {
    with_a_database();
    make_table("[{\"name\":\"id\",\"type\":\"integer\"}]");
    begin();
    insert("{\"id\":1}");
    CHECK_OK(phantomdb_pool_discard(pool, connection, &error), &error);
    settled(pool, 2);
    connection = acquired(pool);
    CHECK_INT(rows_in_table(), 0);
    without_it_again();
}

static void affected_rows(void) {
    with_a_database();
    make_table("[{\"name\":\"id\",\"type\":\"integer\"}]");
    phantomdb_result *result = query("INSERT INTO " QUOTED_TABLE " VALUES (1), (2), (3)", NULL);
    CHECK_INT(affected(result), 3);
    CHECK_INT(row_count(result), 0);
    freed(result);
    CHECK_OK(phantomdb_connection_health_check(connection, &result, &error), &error);
    CHECK_INT(affected(result), -1);
    freed(result);
    without_it_again();
}

static void *interrupted_request(void *to_fake) {
    phantomdb_error why;
    CHECK_CODE(phantomdb_connection_insert(to_fake, "d", "t", "{}", NULL, &why),
               PHANTOMDB_ERR_CANCELLED, &why, "interrupted");
    CHECK(!why.retriable);
    return NULL;
}

static void a_second_thread_finds_it_busy_and_interrupts(void) {
    const fake_step steps[] = {
        {NULL, 0, FAKE_HOLD, NULL},
        {"HTTP/1.1 200 OK\r\n", 0, FAKE_KEEP, "{}"},
    };
    fake_server *fake = fake_server_start(steps, 2);
    phantomdb_pool_options options = options_for(fake_server_url(fake));
    phantomdb_pool *of_fake = new_pool(&options);
    phantomdb_connection *to_fake = acquired(of_fake);
    CHECK_OK(phantomdb_connection_interrupt(to_fake, &error), &error);
    pthread_t thread;
    pthread_create(&thread, NULL, interrupted_request, to_fake);
    EVENTUALLY(fake_server_requests(fake) == 1);
    CHECK_CODE(phantomdb_connection_health_check(to_fake, NULL, &error), PHANTOMDB_ERR_BUSY, &error,
               "one at a time");
    int64_t started = now_ms();
    CHECK_OK(phantomdb_connection_interrupt(to_fake, &error), &error);
    pthread_join(thread, NULL);
    CHECK(now_ms() - started < slack_ms());
    CHECK_OK(phantomdb_connection_health_check(to_fake, NULL, &error), &error);
    released(of_fake, to_fake);
    closed(of_fake);
    fake_server_stop(fake);
}

static void tokens(void) {
    devserver locked = devserver_start("right-token");
    phantomdb_pool_options options = options_for(locked.url);
    phantomdb_pool *of_locked = new_pool(&options);
    phantomdb_connection *to_locked = acquired(of_locked);
    CHECK_CODE(phantomdb_connection_list_databases(to_locked, NULL, &error),
               PHANTOMDB_ERR_UNAUTHORIZED, &error, "token");
    CHECK_INT(error.http_status, 401);
    CHECK_OK(phantomdb_pool_set_token(of_locked, "wrong-token", &error), &error);
    CHECK_CODE(phantomdb_connection_list_databases(to_locked, NULL, &error),
               PHANTOMDB_ERR_UNAUTHORIZED, &error, "token");
    CHECK_LACKS(error.message, "wrong-token");
    CHECK_OK(phantomdb_pool_set_token(of_locked, "right-token", &error), &error);
    CHECK_OK(phantomdb_connection_list_databases(to_locked, NULL, &error), &error);
    CHECK_CODE(phantomdb_pool_set_token(of_locked, "hush\r\nX: y", &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "token");
    CHECK_LACKS(error.message, "hush");
    CHECK_OK(phantomdb_connection_list_databases(to_locked, NULL, &error), &error);
    CHECK_OK(phantomdb_pool_set_token(of_locked, NULL, &error), &error);
    CHECK_INT(phantomdb_connection_list_databases(to_locked, NULL, NULL),
              PHANTOMDB_ERR_UNAUTHORIZED);
    released(of_locked, to_locked);
    closed(of_locked);
    devserver_stop(&locked);
}

static void whole_calls_on_the_pool(void) {
    with_a_database();
    phantomdb_result *result = NULL;
    CHECK_OK(phantomdb_pool_query(pool, DATABASE, "SELECT 1 + ?", "[41]", &result, &error), &error);
    int64_t sum = 0;
    CHECK_OK(phantomdb_result_cell_int64(result, 0, 0, &sum, &error), &error);
    CHECK_INT(sum, 42);
    freed(result);
    CHECK_OK(phantomdb_pool_request(pool, "GET", "/databases", NULL, 0, &result, &error), &error);
    CHECK_HAS(text_of(result), "databases");
    freed(result);
    static const char body[] = "{\"name\":\"made\"} and what is behind is not sent";
    CHECK_OK(phantomdb_pool_request(pool, "POST", "/databases", (const uint8_t *)body, 15, NULL,
                                    &error), &error);
    CHECK_OK(phantomdb_connection_drop_database(connection, "made", NULL, &error), &error);
    CHECK_CODE(phantomdb_pool_query(pool, "none", "SELECT 1", NULL, &result, &error),
               PHANTOMDB_ERR_HTTP, &error, "none");
    CHECK_INT(error.http_status, 404);
    CHECK_INT(status_of(pool).used, 1);
    without_it_again();
}

static void requests_without_a_name(void) {
    with_a_database();
    phantomdb_result *result = NULL;
    CHECK_OK(phantomdb_connection_request(connection, "GET", "/api/v1/databases", NULL, 0, &result,
                                          &error), &error);
    CHECK_HAS(text_of(result), "databases");
    freed(result);
    CHECK_OK(phantomdb_connection_request(connection, "GET", "/metrics", NULL, 0, &result, &error),
             &error);
    CHECK_HAS(text_of(result), "# ");
    freed(result);
    const uint8_t body[] = "{\"name\":";
    CHECK_CODE(phantomdb_connection_request(connection, "POST", "/databases", body, 8, NULL, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "body");
    CHECK_CODE(phantomdb_connection_request(connection, "GET", "databases", NULL, 0, NULL, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "path");
    CHECK_CODE(phantomdb_connection_request(connection, "GET", "/a b", NULL, 0, NULL, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "path");
    CHECK_CODE(phantomdb_connection_request(connection, "GE T", "/", NULL, 0, NULL, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "method");
    without_it_again();
}

static void a_result_outlives_its_pool(void) {
    with_a_database();
    phantomdb_result *result = query("SELECT 'still here' AS a", NULL);
    without_it_again();
    const char *text = NULL;
    CHECK_OK(phantomdb_result_cell_text(result, 0, 0, &text, NULL, &error), &error);
    CHECK_TEXT(text, "still here");
    CHECK_HAS(text_of(result), "still here");
    freed(result);
}

static void *read_it(void *result) {
    for (int i = 0; i < 100; i++) {
        int64_t value = 0;
        phantomdb_error why;
        CHECK_OK(phantomdb_result_cell_int64(result, 0, 0, &value, &why), &why);
        CHECK_INT(value, 5);
    }
    return NULL;
}

static void threads_share_a_result(void) {
    with_a_database();
    phantomdb_result *result = query("SELECT 5", NULL);
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, read_it, result);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    freed(result);
    without_it_again();
}

int main(void) {
    server = devserver_start(NULL);
    check_run("health", health);
    check_run("databases", databases);
    check_run("tables", tables);
    check_run("insert, select, update, delete", insert_select_update_delete);
    check_run("a delete without a condition is refused", a_delete_without_a_condition_is_refused);
    check_run("a refused call sends nothing", a_refused_delete_sends_nothing);
    check_run("values arrive as they are", values_arrive_as_they_are);
    check_run("what is not there or of another type", what_is_not_there_or_of_another_type);
    check_run("queries with parameters, and arguments that are no JSON", queries_with_parameters);
    check_run("a transaction commits", a_transaction_commits);
    check_run("a transaction rolls back", a_transaction_rolls_back);
    check_run("a released transaction is rolled back", a_released_transaction_is_rolled_back);
    check_run("a discarded transaction is rolled back", a_discarded_transaction_is_rolled_back);
    check_run("affected rows", affected_rows);
    check_run("a second thread finds it busy and interrupts",
              a_second_thread_finds_it_busy_and_interrupts);
    check_run("tokens", tokens);
    check_run("whole calls on the pool", whole_calls_on_the_pool);
    check_run("requests without a name", requests_without_a_name);
    check_run("a result outlives its pool", a_result_outlives_its_pool);
    check_run("threads share a result", threads_share_a_result);
    devserver_stop(&server);
    return check_end();
}
