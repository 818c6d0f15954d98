/* Requests that the program carries on itself, step by step, in a loop of its own. */
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <threads.h>
#include <unistd.h>

#include "devserver.h"
#include "fake_server.h"
#include "support.h"

static devserver server;
static phantomdb_error error;

/* A request and its outcome. */
typedef struct request {
    phantomdb_connection *connection;
    phantomdb_step step;
    phantomdb_result *result;
    int32_t code;
    int steps;
    atomic_int finished;
} request;

static const fake_step responds = {"HTTP/1.1 200 OK\r\n", 0, FAKE_KEEP, "{}"};
static const fake_step holds = {NULL, 0, FAKE_HOLD, NULL};

static phantomdb_pool *pool_of(const char *url) {
    phantomdb_pool_options options = options_for(url);
    options.min_connections = options.max_connections = 1;
    return new_pool(&options);
}

static void on_result(phantomdb_result *result, const phantomdb_error *told, void *user_data) {
    request *it = user_data;
    it->result = result;
    it->code = told->code;
    it->finished = 1;
}

static request start(phantomdb_connection *connection, int32_t operation, const char **arguments,
                     uint64_t count) {
    request it = {.connection = connection};
    it.code = phantomdb_connection_start(connection, operation, arguments, count, &it.step,
                                         &it.result, &error);
    return it;
}

static void resume(request *it) {
    it->steps++;
    it->code = phantomdb_connection_resume(it->connection, &it->step, &it->result, &error);
}

static void finish(request *it) {
    CHECK_OK(phantomdb_connection_finish_async(it->connection, on_result, it, NULL, &error),
             &error);
    EVENTUALLY(it->finished);
}

/* Waits until its socket is ready, or its time is over. */
static bool wait_for(const request *it) {
    struct pollfd socket = {.fd = it->step.descriptor, .events = (short)it->step.events};
    return poll(&socket, 1, (int)it->step.timeout_ms) > 0;
}

/* What a program with a loop does, for one request. */
static void carry_on(request *it) {
    while (it->step.state == PHANTOMDB_STEP_WAITS) {
        if (it->step.events != 0) wait_for(it);
        resume(it);
    }
    if (it->step.state == PHANTOMDB_STEP_NEEDS_THREAD) finish(it);
}

static request health_check(phantomdb_connection *connection) {
    return start(connection, PHANTOMDB_HEALTH_CHECK, NULL, 0);
}

/* A connection with a socket: its first request goes over a thread. */
static phantomdb_connection *opened(phantomdb_pool *pool) {
    phantomdb_connection *connection = acquired(pool);
    request first = health_check(connection);
    CHECK_INT(first.step.state, PHANTOMDB_STEP_NEEDS_THREAD);
    carry_on(&first);
    CHECK_INT(first.code, PHANTOMDB_OK);
    CHECK_INT(phantomdb_result_free(first.result), PHANTOMDB_OK);
    return connection;
}

static void a_response_comes_step_by_step(void) {
    phantomdb_pool *pool = pool_of(server.url);
    phantomdb_connection *connection = opened(pool);
    int threads = thread_count();
    uint64_t socket = 0;
    for (int i = 0; i < 20; i++) {
        const char *arguments[] = {"step", "SELECT ? AS n", "[7]"};
        request it = start(connection, PHANTOMDB_EXECUTE_QUERY, arguments, 3);
        CHECK_INT(it.code, PHANTOMDB_OK);
        CHECK_INT(it.step.state, PHANTOMDB_STEP_WAITS);
        CHECK_INT(it.step.events, POLLIN);
        CHECK(it.step.timeout_ms > 0 && it.step.timeout_ms <= 30000);
        CHECK(it.step.descriptor > 2 && it.result == NULL);
        CHECK(socket == 0 || it.step.socket == socket);
        socket = it.step.socket;
        carry_on(&it);
        CHECK_INT(it.code, PHANTOMDB_OK);
        CHECK(it.steps > 0);
        int64_t number = 0;
        CHECK_OK(phantomdb_result_cell_int64(it.result, 0, 0, &number, &error), &error);
        CHECK_INT(number, 7);
        phantomdb_result_free(it.result);
    }
    CHECK_INT(settled_thread_count(threads), threads);
    const char *nowhere[] = {"nowhere"};
    request failing = start(connection, PHANTOMDB_LIST_TABLES, nowhere, 1);
    carry_on(&failing);
    CHECK_CODE(failing.code, PHANTOMDB_ERR_HTTP, &error, "nowhere");
    CHECK_INT(error.http_status, 404);
    CHECK_INT(failing.step.state, PHANTOMDB_STEP_OVER);
    request named = {.connection = connection};
    CHECK_OK(phantomdb_connection_start_request(connection, "POST", "/databases/step/query",
                                                "{\"query\":\"SELECT 1\"}", 20, &named.step,
                                                &named.result, &error), &error);
    carry_on(&named);
    CHECK(strstr(text_of(named.result), "rowCount") != NULL);
    phantomdb_result_free(named.result);
    released(pool, connection);
    at_rest(pool);
    closed(pool);
}

static void one_at_a_time(void) {
    const fake_step steps[] = {responds, holds};
    fake_server *fake = fake_server_start(steps, 2);
    phantomdb_pool *pool = pool_of(fake_server_url(fake));
    phantomdb_connection *connection = acquired(pool);
    request it = {.connection = connection};
    resume(&it);
    CHECK_CODE(it.code, PHANTOMDB_ERR_INVALID_STATE, &error, "No request was started");
    CHECK_CODE(phantomdb_connection_finish_async(connection, on_result, &it, NULL, &error),
               PHANTOMDB_ERR_INVALID_STATE, &error, "No request was started");
    released(pool, connection);

    connection = opened(pool);
    it = health_check(connection);
    request other = health_check(connection);
    CHECK_CODE(other.code, PHANTOMDB_ERR_BUSY, &error, NULL);
    CHECK_INT(other.step.state, PHANTOMDB_STEP_OVER);
    CHECK_CODE(phantomdb_connection_health_check(connection, NULL, &error), PHANTOMDB_ERR_BUSY,
               &error, NULL);
    CHECK_OK(phantomdb_connection_run_async(connection, PHANTOMDB_HEALTH_CHECK, NULL, 0, on_result,
                                            &other, NULL, &error), &error);
    EVENTUALLY(other.finished);
    CHECK_INT(other.code, PHANTOMDB_ERR_BUSY);
    /* Too early it changes nothing. */
    EVENTUALLY(fake_server_requests(fake) == 2);
    for (int i = 0; i < 3; i++) {
        resume(&it);
        CHECK_INT(it.step.state, PHANTOMDB_STEP_WAITS);
    }
    released(pool, connection);
    closed(pool);
    fake_server_stop(fake);
}

static void an_interrupted_request_is_ready_and_cancelled(void) {
    const fake_step steps[] = {responds, holds, responds};
    fake_server *fake = fake_server_start(steps, 3);
    phantomdb_pool *pool = pool_of(fake_server_url(fake));
    phantomdb_connection *connection = opened(pool);
    request it = health_check(connection);
    EVENTUALLY(fake_server_requests(fake) == 2);
    CHECK_OK(phantomdb_connection_interrupt(connection, &error), &error);
    CHECK(wait_for(&it));
    resume(&it);
    CHECK_CODE(it.code, PHANTOMDB_ERR_CANCELLED, &error, NULL);
    /* The connection goes on, over another socket. */
    request next = health_check(connection);
    CHECK_INT(next.step.state, PHANTOMDB_STEP_NEEDS_THREAD);
    carry_on(&next);
    CHECK_INT(next.code, PHANTOMDB_OK);
    phantomdb_result_free(next.result);
    released(pool, connection);
    closed(pool);
    fake_server_stop(fake);
}

static void rule_03_a_request_is_over_when_its_time_is(void) {
    const fake_step steps[] = {responds, holds};
    fake_server *fake = fake_server_start(steps, 2);
    phantomdb_pool_options options = options_for(fake_server_url(fake));
    options.request_timeout_ms = 60;
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_connection *connection = opened(pool);
    int64_t before = now_ms();
    request it = health_check(connection);
    CHECK(it.step.timeout_ms > 0 && it.step.timeout_ms <= 60);
    CHECK(!wait_for(&it));
    resume(&it);
    CHECK_CODE(it.code, PHANTOMDB_ERR_TIMEOUT, &error, "Timeout");
    CHECK(now_ms() - before >= 60 && now_ms() - before < 60 + slack_ms());
    released(pool, connection);
    closed(pool);
    fake_server_stop(fake);
}

static void a_release_ends_it_and_closes_its_socket(void) {
    const fake_step steps[] = {responds, holds, responds};
    fake_server *fake = fake_server_start(steps, 3);
    phantomdb_pool *pool = pool_of(fake_server_url(fake));
    phantomdb_connection *connection = opened(pool);
    request it = health_check(connection);
    EVENTUALLY(fake_server_requests(fake) == 2);
    /* A duplicate does not keep the connection open. */
    int duplicate = dup(it.step.descriptor);
    released(pool, connection);
    struct pollfd socket = {.fd = duplicate, .events = POLLIN};
    CHECK_INT(poll(&socket, 1, WAIT_LIMIT_MS), 1);
    char byte;
    CHECK(read(duplicate, &byte, 1) <= 0);
    close(duplicate);
    resume(&it);
    CHECK_CODE(it.code, PHANTOMDB_ERR_INVALID_HANDLE, &error, NULL);
    at_rest(pool);
    released(pool, opened(pool));
    closed(pool);
    fake_server_stop(fake);
}

static void rule_19_a_close_cuts_it(void) {
    const fake_step steps[] = {responds, holds};
    fake_server *fake = fake_server_start(steps, 2);
    int descriptors = descriptor_count();
    phantomdb_pool *pool = pool_of(fake_server_url(fake));
    phantomdb_connection *connection = opened(pool);
    request it = health_check(connection);
    EVENTUALLY(fake_server_requests(fake) == 2);
    CHECK_OK(phantomdb_pool_close_timeout(pool, 0, &error), &error);
    CHECK(wait_for(&it));
    resume(&it);
    CHECK_CODE(it.code, PHANTOMDB_ERR_CLOSED, &error, "closed");
    CHECK_INT(phantomdb_pool_release(pool, connection, NULL), PHANTOMDB_ERR_CLOSED);
    EVENTUALLY(descriptor_count() == descriptors);
    fake_server_stop(fake);
}

static atomic_int sockets_closed;
static atomic_uint_fast64_t last_closed;

static void on_socket_closed(uint64_t socket, void *user_data) {
    CHECK(user_data == &sockets_closed);
    last_closed = socket;
    sockets_closed++;
}

static int watched(const request *it) {
    int descriptor = 0;
    CHECK_OK(phantomdb_connection_watch_socket(it->connection, on_socket_closed, &sockets_closed,
                                               &descriptor, &error), &error);
    CHECK(descriptor > 2 && descriptor != it->step.descriptor);
    return descriptor;
}

/* Also of sockets that have bytes which nobody will ever read. */
static void a_watched_socket_tells_when_it_is_closed(void) {
    static const fake_step chatty = {"HTTP/1.1 200 OK\r\n", 0, FAKE_KEEP, "{}HTTP/1.1 408 No\r\n"};
    const fake_step steps[] = {responds, responds, holds, responds, responds, chatty};
    fake_server *fake = fake_server_start(steps, 6);
    phantomdb_pool *pool = pool_of(fake_server_url(fake));
    for (int i = 0; i < 2; i++) {
        sockets_closed = 0;
        phantomdb_connection *connection = opened(pool);
        request it = health_check(connection);
        int first = watched(&it), second = watched(&it);
        carry_on(&it);
        CHECK_INT(it.code, PHANTOMDB_OK);
        phantomdb_result_free(it.result);
        CHECK_INT(sockets_closed, 0);
        it = health_check(connection);
        uint64_t socket = it.step.socket;
        EVENTUALLY(fake_server_requests(fake) == (i == 0 ? 3 : 6));
        released(pool, connection);
        EVENTUALLY(sockets_closed == 2);
        CHECK_INT(last_closed, socket);
        /* The duplicates are the program's to close. */
        struct pollfd both[] = {{.fd = first, .events = POLLIN}, {.fd = second, .events = POLLIN}};
        CHECK_INT(poll(both, 2, WAIT_LIMIT_MS), 2);
        close(first);
        close(second);
    }
    phantomdb_connection *connection = acquired(pool);
    int descriptor = 5;
    CHECK_CODE(phantomdb_connection_watch_socket(connection, NULL, NULL, &descriptor, &error),
               PHANTOMDB_ERR_INVALID_STATE, &error, "waits for a socket");
    CHECK_INT(descriptor, -1);
    released(pool, connection);
    closed(pool);
    fake_server_stop(fake);
}

static void finish_here(request *it) {
    it->code = phantomdb_connection_finish(it->connection, &it->result, &error);
}

static int interrupt(void *connection) {
    CHECK_INT(phantomdb_connection_interrupt(connection, NULL), PHANTOMDB_OK);
    return 0;
}

static void a_request_can_be_waited_for_wherever_it_is(void) {
    const fake_step steps[] = {responds, responds, holds, responds, holds};
    fake_server *fake = fake_server_start(steps, 5);
    phantomdb_pool_options options = options_for(fake_server_url(fake));
    options.min_connections = options.max_connections = 1;
    options.request_timeout_ms = 1000;
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_connection *connection = acquired(pool);
    /* It needs a thread, and this is one; then it waits for its socket. */
    for (int i = 0; i < 2; i++) {
        request it = health_check(connection);
        CHECK_INT(it.step.state, i == 0 ? PHANTOMDB_STEP_NEEDS_THREAD : PHANTOMDB_STEP_WAITS);
        finish_here(&it);
        CHECK_OK(it.code, &error);
        CHECK_INT(phantomdb_result_free(it.result), PHANTOMDB_OK);
        finish_here(&it);
        CHECK_CODE(it.code, PHANTOMDB_ERR_INVALID_STATE, &error, "No request was started");
    }
    request it = health_check(connection);
    EVENTUALLY(fake_server_requests(fake) == 3);
    thrd_t other;
    thrd_create(&other, interrupt, connection);
    finish_here(&it);
    thrd_join(other, NULL);
    CHECK_CODE(it.code, PHANTOMDB_ERR_CANCELLED, &error, NULL);
    CHECK(it.result == NULL);
    it = health_check(connection);
    finish_here(&it);
    CHECK_OK(it.code, &error);
    phantomdb_result_free(it.result);
    it = health_check(connection);
    finish_here(&it);
    CHECK_CODE(it.code, PHANTOMDB_ERR_TIMEOUT, &error, "Timeout");
    released(pool, connection);
    at_rest(pool);
    closed(pool);
    fake_server_stop(fake);
}

static void the_library_finishes_a_request_wherever_it_is(void) {
    const fake_step steps[] = {responds, {"HTTP/1.1 200 OK\r\n", 0, FAKE_KEEP, "{\"first\":1}"},
                               responds, responds, holds, responds};
    fake_server *fake = fake_server_start(steps, 6);
    phantomdb_pool *pool = pool_of(fake_server_url(fake));
    phantomdb_connection *connection = opened(pool);
    request it = health_check(connection), next = {.connection = connection};
    CHECK_INT(it.step.state, PHANTOMDB_STEP_WAITS);
    CHECK_OK(phantomdb_connection_finish_async(connection, on_result, &it, NULL, &error), &error);
    /* It is not the program's any more, and others follow it. */
    CHECK_CODE(phantomdb_connection_resume(connection, &next.step, &next.result, &error),
               PHANTOMDB_ERR_INVALID_STATE, &error, "No request was started");
    CHECK_OK(phantomdb_connection_run_async(connection, PHANTOMDB_HEALTH_CHECK, NULL, 0, on_result,
                                            &next, NULL, &error), &error);
    EVENTUALLY(next.finished);
    CHECK_INT(it.finished, 1);
    CHECK_OK(it.code, &error);
    CHECK_OK(next.code, &error);
    CHECK_HAS(text_of(it.result), "first");
    phantomdb_result_free(it.result);
    phantomdb_result_free(next.result);
    /* A release meanwhile waits for it. */
    it = health_check(connection);
    CHECK_OK(phantomdb_connection_finish_async(connection, on_result, &it, NULL, &error), &error);
    released(pool, connection);
    EVENTUALLY(it.finished);
    CHECK_OK(it.code, &error);
    phantomdb_result_free(it.result);
    at_rest(pool);
    /* Its ticket cuts it, and nothing else. */
    connection = acquired(pool);
    it = health_check(connection);
    CHECK_INT(it.step.state, PHANTOMDB_STEP_WAITS);
    phantomdb_ticket *ticket = NULL;
    CHECK_OK(phantomdb_connection_finish_async(connection, on_result, &it, &ticket, &error), &error);
    EVENTUALLY(fake_server_requests(fake) == 5);
    CHECK(!it.finished);
    CHECK_OK(phantomdb_cancel(ticket, &error), &error);
    EVENTUALLY(it.finished);
    CHECK_INT(it.code, PHANTOMDB_ERR_CANCELLED);
    CHECK_OK(phantomdb_connection_health_check(connection, NULL, &error), &error);
    released(pool, connection);
    at_rest(pool);
    closed(pool);
    fake_server_stop(fake);
}

/* One step after the other, until there is a response of more than 64 KiB to be read. */
static request receive_large(phantomdb_connection *connection) {
    const char *arguments[] = {"step", "SELECT hex(zeroblob(100000)) AS t"};
    request it = start(connection, PHANTOMDB_EXECUTE_QUERY, arguments, 2);
    while (it.step.state == PHANTOMDB_STEP_WAITS) {
        if (it.step.events != 0) wait_for(&it);
        it.code = phantomdb_connection_resume_unread(connection, &it.step, &it.result, &error);
    }
    CHECK_INT(it.code, PHANTOMDB_OK);
    CHECK_INT(it.step.state, PHANTOMDB_STEP_NEEDS_THREAD);
    CHECK(it.result == NULL);
    return it;
}

static void a_large_response_can_be_left_to_be_read_elsewhere(void) {
    phantomdb_pool *pool = pool_of(server.url);
    phantomdb_connection *connection = opened(pool);
    request it = receive_large(connection);
    CHECK_CODE(phantomdb_connection_health_check(connection, NULL, &error), PHANTOMDB_ERR_BUSY, &error,
               NULL);
    finish(&it);
    CHECK_OK(it.code, &error);
    CHECK_HAS(text_of(it.result), "0000000000");
    phantomdb_result_free(it.result);
    /* Or to be read here after all. */
    it = receive_large(connection);
    resume(&it);
    CHECK_OK(it.code, &error);
    CHECK_HAS(text_of(it.result), "0000000000");
    phantomdb_result_free(it.result);
    /* One that nobody reads is in nobody's way. */
    receive_large(connection);
    released(pool, connection);
    connection = acquired(pool);
    it = health_check(connection);
    CHECK_INT(it.step.state, PHANTOMDB_STEP_WAITS);
    carry_on(&it);
    CHECK_OK(it.code, &error);
    phantomdb_result_free(it.result);
    /* A small one is there at once. */
    it = health_check(connection);
    while (it.step.state == PHANTOMDB_STEP_WAITS) {
        wait_for(&it);
        it.code = phantomdb_connection_resume_unread(connection, &it.step, &it.result, &error);
    }
    CHECK_INT(it.step.state, PHANTOMDB_STEP_OVER);
    CHECK_HAS(text_of(it.result), "healthy");
    phantomdb_result_free(it.result);
    released(pool, connection);
    at_rest(pool);
    closed(pool);
}

/* A program that watches sockets can go on where it has no descriptor left for that. */
static void without_descriptors_a_request_is_finished_by_waiting_for_it(void) {
    const fake_step steps[] = {responds, responds};
    fake_server *fake = fake_server_start(steps, 2);
    phantomdb_pool *pool = pool_of(fake_server_url(fake));
    phantomdb_connection *connection = opened(pool);
    request it = health_check(connection);
    struct rlimit limit, none;
    CHECK_INT(getrlimit(RLIMIT_NOFILE, &limit), 0);
    int lowest = dup(0);
    close(lowest);
    none = (struct rlimit){.rlim_cur = (rlim_t)lowest, .rlim_max = limit.rlim_max};
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &none), 0);
    int descriptor = 0;
    int32_t code = phantomdb_connection_watch_socket(connection, on_socket_closed, NULL, &descriptor,
                                                     &error);
    CHECK_CODE(code, PHANTOMDB_ERR_OVERLOADED, &error, "Too many open files");
    CHECK_INT(descriptor, -1);
    finish_here(&it);
    CHECK_INT(setrlimit(RLIMIT_NOFILE, &limit), 0);
    CHECK_OK(it.code, &error);
    phantomdb_result_free(it.result);
    released(pool, connection);
    closed(pool);
    fake_server_stop(fake);
}

static void rule_22_an_acquire_that_was_cancelled_before_it_began_is_counted(void) {
    phantomdb_pool *pool = pool_of(server.url);
    CHECK_CODE(phantomdb_pool_acquire_cancelled(pool, &error), PHANTOMDB_ERR_CANCELLED, &error,
               "before it began");
    phantomdb_result *stats;
    CHECK_OK(phantomdb_pool_stats_json(pool, &stats, &error), &error);
    CHECK(strstr(text_of(stats), "\"direct\":0,\"waited\":0,\"timed_out\":0,\"cancelled\":1,"
                                 "\"rejected\":0,\"failed\":0") != NULL);
    phantomdb_result_free(stats);
    closed(pool);
    CHECK_CODE(phantomdb_pool_acquire_cancelled(pool, &error), PHANTOMDB_ERR_CLOSED, &error, NULL);
}

static void rule_15_a_socket_that_was_closed_is_replaced(void) {
    const fake_step steps[] = {
        {"HTTP/1.1 200 OK\r\n", 0, FAKE_KEEP, "{}"},
        {NULL, 0, FAKE_CLOSE, NULL},
        {"HTTP/1.1 200 OK\r\n", 0, FAKE_KEEP, "{\"status\":\"healthy\"}"},
    };
    fake_server *fake = fake_server_start(steps, 3);
    phantomdb_pool *pool = pool_of(fake_server_url(fake));
    phantomdb_connection *connection = opened(pool);
    /* Sent once, and the server closes: it only reads, so it is sent again. */
    request it = health_check(connection);
    CHECK_INT(it.step.state, PHANTOMDB_STEP_WAITS);
    carry_on(&it);
    CHECK_INT(it.finished, 1);
    CHECK_INT(it.code, PHANTOMDB_OK);
    CHECK(strstr(text_of(it.result), "healthy") != NULL);
    CHECK_INT(fake_server_requests(fake), 3);
    phantomdb_result_free(it.result);
    released(pool, connection);
    closed(pool);
    fake_server_stop(fake);
}

static void a_connection_is_taken_only_if_one_is_free(void) {
    phantomdb_pool *pool = pool_of(server.url);
    phantomdb_connection *first, *second;
    CHECK_OK(phantomdb_pool_acquire_direct(pool, PHANTOMDB_POOL_TIMEOUT, NULL, NULL, &first, NULL,
                                           &error), &error);
    CHECK_OK(phantomdb_pool_acquire_direct(pool, PHANTOMDB_POOL_TIMEOUT, NULL, NULL, &second, NULL,
                                           &error), &error);
    CHECK(first != NULL && second == NULL);
    released(pool, first);
    phantomdb_result *stats;
    CHECK_OK(phantomdb_pool_stats_json(pool, &stats, &error), &error);
    CHECK(strstr(text_of(stats), "\"direct\":1,\"waited\":0,\"timed_out\":0,\"cancelled\":0,"
                                 "\"rejected\":0,\"failed\":0") != NULL);
    phantomdb_result_free(stats);
    closed(pool);
    CHECK_CODE(phantomdb_pool_acquire_direct(pool, PHANTOMDB_POOL_TIMEOUT, NULL, NULL, &first, NULL,
                                             &error), PHANTOMDB_ERR_CLOSED, &error, "closed");
}

int main(void) {
    server = devserver_start(NULL);
    phantomdb_pool *pool = pool_of(server.url);
    phantomdb_connection *connection = acquired(pool);
    CHECK_OK(phantomdb_connection_create_database(connection, "step", NULL, &error), &error);
    released(pool, connection);
    closed(pool);
    check_run("a response comes step by step", a_response_comes_step_by_step);
    check_run("one at a time", one_at_a_time);
    check_run("an interrupted request", an_interrupted_request_is_ready_and_cancelled);
    check_run("a request is over when its time is", rule_03_a_request_is_over_when_its_time_is);
    check_run("a release ends it", a_release_ends_it_and_closes_its_socket);
    check_run("a close cuts it", rule_19_a_close_cuts_it);
    check_run("a socket that was closed is replaced", rule_15_a_socket_that_was_closed_is_replaced);
    check_run("a watched socket tells when it is closed", a_watched_socket_tells_when_it_is_closed);
    check_run("a request can be waited for", a_request_can_be_waited_for_wherever_it_is);
    check_run("the library finishes a request", the_library_finishes_a_request_wherever_it_is);
    check_run("a large response", a_large_response_can_be_left_to_be_read_elsewhere);
    check_run("without descriptors", without_descriptors_a_request_is_finished_by_waiting_for_it);
    check_run("an acquire that was cancelled before it began",
              rule_22_an_acquire_that_was_cancelled_before_it_began_is_counted);
    check_run("taken only if one is free", a_connection_is_taken_only_if_one_is_free);
    devserver_stop(&server);
    return check_end();
}
