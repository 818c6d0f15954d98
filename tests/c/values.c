/* Values read many at once, of tables, lists and JSON of any shape; numbers and texts that are hard
 * to hold; and responses that there is no memory for. */
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fake_server.h"
#include "support.h"

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define WHOLE PHANTOMDB_WHOLE

static phantomdb_error error;

/* Asks a server that responds with this body. */
static int32_t ask(int32_t operation, const char *body, phantomdb_result **result) {
    const fake_step step = {HEAD, 0, FAKE_KEEP, body};
    fake_server *server = fake_server_start(&step, 1);
    phantomdb_pool_options options = options_for(fake_server_url(server));
    options.max_response_bytes = INT64_C(1) << 40;
    options.request_timeout_ms = WAIT_LIMIT_MS;
    phantomdb_pool *pool = new_pool(&options);
    const char *arguments[] = {"d", "t"};
    uint64_t count = operation == PHANTOMDB_LIST_DATABASES || operation == PHANTOMDB_HEALTH_CHECK ? 0 : 2;
    *result = NULL;
    int32_t code = phantomdb_pool_run(pool, operation, arguments, count, result, &error);
    closed(pool);
    fake_server_stop(server);
    return code;
}

static phantomdb_result *responded(int32_t operation, const char *body) {
    phantomdb_result *result = NULL;
    CHECK_OK(ask(operation, body, &result), &error);
    return result;
}

static void freed(phantomdb_result *result) {
    CHECK_INT(phantomdb_result_free(result), PHANTOMDB_OK);
}

static bool is_text(const phantomdb_value *value, const char *text) {
    return value->length == strlen(text) && memcmp(value->text, text, value->length) == 0;
}

static const char *const table =
    "{\"columns\":[\"a\",\"b\",\"a\"],\"rows\":[[1,\"x\",null],[],[true],[2.5,[1,{\"k\":null}],\"\\u0000\"]],"
    "\"rowCount\":9}";

static void cells_come_in_chunks_of_any_size(void) {
    phantomdb_result *result = responded(PHANTOMDB_EXECUTE_QUERY, table);
    for (uint64_t capacity = 1; capacity < 10; capacity++) {
        phantomdb_value values[10];
        uint64_t position = 0, count = 0, seen = 0;
        do {
            CHECK_OK(phantomdb_result_read_cells(result, &position, values, capacity, &count, &error), &error);
            CHECK(count <= capacity);
            for (uint64_t i = 0; i < count; i++, seen++) {
                const uint64_t rows[] = {0, 0, 0, 2, 3, 3, 3};
                const uint64_t columns[] = {0, 1, 2, 0, 0, 1, 2};
                const int32_t kinds[] = {
                    PHANTOMDB_VALUE_INTEGER, PHANTOMDB_VALUE_STRING, PHANTOMDB_VALUE_NULL,
                    PHANTOMDB_VALUE_BOOL, PHANTOMDB_VALUE_DOUBLE, PHANTOMDB_VALUE_JSON, PHANTOMDB_VALUE_STRING};
                if (!CHECK(seen < 7)) break;
                CHECK_INT(values[i].row, rows[seen]);
                CHECK_INT(values[i].column, columns[seen]);
                CHECK_INT(values[i].kind, kinds[seen]);
                const char *text = NULL;
                uint64_t length = 0;
                CHECK_OK(phantomdb_result_cell_text(result, rows[seen], columns[seen], &text, &length, &error), &error);
                CHECK(length == values[i].length && memcmp(text, values[i].text, length + 1) == 0);
            }
        } while (count > 0);
        CHECK_INT(seen, 7);
    }
    phantomdb_value names[4];
    uint64_t position = 0, count = 0;
    CHECK_OK(phantomdb_result_read_columns(result, &position, names, 4, &count, &error), &error);
    CHECK_INT(count, 3);
    CHECK(is_text(&names[0], "a") && is_text(&names[1], "b") && is_text(&names[2], "a"));
    int64_t reported = 0;
    uint64_t rows = 0;
    CHECK_OK(phantomdb_result_reported_row_count(result, &reported, &error), &error);
    CHECK_OK(phantomdb_result_row_count(result, &rows, &error), &error);
    CHECK_INT(reported, 9);
    CHECK_INT(rows, 4);
    freed(result);
}

static void rows_of_objects_hold_what_was_sent(void) {
    phantomdb_result *result =
        responded(PHANTOMDB_SELECT, "{\"records\":[{\"a\":1,\"b\":2},{},{\"c\":3,\"a\":4},{\"b\":5}]}");
    phantomdb_value values[8];
    uint64_t position = 0, count = 0;
    CHECK_OK(phantomdb_result_read_cells(result, &position, values, 8, &count, &error), &error);
    CHECK_INT(count, 5);
    const int64_t expected[][3] = {{0, 0, 1}, {0, 1, 2}, {2, 0, 4}, {2, 2, 3}, {3, 1, 5}};
    for (uint64_t i = 0; i < count && i < 5; i++) {
        CHECK_INT(values[i].row, expected[i][0]);
        CHECK_INT(values[i].column, expected[i][1]);
        CHECK_INT(values[i].integer, expected[i][2]);
    }
    /* A position within a row whose values are found by their columns. */
    position = 0;
    for (uint64_t i = 0; i < 5; i++) {
        CHECK_OK(phantomdb_result_read_cells(result, &position, values, 1, &count, &error), &error);
        CHECK(count == 1 && values[0].integer == expected[i][2]);
    }
    freed(result);
}

static void numbers_are_told_by_what_they_fit(void) {
    phantomdb_result *result = responded(
        PHANTOMDB_EXECUTE_QUERY,
        "{\"columns\":[\"n\"],\"rows\":[[9007199254740993],[9223372036854775807],[9223372036854775808],"
        "[-0],[-0.0],[5.0],[1e400],[0.1],[-9223372036854775808]]}");
    phantomdb_value values[16];
    uint64_t position = 0, count = 0;
    CHECK_OK(phantomdb_result_read_cells(result, &position, values, 16, &count, &error), &error);
    CHECK_INT(count, 9);
    const uint32_t both = PHANTOMDB_VALUE_HAS_INTEGER | PHANTOMDB_VALUE_HAS_DOUBLE;
    CHECK(values[0].kind == PHANTOMDB_VALUE_INTEGER && values[0].integer == INT64_C(9007199254740993));
    CHECK(values[0].flags == both && values[0].number == 9007199254740992.0);
    CHECK(values[1].kind == PHANTOMDB_VALUE_INTEGER && values[1].integer == INT64_MAX);
    CHECK(values[2].kind == PHANTOMDB_VALUE_BIG_INTEGER && values[2].flags == PHANTOMDB_VALUE_HAS_DOUBLE);
    CHECK(is_text(&values[2], "9223372036854775808") && values[2].number == 9223372036854775808.0);
    CHECK(values[3].kind == PHANTOMDB_VALUE_INTEGER && values[3].integer == 0);
    CHECK(values[4].kind == PHANTOMDB_VALUE_DOUBLE && signbit(values[4].number));
    CHECK(values[5].kind == PHANTOMDB_VALUE_DOUBLE && values[5].flags == both && values[5].integer == 5);
    CHECK(values[6].kind == PHANTOMDB_VALUE_BIG_NUMBER && values[6].flags == 0 && is_text(&values[6], "1e400"));
    CHECK(values[7].kind == PHANTOMDB_VALUE_DOUBLE && values[7].number == 0.1);
    CHECK(values[8].kind == PHANTOMDB_VALUE_INTEGER && values[8].integer == INT64_MIN);
    double number = 7;
    int64_t whole = 7;
    CHECK_CODE(phantomdb_result_cell_double(result, 6, 0, &number, &error), PHANTOMDB_ERR_TYPE, &error, "row 6");
    CHECK_CODE(phantomdb_result_cell_int64(result, 2, 0, &whole, &error), PHANTOMDB_ERR_TYPE, &error, "\"n\"");
    CHECK(number == 7 && whole == 7);
    freed(result);
}

static void unpaired_surrogates_are_replaced_and_told(void) {
    phantomdb_result *result =
        responded(PHANTOMDB_SELECT, "{\"records\":[{\"a\\ud800\":\"x\\udc00y\",\"b\":\"fine\",\"c\":[\"\\ud800\"]}]}");
    phantomdb_value values[4];
    uint64_t position = 0, count = 0;
    CHECK_OK(phantomdb_result_read_columns(result, &position, values, 4, &count, &error), &error);
    CHECK(count == 3 && is_text(&values[0], "a\xef\xbf\xbd") && values[0].flags == PHANTOMDB_VALUE_REPLACED);
    position = 0;
    CHECK_OK(phantomdb_result_read_cells(result, &position, values, 4, &count, &error), &error);
    CHECK(count == 3 && is_text(&values[0], "x\xef\xbf\xbdy") && values[0].flags == PHANTOMDB_VALUE_REPLACED);
    CHECK(values[1].flags == 0 && is_text(&values[2], "[\"\\ufffd\"]") && values[2].flags == PHANTOMDB_VALUE_REPLACED);
    const bool replaced[] = {true, false, true};
    for (uint64_t column = 0; column < 3; column++) {
        bool is_replaced = false;
        CHECK_OK(phantomdb_result_cell_is_replaced(result, 0, column, &is_replaced, &error), &error);
        CHECK(is_replaced == replaced[column]);
    }
    freed(result);
}

/* Writes values as they come: what they are, and their texts. */
static void read_all(const phantomdb_result *result, uint64_t row, uint64_t column, uint64_t capacity,
                     uint64_t buffer_size, char *into, size_t size) {
    phantomdb_value values[64];
    char *buffer = malloc(buffer_size);
    uint64_t position = 0, count = 0;
    size_t used = 0;
    into[0] = '\0';
    do {
        CHECK_OK(phantomdb_result_read_json(result, row, column, &position, values, capacity, &count, buffer,
                                            buffer_size, &error),
                 &error);
        for (uint64_t i = 0; i < count && used < size; i++) {
            int wrote = snprintf(into + used, size - used, "%" PRId32 ":%.*s ", values[i].kind,
                                 (int)values[i].length, values[i].text);
            used += (size_t)wrote;
        }
    } while (count > 0);
    free(buffer);
}

static void json_is_read_piece_by_piece(void) {
    const char *json = "{\"a\" : [1, -2.5, \"x\\n\\u00e9\"], \"\\u0062\": {\"c\": null, \"d\": true}, \"e\": [], \"f\": 1e400}";
    const char *expected = "9: 10:a 8: 2:1 4:-2.5 6:x\n\xc3\xa9 11: 10:b 9: 10:c 0: 10:d 1:true 11: "
                           "10:e 8: 11: 10:f 5:1e400 11: ";
    char seen[512];
    phantomdb_result *result = responded(PHANTOMDB_HEALTH_CHECK, json);
    for (uint64_t capacity = 1; capacity < 25; capacity++) {
        read_all(result, WHOLE, WHOLE, capacity, capacity % 2 == 0 ? 9 : strlen(json), seen, sizeof seen);
        CHECK_TEXT(seen, expected);
    }
    phantomdb_value values[25];
    uint64_t position = 0, count = 0;
    CHECK_OK(phantomdb_result_read_json(result, WHOLE, WHOLE, &position, values, 25, &count, NULL, 0, &error), &error);
    CHECK_INT(count, 5);
    uint64_t stuck = position;
    CHECK_CODE(phantomdb_result_read_json(result, WHOLE, WHOLE, &position, values, 25, &count, NULL, 0, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "buffer: ");
    CHECK(position == stuck && count == 0 && values[0].length == 9);
    freed(result);

    result = responded(PHANTOMDB_SELECT, "{\"records\":[{\"a\":[{\"b\":18446744073709551616}],\"c\":1}]}");
    read_all(result, 0, 0, 3, 100, seen, sizeof seen);
    CHECK_TEXT(seen, "8: 9: 10:b 3:18446744073709551616 11: 11: ");
    position = 0;
    CHECK_CODE(phantomdb_result_read_json(result, 0, 1, &position, values, 25, &count, NULL, 0, &error),
               PHANTOMDB_ERR_TYPE, &error, "row 0, column \"c\"");
    freed(result);
}

static void lists_are_read_at_once(void) {
    phantomdb_result *result =
        responded(PHANTOMDB_LIST_DATABASES, "{\"databases\":[\"a\",{\"name\":\"b\\u0000\"},\"\\ud800\"]}");
    phantomdb_value values[4];
    uint64_t position = 0, count = 0;
    CHECK_OK(phantomdb_result_read_items(result, &position, values, 2, &count, &error), &error);
    CHECK(count == 2 && is_text(&values[0], "a") && values[1].length == 2 && values[1].column == 1);
    CHECK_OK(phantomdb_result_read_items(result, &position, values, 4, &count, &error), &error);
    CHECK(count == 1 && is_text(&values[0], "\xef\xbf\xbd") && values[0].flags == PHANTOMDB_VALUE_REPLACED);
    CHECK_OK(phantomdb_result_read_items(result, &position, values, 4, &count, &error), &error);
    CHECK_INT(count, 0);
    CHECK_CODE(phantomdb_result_read_cells(result, &position, values, 4, &count, &error), PHANTOMDB_ERR_TYPE, &error, "table");
    freed(result);
}

static void senseless_calls_are_refused(void) {
    phantomdb_result *result = responded(PHANTOMDB_EXECUTE_QUERY, table);
    phantomdb_value values[2];
    uint64_t position = 0, count = 0;
    const int32_t wrong = PHANTOMDB_ERR_INVALID_ARGUMENT;
    CHECK_CODE(phantomdb_result_read_cells(result, NULL, values, 2, &count, &error), wrong, &error, "position: ");
    CHECK_CODE(phantomdb_result_read_cells(result, &position, NULL, 2, &count, &error), wrong, &error, "values: ");
    CHECK_CODE(phantomdb_result_read_cells(result, &position, values, 0, &count, &error), wrong, &error, "capacity: ");
    CHECK_CODE(phantomdb_result_read_cells(result, &position, values, UINT64_MAX, &count, &error), wrong, &error, "values: ");
    CHECK_CODE(phantomdb_result_read_cells(result, &position, values, 2, NULL, &error), wrong, &error, "count: ");
    for (uint64_t made_up = 1; made_up < 40; made_up++) {
        position = made_up;
        phantomdb_result_read_cells(result, &position, values, 2, &count, NULL);
        position = made_up;
        char buffer[100];
        phantomdb_result_read_json(result, WHOLE, WHOLE, &position, values, 2, &count, buffer, sizeof buffer, NULL);
    }
    position = UINT64_MAX;
    CHECK_CODE(phantomdb_result_read_cells(result, &position, values, 2, &count, &error), wrong, &error, "position: ");
    CHECK_CODE(phantomdb_result_read_json(result, WHOLE, WHOLE, &position, values, 2, &count, NULL, 0, &error), wrong, &error, "position: ");
    position = 0;
    CHECK_CODE(phantomdb_result_read_json(result, 9, 0, &position, values, 2, &count, NULL, 0, &error), wrong, &error, "row: ");
    freed(result);
    CHECK_CODE(phantomdb_result_read_cells(result, &position, values, 2, &count, &error),
               PHANTOMDB_ERR_INVALID_HANDLE, &error, "result: ");
}

static void a_result_that_is_not_a_table_is_refused(void) {
    const char *const bodies[] = {"{\"columns\":[\"a\"],\"rows\":[[1,2]]}", "{\"columns\":[\"a\"],\"rows\":[null]}", "[1,2]",
                                  "{\"rows\":[[1,2]]}", "{\"columns\":[\"a\",\"b\"],\"rows\":[[1],{\"z\":3}]}"};
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        phantomdb_result *result = NULL;
        check_about("%s", bodies[i]);
        CHECK_CODE(ask(PHANTOMDB_EXECUTE_QUERY, bodies[i], &result), PHANTOMDB_ERR_PROTOCOL, &error, "");
        CHECK(result == NULL);
    }
    check_about("%s", "");
}

/* 60 MB of one kind of value. */
static char *large(const char *before, const char *one, const char *after) {
    const size_t size = 60 * 1000 * 1000;
    char *body = malloc(size + 1000);
    char *end = stpcpy(body, before);
    const size_t length = strlen(one);
    while (end < body + size) {
        memcpy(end, one, length);
        end += length;
    }
    strcpy(end - 1, after);
    return body;
}

static void where_memory_ends_an_error_says_so(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return; /* They need all the address space there is. */
#endif
    if (getenv("SLACK_MS") != NULL) return; /* So does valgrind. */
    char name[] = "/tmp/phantomdb-values-XXXXXX";
    int printed = mkstemp(name), standard_error = dup(STDERR_FILENO);
    unlink(name);
    char *bodies[] = {large("{\"columns\":[\"a\"],\"rows\":[", "[1],", "]}"),
                      large("{\"columns\":[\"a\"],\"rows\":[[\"", "x", "\"]]}")};
    int refused = 0;
    for (size_t i = 0; i < 2; i++) {
        for (uint64_t more = 30; more <= 190; more += 80) {
            struct rlimit before, limit;
            long pages = 0;
            FILE *statm = fopen("/proc/self/statm", "r");
            CHECK(statm != NULL && fscanf(statm, "%ld", &pages) == 1);
            if (statm != NULL) fclose(statm);
            getrlimit(RLIMIT_AS, &before);
            limit = before;
            limit.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + more * 1000 * 1000;
            dup2(printed, STDERR_FILENO);
            setrlimit(RLIMIT_AS, &limit);
            phantomdb_result *result = NULL;
            int32_t code = ask(PHANTOMDB_EXECUTE_QUERY, bodies[i], &result);
            setrlimit(RLIMIT_AS, &before);
            dup2(standard_error, STDERR_FILENO);
            if (code != PHANTOMDB_OK) CHECK_CODE(code, PHANTOMDB_ERR_OUT_OF_MEMORY, &error, "memory");
            else freed(result);
            refused += code != PHANTOMDB_OK;
        }
        free(bodies[i]);
    }
    CHECK(refused >= 2);
    struct stat size;
    CHECK(fstat(printed, &size) == 0 && size.st_size == 0);
    close(printed);
    close(standard_error);
}

int main(void) {
    check_run("cells come in chunks of any size", cells_come_in_chunks_of_any_size);
    check_run("rows of objects hold what was sent", rows_of_objects_hold_what_was_sent);
    check_run("numbers are told by what they fit", numbers_are_told_by_what_they_fit);
    check_run("unpaired surrogates are replaced and told", unpaired_surrogates_are_replaced_and_told);
    check_run("JSON is read piece by piece", json_is_read_piece_by_piece);
    check_run("lists are read at once", lists_are_read_at_once);
    check_run("senseless calls are refused", senseless_calls_are_refused);
    check_run("a result that is not a table is refused", a_result_that_is_not_a_table_is_refused);
    check_run("where memory ends an error says so", where_memory_ends_an_error_says_so);
    return check_end();
}
