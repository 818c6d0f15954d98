/* Servers that misbehave: each fault has its code and a message that a person can act on, comes
 * within the deadline, and costs the pool nothing. */
#include <pthread.h>
#include <string.h>

#include "fake_server.h"
#include "support.h"

#define HEAD(status, type) "HTTP/1.1 " status "\r\nContent-Type: " type "\r\n"
#define JSON "application/json"
#define ANNOUNCED(length) HEAD("200 OK", JSON) "Content-Length: " length "\r\n\r\n"

enum { MOST_BYTES = 64 * 1024 };

/* Short, since some faults last that long, but enough for a response where valgrind is slow. */
static int64_t request_timeout_ms(void) {
    return 200 + slack_ms() / 10;
}

static const fake_step good = {HEAD("200 OK", JSON), 0, FAKE_KEEP, "{\"databases\":[\"d\"]}"};

static phantomdb_pool_options options_of(fake_server *server) {
    phantomdb_pool_options options = options_for(fake_server_url(server));
    options.min_connections = 1;
    options.max_connections = 2;
    options.request_timeout_ms = request_timeout_ms();
    options.max_response_bytes = MOST_BYTES;
    return options;
}

/* What one fault must look like to the caller. */
typedef struct outcome {
    int32_t code;
    int32_t http_status;
    const char *part; /* of the message */
    bool retriable;
} outcome;

/* Meets the fault with a fresh connection and with one that was used before, with a request
 * that reads and with one that writes; afterwards the same lease and the pool still work. */
static void meets(fake_step fault, outcome expected) {
    const fake_step steps[] = {fault, good, fault, good};
    fake_server *server = fake_server_start(steps, 4);
    phantomdb_pool_options options = options_of(server);
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_connection *connection = acquired(pool);
    phantomdb_error error;
    phantomdb_result *result = NULL;
    for (int writes = 0; writes < 2; writes++) {
        check_about("%s", writes ? "writing" : "reading");
        int64_t started = now_ms();
        int32_t code =
            writes ? phantomdb_connection_insert(connection, "d", "t", "{}", &result, &error)
                   : phantomdb_connection_list_databases(connection, &result, &error);
        CHECK(now_ms() - started < request_timeout_ms() + slack_ms());
        CHECK_CODE(code, expected.code, &error, expected.part);
        CHECK_HAS(error.message, writes ? "POST /databases/d/tables/t on http://127.0.0.1:"
                                        : "GET /databases on http://127.0.0.1:");
        CHECK_INT(error.http_status, expected.http_status);
        CHECK(result == NULL);
        int32_t status = expected.http_status;
        bool is_doubtful = writes && (status == 0 || (status >= 502 && status <= 504));
        CHECK_INT(error.retriable, expected.retriable && !is_doubtful);
        CHECK_OK(phantomdb_connection_list_databases(connection, &result, &error), &error);
        CHECK_INT(phantomdb_result_free(result), PHANTOMDB_OK);
        result = NULL;
    }
    CHECK_INT(fake_server_requests(server), 4);
    released(pool, connection);
    settled(pool, 1);
    CHECK_OK(phantomdb_pool_request(pool, "GET", "/databases", NULL, 0, NULL, &error), &error);
    settled(pool, 1);
    closed(pool);
    fake_server_stop(server);
}

/* A response that is odd and must be taken all the same. */
static void takes(fake_step odd, const char *text) {
    const fake_step steps[] = {odd, good};
    fake_server *server = fake_server_start(steps, 2);
    phantomdb_pool_options options = options_of(server);
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_error error;
    phantomdb_result *result = NULL;
    phantomdb_connection *connection = acquired(pool);
    CHECK_OK(phantomdb_connection_list_databases(connection, &result, &error), &error);
    CHECK_TEXT(text_of(result), text);
    CHECK_INT(phantomdb_result_free(result), PHANTOMDB_OK);
    CHECK_OK(phantomdb_connection_list_databases(connection, NULL, &error), &error);
    released(pool, connection);
    settled(pool, 1);
    closed(pool);
    fake_server_stop(server);
}

static fake_step says(const char *head, const char *body) {
    return (fake_step){head, 0, FAKE_KEEP, body};
}

static fake_step then(const char *bytes, fake_then next) {
    return (fake_step){bytes, 0, next, NULL};
}

static void down(void) {
    phantomdb_pool_options options = options_for(url_of_nobody());
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_connection *connection = acquired(pool);
    phantomdb_error error;
    int64_t started = now_ms();
    CHECK_CODE(phantomdb_connection_list_databases(connection, NULL, &error),
               PHANTOMDB_ERR_UNAVAILABLE, &error, url_of_nobody() + strlen("http://"));
    CHECK_HAS(error.message, "refused");
    CHECK(error.retriable);
    phantomdb_connection *second = NULL;
    CHECK_CODE(phantomdb_connection_insert(connection, "d", "t", "{}", NULL, &error),
               PHANTOMDB_ERR_UNAVAILABLE, &error, "refused");
    CHECK(error.retriable);
    CHECK(now_ms() - started < slack_ms());
    int32_t code = phantomdb_pool_acquire_timeout(pool, 1000, &second, &error);
    if (code == PHANTOMDB_OK) released(pool, second);
    else CHECK_CODE(code, PHANTOMDB_ERR_UNAVAILABLE, &error, "refused");
    released(pool, connection);
    /* Nothing can be handed out in an outage. */
    CHECK_INT(status_of(pool).available, 0);
    CHECK_INT(status_of(pool).used, 0);
    closed(pool);
}

static void comes_back(void) {
    const fake_step lost = then(NULL, FAKE_RESET);
    const fake_step steps[] = {lost, lost, good};
    fake_server *server = fake_server_start(steps, 3);
    phantomdb_pool_options options = options_of(server);
    phantomdb_pool *pool = new_pool(&options);
    EVENTUALLY(phantomdb_pool_request(pool, "GET", "/databases", NULL, 0, NULL, NULL) ==
               PHANTOMDB_OK);
    settled(pool, 1);
    closed(pool);
    fake_server_stop(server);
}

static void no_such_host(void) {
    phantomdb_pool_options options = options_for("http://no-such-host.invalid:8080");
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_error error;
    CHECK_CODE(phantomdb_pool_request(pool, "GET", "/health", NULL, 0, NULL, &error),
               PHANTOMDB_ERR_UNAVAILABLE, &error, "no-such-host.invalid");
    closed(pool);
}

static void silent(void) {
    meets(then(NULL, FAKE_HOLD), (outcome){PHANTOMDB_ERR_TIMEOUT, 0, "Timeout", true});
}

static void silent_in_the_middle(void) {
    meets(then(ANNOUNCED("100") "{\"data", FAKE_HOLD),
          (outcome){PHANTOMDB_ERR_TIMEOUT, 0, "Timeout", true});
}

static void slow(void) {
    meets(then(ANNOUNCED("60000"), FAKE_DRIP),
          (outcome){PHANTOMDB_ERR_TIMEOUT, 0, "no complete response", true});
}

static void slow_in_its_headers(void) {
    meets(then("HTTP/1.1 200 OK\r\nX-Slow: ", FAKE_DRIP),
          (outcome){PHANTOMDB_ERR_TIMEOUT, 0, "Timeout", true});
}

/* A new connection that is lost before its first response: the request fails, and an outage begins,
 * which is over once the server responds. */
static void loses(fake_step fault, const char *part) {
    for (int writes = 0; writes < 2; writes++) {
        check_about("%s", writes ? "writing" : "reading");
        const fake_step steps[] = {fault, good, good, good};
        fake_server *server = fake_server_start(steps, 4);
        phantomdb_pool_options options = options_of(server);
        phantomdb_pool *pool = new_pool(&options);
        phantomdb_connection *connection = acquired(pool);
        phantomdb_error error;
        int32_t code = writes
                           ? phantomdb_connection_insert(connection, "d", "t", "{}", NULL, &error)
                           : phantomdb_connection_list_databases(connection, NULL, &error);
        CHECK_CODE(code, PHANTOMDB_ERR_CONNECTION_LOST, &error, part);
        CHECK_INT(error.retriable, !writes);
        released(pool, connection);
        EVENTUALLY(phantomdb_pool_request(pool, "GET", "/databases", NULL, 0, NULL, NULL) ==
                   PHANTOMDB_OK);
        settled(pool, 1);
        closed(pool);
        fake_server_stop(server);
    }
}

static void closes_without_a_word(void) { loses(then(NULL, FAKE_CLOSE), "closed"); }

static void resets(void) { loses(then(NULL, FAKE_RESET), "broke"); }

static void half_a_body(void) {
    meets(then(ANNOUNCED("100") "{\"databases\":[", FAKE_CLOSE),
          (outcome){PHANTOMDB_ERR_CONNECTION_LOST, 0, "in the middle of its response", true});
}

static void half_a_chunk(void) {
    meets(then("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n{\"data", FAKE_CLOSE),
          (outcome){PHANTOMDB_ERR_CONNECTION_LOST, 0, "in the middle of its response", true});
}

static void garbage(void) {
    meets(then("SSH-2.0-OpenSSH_9.2\r\n\r\n\r\n", FAKE_CLOSE),
          (outcome){PHANTOMDB_ERR_PROTOCOL, 0, "SSH-2.0", false});
}

static void binary_garbage(void) {
    static const char bytes[] = "\0\1\2\3\377\376\r\n\r\n";
    const fake_step fault = {bytes, sizeof bytes - 1, FAKE_CLOSE, NULL};
    meets(fault, (outcome){PHANTOMDB_ERR_PROTOCOL, 0, "HTTP", false});
}

static void html_error(void) {
    meets(says(HEAD("502 Bad Gateway", "text/html"),
               "<html><title>502 Bad Gateway</title><body>nginx/1.22</body></html>"),
          (outcome){PHANTOMDB_ERR_HTTP, 502, "nginx", true});
}

static void empty_error(void) {
    meets(says(HEAD("503 Service Unavailable", "text/plain"), ""),
          (outcome){PHANTOMDB_ERR_HTTP, 503, "503 Service Unavailable", true});
}

static void huge_announced(void) {
    meets(then(ANNOUNCED("10000000000"), FAKE_FLOOD),
          (outcome){PHANTOMDB_ERR_TOO_LARGE, 0, "10000000000", false});
}

static void huge_without_an_end(void) {
    meets(then("HTTP/1.1 200 OK\r\nContent-Type: " JSON "\r\nConnection: close\r\n\r\n\"",
               FAKE_FLOOD),
          (outcome){PHANTOMDB_ERR_TOO_LARGE, 0, "max_response_bytes", false});
}

static void huge_headers(void) {
    meets(then("HTTP/1.1 200 OK\r\nX-Huge: ", FAKE_FLOOD),
          (outcome){PHANTOMDB_ERR_PROTOCOL, 0, "headers", false});
}

static void unauthorized(void) {
    meets(says(HEAD("401 Unauthorized", JSON), "{\"error\":\"who are you?\"}"),
          (outcome){PHANTOMDB_ERR_UNAUTHORIZED, 401, "who are you?", false});
}

static void not_found(void) {
    meets(says(HEAD("404 Not Found", JSON),
               "{\"code\":\"NO_TABLE\",\"message\":\"no table t\",\"details\":{}}"),
          (outcome){PHANTOMDB_ERR_HTTP, 404, "no table t (code NO_TABLE)", false});
}

static void not_found_called_ok(void) {
    meets(then("HTTP/1.1 404 OK\r\nConnection: close\r\n\r\n{\"error\":\"no such table\"}",
               FAKE_CLOSE),
          (outcome){PHANTOMDB_ERR_HTTP, 404, "no such table", false});
}

static void conflict(void) {
    meets(says(HEAD("409 Conflict", JSON), "{\"error\":\"is there\"}"),
          (outcome){PHANTOMDB_ERR_HTTP, 409, "is there", false});
}

static void internal_error(void) {
    meets(says(HEAD("500 Internal Server Error", JSON), "{\"message\":\"disk!\"}"),
          (outcome){PHANTOMDB_ERR_HTTP, 500, "disk!", false});
}

static void error_in_a_success(void) {
    meets(says(HEAD("200 OK", JSON), "{\"error\":\"it went wrong\"}"),
          (outcome){PHANTOMDB_ERR_HTTP, 200, "it went wrong", false});
}

static void invalid_json(void) {
    meets(says(HEAD("200 OK", JSON), "{\"databases\": ["),
          (outcome){PHANTOMDB_ERR_PROTOCOL, 200, "JSON", false});
}

static void invalid_utf8(void) {
    meets(says(HEAD("200 OK", JSON), "{\"databases\":[\"\xff\xfe\xff\"]}"),
          (outcome){PHANTOMDB_ERR_PROTOCOL, 200, "UTF-8", false});
}

static void redirect(void) {
    meets(says("HTTP/1.1 302 Found\r\nLocation: https://u:hush@elsewhere/db\r\n", ""),
          (outcome){PHANTOMDB_ERR_HTTP, 302, "https://elsewhere/db", false});
}

static void closes_after_each_response(void) {
    takes(then("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n{\"databases\":[\"a\"]}", FAKE_CLOSE),
          "[\"a\"]");
}

static void http_1_0(void) {
    takes(then("HTTP/1.0 200 OK\r\n\r\n{\"databases\":[\"a\"]}", FAKE_CLOSE), "[\"a\"]");
}

static void chunks_and_names_as_objects(void) {
    takes(then("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
               "a\r\n{\"database\r\n12\r\ns\":[{\"name\":\"a\"}]}\r\n0\r\n\r\n", FAKE_KEEP),
          "[\"a\"]");
}

static void a_request_after_the_server_closed_the_connection(void) {
    const fake_step steps[] = {
        {HEAD("200 OK", JSON), 0, FAKE_CLOSE, "{\"databases\":[\"d\"]}"}, good};
    fake_server *server = fake_server_start(steps, 2);
    phantomdb_pool_options options = options_of(server);
    options.validate_after_ms = 0;
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_error error;
    for (int i = 0; i < 3; i++) {
        CHECK_OK(phantomdb_pool_request(pool, "GET", "/databases", NULL, 0, NULL, &error), &error);
        /* While the close is on its way, nobody can know of it. */
        if (i == 0) EVENTUALLY(fake_server_open(server) == 0);
        CHECK_OK(phantomdb_pool_request(pool, "POST", "/x", NULL, 0, NULL, &error), &error);
    }
    CHECK_INT(fake_server_requests(server), 6);
    closed(pool);
    fake_server_stop(server);
}

static void *request(void *pool) {
    phantomdb_error error;
    CHECK_CODE(phantomdb_pool_request(pool, "GET", "/databases", NULL, 0, NULL, &error),
               PHANTOMDB_ERR_TIMEOUT, &error, "Timeout");
    return NULL;
}

static void many_threads_at_a_silent_server(void) {
    const fake_step silence = then(NULL, FAKE_HOLD);
    fake_server *server = fake_server_start(&silence, 1);
    phantomdb_pool_options options = options_of(server);
    options.acquire_timeout_ms = request_timeout_ms();
    phantomdb_pool *pool = new_pool(&options);
    pthread_t threads[8];
    int64_t started = now_ms();
    for (int i = 0; i < 8; i++) pthread_create(&threads[i], NULL, request, pool);
    for (int i = 0; i < 8; i++) pthread_join(threads[i], NULL);
    CHECK(now_ms() - started < 2 * request_timeout_ms() + slack_ms());
    /* One that was being opened for somebody who gave up may stay until it is idle too long. */
    at_rest(pool);
    closed(pool);
    fake_server_stop(server);
}

int main(void) {
    check_run("down", down);
    check_run("down, and back", comes_back);
    check_run("no such host", no_such_host);
    check_run("silent", silent);
    check_run("silent in the middle of a response", silent_in_the_middle);
    check_run("slow", slow);
    check_run("slow in its headers", slow_in_its_headers);
    check_run("closes without a word", closes_without_a_word);
    check_run("resets", resets);
    check_run("half a body", half_a_body);
    check_run("half a chunk", half_a_chunk);
    check_run("garbage", garbage);
    check_run("binary garbage", binary_garbage);
    check_run("HTML error", html_error);
    check_run("empty error", empty_error);
    check_run("10 GB announced", huge_announced);
    check_run("a body without an end", huge_without_an_end);
    check_run("headers without an end", huge_headers);
    check_run("401", unauthorized);
    check_run("404", not_found);
    check_run("404 OK", not_found_called_ok);
    check_run("409", conflict);
    check_run("500", internal_error);
    check_run("an error in a 200", error_in_a_success);
    check_run("invalid JSON", invalid_json);
    check_run("invalid UTF-8", invalid_utf8);
    check_run("a redirect", redirect);
    check_run("closes after each response", closes_after_each_response);
    check_run("HTTP/1.0", http_1_0);
    check_run("chunks, and names as objects", chunks_and_names_as_objects);
    check_run("a request after the server closed the connection",
              a_request_after_the_server_closed_the_connection);
    check_run("many threads at a silent server", many_threads_at_a_silent_server);
    return check_end();
}
