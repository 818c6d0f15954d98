/* Calls that do not wait: callbacks, tickets, and what becomes of them at a close. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "devserver.h"
#include "fake_server.h"
#include "support.h"

static devserver server;
static phantomdb_error error;

/* What a callback was told. */
typedef struct told {
    atomic_int times;
    int32_t code;
    phantomdb_error error;
    phantomdb_connection *connection;
    phantomdb_result *result;
    phantomdb_pool *pool;
    pthread_t thread;
    int number; /* the how-many-eth of all callbacks it was */
} told;

static atomic_int callbacks;

static void note(told *it, const phantomdb_error *what) {
    it->code = what->code;
    it->error = *what;
    it->thread = pthread_self();
    it->number = ++callbacks;
    it->times++;
}

static void on_result(phantomdb_result *result, const phantomdb_error *what, void *user_data) {
    told *it = user_data;
    it->result = result;
    note(it, what);
}

static void on_acquire(phantomdb_connection *connection, const phantomdb_error *what,
                       void *user_data) {
    told *it = user_data;
    it->connection = connection;
    note(it, what);
}

static void on_acquire_release(phantomdb_connection *connection, const phantomdb_error *what,
                               void *user_data) {
    told *it = user_data;
    if (connection != NULL) released(it->pool, connection);
    note(it, what);
}

static void on_close(const phantomdb_error *what, void *user_data) {
    note(user_data, what);
}

/* Waits until the callback has run, and checks what it was told. */
static void expect(told *it, int32_t code, const char *part) {
    EVENTUALLY(it->times == 1);
    CHECK_CODE(it->code, code, &it->error, part);
}

static phantomdb_pool *pool_of(const char *url, uint32_t connections) {
    phantomdb_pool_options options = options_for(url);
    options.min_connections = 0;
    options.max_connections = connections;
    return new_pool(&options);
}

static phantomdb_ticket *run(phantomdb_pool *pool, int32_t operation, told *it) {
    phantomdb_ticket *ticket = NULL;
    CHECK_OK(phantomdb_pool_run_async(pool, operation, NULL, 0, on_result, it, &ticket, &error),
             &error);
    return ticket;
}

static phantomdb_ticket *acquire(phantomdb_pool *pool, told *it) {
    phantomdb_ticket *ticket = NULL;
    CHECK_OK(phantomdb_pool_acquire_async(pool, PHANTOMDB_POOL_TIMEOUT, on_acquire, it, &ticket,
                                          &error), &error);
    return ticket;
}

static void cancelled(phantomdb_ticket *ticket) {
    CHECK_OK(phantomdb_cancel(ticket, &error), &error);
}

static void a_response_comes_to_its_callback(void) {
    phantomdb_pool *pool = pool_of(server.url, 2);
    told it = {0};
    const char *arguments[] = {"async", "SELECT ? AS n", "[7]"};
    const char *copy[] = {strdup(arguments[0]), strdup(arguments[1]), strdup(arguments[2])};
    CHECK_OK(phantomdb_pool_run_async(pool, PHANTOMDB_EXECUTE_QUERY, copy, 3, on_result, &it, NULL,
                                      &error), &error);
    for (int i = 0; i < 3; i++) free((void *)copy[i]);
    expect(&it, PHANTOMDB_OK, NULL);
    int64_t number = 0;
    CHECK_OK(phantomdb_result_cell_int64(it.result, 0, 0, &number, &error), &error);
    CHECK_INT(number, 7);
    phantomdb_result_free(it.result);
    CHECK(!pthread_equal(it.thread, pthread_self()));
    closed(pool);
}

static void an_error_comes_to_its_callback(void) {
    phantomdb_pool *pool = pool_of(server.url, 2);
    told it = {0};
    const char *arguments[] = {"no such database"};
    CHECK_OK(phantomdb_pool_run_async(pool, PHANTOMDB_LIST_TABLES, arguments, 1, on_result, &it,
                                      NULL, &error), &error);
    expect(&it, PHANTOMDB_ERR_HTTP, "no such database");
    CHECK_INT(it.error.http_status, 404);
    CHECK(it.result == NULL);
    closed(pool);
    pool = pool_of(url_of_nobody(), 2);
    told other = {0};
    run(pool, PHANTOMDB_HEALTH_CHECK, &other);
    expect(&other, PHANTOMDB_ERR_UNAVAILABLE, url_of_nobody() + strlen("http://"));
    closed(pool);
}

static void what_can_not_be_asked_is_refused_at_once(void) {
    phantomdb_pool *pool = pool_of(server.url, 1);
    told it = {0};
    phantomdb_ticket *ticket = (phantomdb_ticket *)&it;
    const char *arguments[] = {"a", "b", NULL, "d", "e"};
    CHECK_CODE(phantomdb_pool_run_async(pool, 99, NULL, 0, on_result, &it, &ticket, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "operation: 99");
    CHECK(ticket == NULL);
    CHECK_CODE(phantomdb_pool_run_async(pool, PHANTOMDB_BEGIN_TRANSACTION, NULL, 0, on_result, &it,
                                        &ticket, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "operation: begin_transaction");
    CHECK_CODE(phantomdb_pool_run_async(pool, PHANTOMDB_DELETE, arguments, 2, on_result, &it,
                                        &ticket, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "condition: is missing");
    CHECK_CODE(phantomdb_pool_run_async(pool, PHANTOMDB_DELETE, arguments, 3, on_result, &it,
                                        &ticket, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "condition: is missing");
    CHECK_CODE(phantomdb_pool_run_async(pool, PHANTOMDB_SELECT, arguments, 5, on_result, &it,
                                        &ticket, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "arguments: select takes 3");
    CHECK_CODE(phantomdb_pool_acquire_async(pool, -2, on_acquire, &it, &ticket, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "timeout_ms");
    CHECK(ticket == NULL);
    closed(pool);
    CHECK_INT(it.times, 0);
}

static void a_crowd_waits_without_threads(void) {
    enum { CROWD = 1000 };
    int before = settled_thread_count(1);
    phantomdb_pool *pool = pool_of(server.url, 2);
    told *all = calloc(CROWD, sizeof *all);
    int most = 0;
    for (int i = 0; i < CROWD; i++) run(pool, PHANTOMDB_LIST_DATABASES, &all[i]);
    for (int i = 0; i < CROWD; i++) {
        EVENTUALLY(all[i].times == 1);
        int now = thread_count();
        if (now > most) most = now;
        CHECK_INT(all[i].code, PHANTOMDB_OK);
        phantomdb_result_free(all[i].result);
    }
    /* Two for requests, one for what needs no connection, two that dial, and the housekeeper. */
    CHECK(most <= before + 6);
    CHECK_INT(callbacks, CROWD);
    closed(pool);
    CHECK_INT(settled_thread_count(before), before);
    free(all);
}

static void rule_05_those_who_wait_with_a_thread_and_without_have_one_queue(void) {
    phantomdb_pool *pool = pool_of(server.url, 1);
    phantomdb_connection *connection = acquired(pool);
    told all[3] = {0};
    for (int i = 0; i < 3; i++) {
        all[i].pool = pool;
        CHECK_OK(phantomdb_pool_acquire_async(pool, PHANTOMDB_POOL_TIMEOUT, on_acquire_release,
                                              &all[i], NULL, &error), &error);
    }
    CHECK_INT(status_of(pool).pending, 3);
    CHECK_INT(phantomdb_pool_try_acquire(pool, &connection, NULL), PHANTOMDB_ERR_WOULD_BLOCK);
    closed(pool);
    for (int i = 0; i < 3; i++) expect(&all[i], PHANTOMDB_ERR_CLOSED, "closed");

    pool = pool_of(server.url, 1);
    connection = acquired(pool);
    memset(all, 0, sizeof all);
    for (int i = 0; i < 3; i++) acquire(pool, &all[i]);
    released(pool, connection);
    for (int i = 0; i < 3; i++) {
        expect(&all[i], PHANTOMDB_OK, NULL);
        CHECK(i == 2 || all[i + 1].times == 0);
        released(pool, all[i].connection);
    }
    closed(pool);
}

static void rule_03_a_wait_without_a_thread_ends_at_its_deadline(void) {
    phantomdb_pool *pool = pool_of(server.url, 1);
    phantomdb_connection *connection = acquired(pool);
    told it = {0};
    int64_t before = now_ms();
    CHECK_OK(phantomdb_pool_acquire_async(pool, 100, on_acquire, &it, NULL, &error), &error);
    expect(&it, PHANTOMDB_ERR_TIMEOUT, "Timeout acquiring connection after 0.1 s: 1 of 1");
    int64_t waited = now_ms() - before;
    CHECK(waited >= 99 && waited < 100 + slack_ms());
    CHECK(it.connection == NULL);
    released(pool, connection);
    closed(pool);
}

static void rule_07_a_cancelled_wait_is_over_and_takes_no_connection(void) {
    phantomdb_pool *pool = pool_of(server.url, 1);
    phantomdb_connection *connection = acquired(pool);
    told waits = {0}, runs = {0};
    phantomdb_ticket *first = acquire(pool, &waits);
    phantomdb_ticket *second = run(pool, PHANTOMDB_HEALTH_CHECK, &runs);
    cancelled(first);
    cancelled(second);
    expect(&waits, PHANTOMDB_ERR_CANCELLED, "waiting for a connection");
    expect(&runs, PHANTOMDB_ERR_CANCELLED, "waiting for a connection");
    /* The calls are over, and cancelling them again is nothing. */
    cancelled(first);
    cancelled(second);
    released(pool, connection);
    at_rest(pool);
    released(pool, acquired(pool));
    closed(pool);
    cancelled(first);
}

static void rule_07_a_cancelled_request_is_cut_and_its_connection_replaced(void) {
    static const fake_step steps[] = {
        {"HTTP/1.1 200 OK\r\n", 0, FAKE_KEEP, "{}"},
        {NULL, 0, FAKE_HOLD, NULL},
        {"HTTP/1.1 200 OK\r\n", 0, FAKE_KEEP, "{}"},
    };
    fake_server *fake = fake_server_start(steps, 3);
    phantomdb_pool *pool = pool_of(fake_server_url(fake), 1);
    told all[3] = {0};
    run(pool, PHANTOMDB_HEALTH_CHECK, &all[0]);
    expect(&all[0], PHANTOMDB_OK, NULL);
    phantomdb_ticket *ticket = run(pool, PHANTOMDB_HEALTH_CHECK, &all[1]);
    run(pool, PHANTOMDB_HEALTH_CHECK, &all[2]);
    EVENTUALLY(fake_server_requests(fake) == 2);
    int64_t before = now_ms();
    cancelled(ticket);
    expect(&all[1], PHANTOMDB_ERR_CANCELLED, NULL);
    CHECK(now_ms() - before < slack_ms());
    expect(&all[2], PHANTOMDB_OK, NULL);
    CHECK_INT(fake_server_connections(fake), 2);
    phantomdb_result_free(all[0].result);
    phantomdb_result_free(all[2].result);
    closed(pool);
    fake_server_stop(fake);
}

static void requests_on_one_connection_come_in_turn(void) {
    phantomdb_pool *pool = pool_of(server.url, 1);
    phantomdb_connection *connection = acquired(pool);
    const char *begin[] = {"async"};
    const char *insert[] = {"async", "t", "{\"n\":1}"};
    const char *count[] = {"async", "SELECT count(*) FROM t"};
    told all[4] = {0};
    CHECK_OK(phantomdb_connection_run_async(connection, PHANTOMDB_BEGIN_TRANSACTION, begin, 1,
                                            on_result, &all[0], NULL, &error), &error);
    CHECK_OK(phantomdb_connection_run_async(connection, PHANTOMDB_INSERT, insert, 3, on_result,
                                            &all[1], NULL, &error), &error);
    CHECK_OK(phantomdb_connection_run_async(connection, PHANTOMDB_EXECUTE_QUERY, count, 2,
                                            on_result, &all[2], NULL, &error), &error);
    CHECK_OK(phantomdb_connection_request_async(connection, "GET", "/health", NULL, 0, on_result,
                                                &all[3], NULL, &error), &error);
    /* It goes back, its transaction rolled back, when they are done. */
    released(pool, connection);
    CHECK_INT(phantomdb_connection_run_async(connection, PHANTOMDB_HEALTH_CHECK, NULL, 0,
                                             on_result, &all[0], NULL, NULL),
              PHANTOMDB_ERR_INVALID_HANDLE);
    for (int i = 0; i < 4; i++) {
        expect(&all[i], PHANTOMDB_OK, NULL);
        CHECK(i == 0 || all[i].number > all[i - 1].number);
    }
    int64_t rows = 0;
    CHECK_OK(phantomdb_result_cell_int64(all[2].result, 0, 0, &rows, &error), &error);
    CHECK_INT(rows, 1);
    for (int i = 0; i < 4; i++) phantomdb_result_free(all[i].result);
    phantomdb_result *result = NULL;
    CHECK_OK(phantomdb_pool_run(pool, PHANTOMDB_EXECUTE_QUERY, count, 2, &result, &error), &error);
    CHECK_OK(phantomdb_result_cell_int64(result, 0, 0, &rows, &error), &error);
    CHECK_INT(rows, 0);
    phantomdb_result_free(result);
    closed(pool);
}

/* Whatever waits is tried in a callback. */
static void on_acquire_try_all(phantomdb_connection *connection, const phantomdb_error *what,
                               void *user_data) {
    told *it = user_data;
    phantomdb_connection *other = NULL;
    phantomdb_error refusal;
    CHECK_INT(what->code, PHANTOMDB_OK);
    CHECK_CODE(phantomdb_pool_close(it->pool, &refusal), PHANTOMDB_ERR_WOULD_DEADLOCK, &refusal,
               "close was called from within a callback");
    CHECK_CODE(phantomdb_pool_close_timeout(it->pool, 0, &refusal), PHANTOMDB_ERR_WOULD_DEADLOCK,
               &refusal, "close");
    CHECK_CODE(phantomdb_pool_acquire(it->pool, &other, &refusal), PHANTOMDB_ERR_WOULD_DEADLOCK,
               &refusal, "acquire");
    CHECK_CODE(phantomdb_pool_request(it->pool, "GET", "/health", NULL, 0, NULL, &refusal),
               PHANTOMDB_ERR_WOULD_DEADLOCK, &refusal, "acquire");
    CHECK_CODE(phantomdb_connection_health_check(connection, NULL, &refusal),
               PHANTOMDB_ERR_WOULD_DEADLOCK, &refusal, "request");
    CHECK_CODE(phantomdb_pool_try_acquire(it->pool, &other, &refusal), PHANTOMDB_ERR_WOULD_BLOCK,
               &refusal, "1 of 1");
    CHECK_OK(phantomdb_connection_run_async(connection, PHANTOMDB_HEALTH_CHECK, NULL, 0, on_result,
                                            it, NULL, &refusal), &refusal);
    released(it->pool, connection);
}

static void what_waits_is_refused_in_a_callback(void) {
    phantomdb_pool *pool = pool_of(server.url, 1);
    told it = {.pool = pool};
    CHECK_OK(phantomdb_pool_acquire_async(pool, PHANTOMDB_POOL_TIMEOUT, on_acquire_try_all, &it,
                                          NULL, &error), &error);
    expect(&it, PHANTOMDB_OK, NULL);
    phantomdb_result_free(it.result);
    at_rest(pool);
    closed(pool);
}

static void a_free_connection_is_had_directly(void) {
    phantomdb_pool *pool = pool_of(server.url, 1);
    phantomdb_connection *connection = acquired(pool), *second = NULL;
    released(pool, connection);
    told it = {0};
    phantomdb_ticket *ticket = NULL;
    CHECK_OK(phantomdb_pool_acquire_direct(pool, PHANTOMDB_POOL_TIMEOUT, on_acquire, &it,
                                           &connection, &ticket, &error), &error);
    CHECK(connection != NULL && ticket == NULL);
    CHECK_OK(phantomdb_pool_acquire_direct(pool, PHANTOMDB_POOL_TIMEOUT, on_acquire, &it, &second,
                                           &ticket, &error), &error);
    CHECK(second == NULL && ticket != NULL);
    CHECK_INT(it.times, 0);
    released(pool, connection);
    /* Within that call, on this thread. */
    CHECK_INT(it.times, 1);
    CHECK(pthread_equal(it.thread, pthread_self()));
    CHECK_INT(it.code, PHANTOMDB_OK);
    told other = {0};
    CHECK_OK(phantomdb_pool_acquire_direct(pool, PHANTOMDB_POOL_TIMEOUT, on_acquire, &other,
                                           &second, &ticket, &error), &error);
    cancelled(ticket);
    CHECK_INT(other.times, 1);
    CHECK_INT(other.code, PHANTOMDB_ERR_CANCELLED);
    released(pool, it.connection);
    at_rest(pool);
    closed(pool);
}

static void a_long_row_of_direct_callbacks_needs_no_deep_stack(void) {
    int crowd = (int)setting("CROWD", 100000);
    phantomdb_pool_options options = options_for(server.url);
    options.max_connections = options.min_connections = 1;
    options.max_waiters = UINT32_MAX;
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_connection *connection = acquired(pool), *none = NULL;
    told it = {.pool = pool};
    for (int i = 0; i < crowd; i++) {
        CHECK_OK(phantomdb_pool_acquire_direct(pool, PHANTOMDB_POOL_TIMEOUT, on_acquire_release,
                                               &it, &none, NULL, &error), &error);
    }
    CHECK_INT(status_of(pool).pending, crowd);
    /* With a socket it is good enough to be passed on. */
    CHECK_OK(phantomdb_connection_health_check(connection, NULL, &error), &error);
    released(pool, connection);
    CHECK_INT(it.times, crowd);
    at_rest(pool);
    closed(pool);
}

/* Callbacks that run while somebody closes. */
static atomic_int in_callback;
static atomic_bool is_closed_for_good;

static void on_result_slowly(phantomdb_result *result, const phantomdb_error *what, void *user_data) {
    CHECK(!is_closed_for_good);
    in_callback++;
    for (int i = 0; i < 3; i++) look_again();
    CHECK(result == NULL || phantomdb_result_free(result) == PHANTOMDB_OK);
    note(user_data, what);
    in_callback--;
}

static void rule_19_after_close_no_callback_runs_and_none_will(void) {
    enum { CROWD = 200 };
    static told all[CROWD];
    int threads_before = settled_thread_count(1);
    for (int round = 0; round < (int)setting("ROUNDS", 20); round++) {
        memset(all, 0, sizeof all);
        is_closed_for_good = false;
        phantomdb_pool *pool = pool_of(server.url, 4);
        for (int i = 0; i < CROWD; i++) {
            CHECK_OK(phantomdb_pool_run_async(pool, PHANTOMDB_HEALTH_CHECK, NULL, 0,
                                              on_result_slowly, &all[i], NULL, &error), &error);
        }
        EVENTUALLY(all[round % 8].times == 1);
        closed(pool);
        is_closed_for_good = true;
        CHECK_INT(in_callback, 0);
        for (int i = 0; i < CROWD; i++) {
            CHECK_INT(all[i].times, 1);
            CHECK(all[i].code == PHANTOMDB_OK || all[i].code == PHANTOMDB_ERR_CLOSED);
        }
        CHECK_INT(settled_thread_count(threads_before), threads_before);
        told late = {0};
        CHECK_CODE(phantomdb_pool_run_async(pool, PHANTOMDB_HEALTH_CHECK, NULL, 0, on_result, &late,
                                            NULL, &error), PHANTOMDB_ERR_CLOSED, &error, "closed");
    }
}

static void on_result_close(phantomdb_result *result, const phantomdb_error *what, void *user_data) {
    (void)what;
    told *it = user_data;
    phantomdb_error refusal;
    phantomdb_result_free(result);
    CHECK_OK(phantomdb_pool_close_async(it->pool, PHANTOMDB_POOL_TIMEOUT, on_close, it, &refusal),
             &refusal);
}

static void a_close_need_not_wait(void) {
    int before = settled_thread_count(1);
    phantomdb_pool *pool = pool_of(server.url, 2);
    phantomdb_connection *held = acquired(pool);
    told waits = {0}, over = {.pool = pool};
    const char *none[] = {NULL};
    CHECK_OK(phantomdb_pool_run_async(pool, PHANTOMDB_HEALTH_CHECK, none, 0, on_result_close, &over,
                                      NULL, &error), &error);
    EVENTUALLY(phantomdb_pool_try_acquire(pool, &held, NULL) == PHANTOMDB_ERR_CLOSED ||
               phantomdb_pool_release(pool, held, NULL) != PHANTOMDB_OK);
    /* It waits for the connection that is out, unless it is told to hurry. */
    CHECK_INT(over.times, 0);
    CHECK_OK(phantomdb_pool_close_async(pool, 0, on_close, &waits, &error), &error);
    expect(&over, PHANTOMDB_OK, NULL);
    expect(&waits, PHANTOMDB_OK, NULL);
    /* Of a closed pool it is over at once. */
    told again = {0};
    CHECK_OK(phantomdb_pool_close_async(pool, 0, on_close, &again, &error), &error);
    expect(&again, PHANTOMDB_OK, NULL);
    EVENTUALLY(thread_count() == before);
}

static atomic_int closing_has_begun, closing_may_end, close_has_returned;

static void on_close_slowly(const phantomdb_error *what, void *user_data) {
    closing_has_begun = 1;
    EVENTUALLY(closing_may_end);
    on_close(what, user_data);
}

static void *close_meanwhile(void *user_data) {
    told *closing = user_data;
    closed(closing->pool);
    CHECK_INT(closing->times, 1);
    close_has_returned = 1;
    return NULL;
}

static void rule_19_a_close_waits_for_the_callback_of_one_that_did_not(void) {
    told closing = {.pool = pool_of(server.url, 2)};
    CHECK_OK(phantomdb_pool_close_async(closing.pool, 0, on_close_slowly, &closing, &error),
             &error);
    EVENTUALLY(closing_has_begun);
    pthread_t closer;
    pthread_create(&closer, NULL, close_meanwhile, &closing);
    /* All else is over, so that it would return at once. */
    for (int64_t until = now_ms() + 50; now_ms() < until && !close_has_returned;) look_again();
    CHECK(!close_has_returned);
    closing_may_end = 1;
    pthread_join(closer, NULL);
    CHECK(close_has_returned);
}

static void every_operation_is_told_with_its_arguments(void) {
    uint64_t count = 0;
    const phantomdb_operation_info *table = phantomdb_operation_table(&count);
    CHECK_INT(count, PHANTOMDB_ROLLBACK_TRANSACTION);
    CHECK_INT(table[PHANTOMDB_UPDATE - 1].operation, PHANTOMDB_UPDATE);
    CHECK_TEXT(table[PHANTOMDB_UPDATE - 1].name, "update");
    CHECK_INT(table[PHANTOMDB_UPDATE - 1].argument_count, 4);
    CHECK_INT(table[PHANTOMDB_UPDATE - 1].required_count, 3);
    CHECK_TEXT(table[PHANTOMDB_UPDATE - 1].arguments[3], "condition");
}

/* Random acquires, requests and cancels, from several threads and in callbacks. */
enum { STRESS_THREADS = 8 };
static phantomdb_pool *stressed;
static atomic_llong pending;

static void on_stress_result(phantomdb_result *result, const phantomdb_error *what, void *unused) {
    (void)unused;
    if (result != NULL) phantomdb_result_free(result);
    else CHECK_INT(what->code, PHANTOMDB_ERR_CANCELLED);
    pending--;
}

static void on_stress_acquire(phantomdb_connection *connection, const phantomdb_error *what,
                              void *user_data) {
    phantomdb_error refusal;
    if (connection == NULL) {
        CHECK(what->code == PHANTOMDB_ERR_CANCELLED || what->code == PHANTOMDB_ERR_TIMEOUT);
        pending--;
        return;
    }
    if (user_data != NULL) {
        CHECK_OK(phantomdb_connection_run_async(connection, PHANTOMDB_HEALTH_CHECK, NULL, 0,
                                                on_stress_result, NULL, NULL, &refusal), &refusal);
    } else {
        pending--;
    }
    released(stressed, connection);
}

static void *stress(void *argument) {
    uint64_t state = (uint64_t)(uintptr_t)argument;
    phantomdb_error e;
    for (int64_t i = 0; i < setting("STRESS_ROUNDS", 2000); i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint32_t choice = (uint32_t)(state >> 40);
        phantomdb_ticket *ticket = NULL;
        phantomdb_connection *connection = NULL;
        pending++;
        switch (choice % 4) {
        case 0:
            CHECK_OK(phantomdb_pool_run_async(stressed, PHANTOMDB_HEALTH_CHECK, NULL, 0,
                                              on_stress_result, NULL, &ticket, &e), &e);
            break;
        case 1:
            CHECK_OK(phantomdb_pool_acquire_async(stressed, choice % 3 == 0 ? 1 : 30000,
                                                  on_stress_acquire, stressed, &ticket, &e), &e);
            break;
        case 2:
            /* On a slow machine its time may be over before it returns. */
            if (phantomdb_pool_acquire_direct(stressed, choice % 3 == 0 ? 1 : 30000,
                                              on_stress_acquire, NULL, &connection, &ticket,
                                              &e) != PHANTOMDB_OK) {
                pending--;
                CHECK_INT(e.code, PHANTOMDB_ERR_TIMEOUT);
            } else if (connection != NULL) {
                pending--;
                released(stressed, connection);
            }
            break;
        default:
            pending--;
            if (CHECK_OK(phantomdb_pool_acquire(stressed, &connection, &e), &e)) {
                released(stressed, connection);
            }
        }
        if (ticket != NULL && choice % 5 == 0) CHECK_OK(phantomdb_cancel(ticket, &e), &e);
    }
    return NULL;
}

static void rule_06_nothing_is_lost_whatever_is_cancelled(void) {
    int threads_before = settled_thread_count(1);
    int descriptors_before = descriptor_count();
    phantomdb_pool_options options = options_for(server.url);
    options.max_connections = 4;
    options.max_waiters = UINT32_MAX;
    stressed = new_pool(&options);
    pthread_t threads[STRESS_THREADS];
    for (uintptr_t i = 0; i < STRESS_THREADS; i++) {
        pthread_create(&threads[i], NULL, stress, (void *)(i + 1));
    }
    for (int i = 0; i < STRESS_THREADS; i++) pthread_join(threads[i], NULL);
    EVENTUALLY(pending == 0);
    at_rest(stressed);
    CHECK(status_of(stressed).total <= 4);
    closed(stressed);
    CHECK_INT(settled_thread_count(threads_before), threads_before);
    CHECK_INT(descriptor_count(), descriptors_before);
}

static void make_tables(void) {
    phantomdb_pool *pool = pool_of(server.url, 1);
    phantomdb_connection *connection = acquired(pool);
    CHECK_OK(phantomdb_connection_create_database(connection, "async", NULL, &error), &error);
    CHECK_OK(phantomdb_connection_create_table(connection, "async", "t",
                                               "[{\"name\":\"n\",\"type\":\"integer\"}]", NULL,
                                               &error), &error);
    released(pool, connection);
    closed(pool);
}

static void fresh(void (*test)(void), const char *name) {
    callbacks = 0;
    check_run(name, test);
}

int main(void) {
    server = devserver_start(NULL);
    make_tables();
    fresh(a_response_comes_to_its_callback, "a response comes to its callback");
    fresh(an_error_comes_to_its_callback, "an error comes to its callback");
    fresh(what_can_not_be_asked_is_refused_at_once, "what can't be asked is refused at once");
    fresh(a_crowd_waits_without_threads, "a crowd waits without threads");
    fresh(rule_05_those_who_wait_with_a_thread_and_without_have_one_queue, "one queue for all");
    fresh(rule_03_a_wait_without_a_thread_ends_at_its_deadline, "the deadline of a wait");
    fresh(rule_07_a_cancelled_wait_is_over_and_takes_no_connection, "a cancelled wait");
    fresh(rule_07_a_cancelled_request_is_cut_and_its_connection_replaced, "a cancelled request");
    fresh(requests_on_one_connection_come_in_turn, "requests on one connection come in turn");
    fresh(what_waits_is_refused_in_a_callback, "what waits is refused in a callback");
    fresh(a_free_connection_is_had_directly, "a free connection is had directly");
    fresh(a_long_row_of_direct_callbacks_needs_no_deep_stack, "a long row of direct callbacks");
    fresh(rule_19_after_close_no_callback_runs_and_none_will, "after close no callback runs");
    fresh(a_close_need_not_wait, "a close need not wait");
    fresh(rule_19_a_close_waits_for_the_callback_of_one_that_did_not, "a close waits for the callback of one that did not");
    fresh(every_operation_is_told_with_its_arguments, "the table of operations");
    fresh(rule_06_nothing_is_lost_whatever_is_cancelled, "nothing is lost");
    devserver_stop(&server);
    return check_end();
}
