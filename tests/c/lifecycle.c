/* Pools and their connections from create to close: who gets what, when, and what is left. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

#include "devserver.h"
#include "fake_server.h"
#include "support.h"

static devserver server;

static const fake_step good = {
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n", 0, FAKE_KEEP, "{\"databases\":[]}"};

static phantomdb_pool *pool_of(uint32_t min, uint32_t max) {
    phantomdb_pool_options options = options_for(server.url);
    options.min_connections = min;
    options.max_connections = max;
    options.acquire_timeout_ms = WAIT_LIMIT_MS;
    return new_pool(&options);
}

static void check_status(phantomdb_pool *pool, uint32_t available, uint32_t used, uint32_t total) {
    phantomdb_status now = status_of(pool);
    CHECK_INT(now.available, available);
    CHECK_INT(now.used, used);
    CHECK_INT(now.total, total);
}

static void use(phantomdb_connection *connection) {
    phantomdb_error error;
    CHECK_OK(phantomdb_connection_list_databases(connection, NULL, &error), &error);
}

static void versions_agree(void) {
    CHECK_INT(phantomdb_abi_version(), PHANTOMDB_ABI_VERSION);
    CHECK_HAS(phantomdb_version(), ".");
    uint64_t count = 0;
    const phantomdb_code_info *table = phantomdb_code_table(&count);
    CHECK_INT(count, 1 - PHANTOMDB_ERR_OUT_OF_MEMORY);
    for (uint64_t i = 0; i < count; i++) {
        CHECK_INT(table[i].code, -(int64_t)i);
        CHECK_TEXT(phantomdb_code_name(table[i].code), table[i].name);
        CHECK(table[i].text[0] != '\0');
    }
    CHECK(phantomdb_code_name(1) == NULL);
    CHECK(phantomdb_code_name(PHANTOMDB_ERR_OUT_OF_MEMORY - 1) == NULL);
}

static void available_is_min_without_a_server(void) {
    phantomdb_pool_options options = options_for(url_of_nobody());
    options.min_connections = 3;
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_status now = status_of(pool);
    CHECK_INT(now.available, 3);
    CHECK_INT(now.used, 0);
    CHECK_INT(now.pending, 0);
    CHECK_INT(now.min, 3);
    CHECK_INT(now.max, 10);
    phantomdb_connection *connection = acquired(pool);
    check_status(pool, 2, 1, 3);
    released(pool, connection);
    closed(pool);
}

static void null_options_are_the_defaults(void) {
    phantomdb_pool *pool = new_pool(NULL);
    phantomdb_status now = status_of(pool);
    CHECK_INT(now.available, 2);
    CHECK_INT(now.min, 2);
    CHECK_INT(now.max, 10);
    closed(pool);
}

static void acquire_and_release(void) {
    phantomdb_pool *pool = pool_of(1, 2);
    phantomdb_connection *connection = acquired(pool);
    check_status(pool, 0, 1, 1);
    use(connection);
    released(pool, connection);
    check_status(pool, 1, 0, 1);
    closed(pool);
}

static void status_as_json(void) {
    phantomdb_pool *pool = pool_of(2, 10);
    phantomdb_result *result = NULL;
    phantomdb_error error;
    CHECK_OK(phantomdb_pool_status_json(pool, &result, &error), &error);
    CHECK_TEXT(text_of(result),
               "{\"available\":2,\"used\":0,\"pending\":0,\"total\":2,\"min\":2,\"max\":10}");
    int64_t most = 0;
    uint64_t column = 0;
    CHECK_OK(phantomdb_result_column_index(result, "max", &column, &error), &error);
    CHECK_OK(phantomdb_result_cell_int64(result, 0, column, &most, &error), &error);
    CHECK_INT(most, 10);
    CHECK_INT(phantomdb_result_free(result), PHANTOMDB_OK);
    closed(pool);
}

static void try_does_not_wait(void) {
    phantomdb_pool *pool = pool_of(0, 1);
    phantomdb_connection *first = NULL;
    phantomdb_connection *second = NULL;
    phantomdb_error error;
    CHECK_OK(phantomdb_pool_try_acquire(pool, &first, &error), &error);
    int64_t started = now_ms();
    CHECK_CODE(phantomdb_pool_try_acquire(pool, &second, &error), PHANTOMDB_ERR_WOULD_BLOCK, &error,
               "1 of 1 connections in use");
    CHECK(now_ms() - started < slack_ms());
    CHECK(second == NULL);
    CHECK(error.retriable);
    released(pool, first);
    CHECK_OK(phantomdb_pool_try_acquire(pool, &second, &error), &error);
    use(second);
    released(pool, second);
    closed(pool);
}

static void a_timed_acquire_is_back_in_time(void) {
    phantomdb_pool *pool = pool_of(0, 1);
    phantomdb_connection *held = acquired(pool);
    phantomdb_connection *second = held;
    phantomdb_error error;
    int64_t started = now_ms();
    CHECK_CODE(phantomdb_pool_acquire_timeout(pool, 60, &second, &error), PHANTOMDB_ERR_TIMEOUT,
               &error, "Timeout acquiring connection");
    int64_t waited = now_ms() - started;
    CHECK(waited >= 60 && waited < 60 + slack_ms());
    CHECK_HAS(error.message, "1 of 1 connections in use");
    CHECK(second == NULL);
    CHECK_CODE(phantomdb_pool_acquire_timeout(pool, 0, &second, &error), PHANTOMDB_ERR_TIMEOUT,
               &error, "Timeout");
    CHECK_CODE(phantomdb_pool_acquire_timeout(pool, -1, &second, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "timeout_ms");
    CHECK_INT(status_of(pool).pending, 0);
    released(pool, held);
    CHECK_OK(phantomdb_pool_acquire_timeout(pool, INT64_MAX, &second, &error), &error);
    released(pool, second);
    closed(pool);
}

static void an_acquire_waits_for_the_option(void) {
    phantomdb_pool_options options = options_for(server.url);
    options.min_connections = 0;
    options.max_connections = 1;
    options.acquire_timeout_ms = 50;
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_connection *held = acquired(pool);
    phantomdb_connection *second = NULL;
    phantomdb_error error;
    CHECK_CODE(phantomdb_pool_acquire(pool, &second, &error), PHANTOMDB_ERR_TIMEOUT, &error,
               "Timeout");
    CHECK_CODE(phantomdb_pool_request(pool, "GET", "/databases", NULL, 0, NULL, &error),
               PHANTOMDB_ERR_TIMEOUT, &error, "Timeout");
    released(pool, held);
    closed(pool);
}

static void nobody_waits_where_no_waiters_are_allowed(void) {
    phantomdb_pool_options options = options_for(server.url);
    options.min_connections = 1;
    options.max_connections = 1;
    options.max_waiters = 0;
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_connection *held = acquired(pool);
    phantomdb_connection *second = NULL;
    phantomdb_error error;
    CHECK_CODE(phantomdb_pool_acquire(pool, &second, &error), PHANTOMDB_ERR_OVERLOADED, &error,
               "max_waiters");
    released(pool, held);
    closed(pool);
}

static void a_discarded_connection_is_not_reused(void) {
    fake_server *fake = fake_server_start(&good, 1);
    phantomdb_pool_options options = options_for(fake_server_url(fake));
    options.min_connections = 1;
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_error error;
    for (uint64_t i = 1; i <= 3; i++) {
        phantomdb_connection *connection = acquired(pool);
        use(connection);
        CHECK_INT(fake_server_connections(fake), i);
        CHECK_OK(phantomdb_pool_discard(pool, connection, &error), &error);
        settled(pool, 1);
    }
    closed(pool);
    fake_server_stop(fake);
}

static void the_last_one_back_is_the_next_one_out(void) {
    fake_server *fake = fake_server_start(&good, 1);
    phantomdb_pool_options options = options_for(fake_server_url(fake));
    options.min_connections = 0;
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_connection *connections[3];
    uint64_t numbers[3];
    for (int i = 0; i < 3; i++) connections[i] = acquired(pool);
    for (int i = 0; i < 3; i++) {
        use(connections[i]);
        numbers[i] = fake_server_last_connection(fake);
    }
    released(pool, connections[1]);
    released(pool, connections[2]);
    released(pool, connections[0]);
    static const int expected[] = {0, 2, 1};
    for (int i = 0; i < 3; i++) {
        connections[i] = acquired(pool);
        use(connections[i]);
        CHECK_INT(fake_server_last_connection(fake), numbers[expected[i]]);
    }
    for (int i = 0; i < 3; i++) released(pool, connections[i]);
    closed(pool);
    fake_server_stop(fake);
}

static void a_pool_grows_to_its_maximum_and_no_further(void) {
    enum { MOST = 5 };
    phantomdb_pool *pool = pool_of(1, MOST);
    phantomdb_connection *connections[MOST];
    phantomdb_connection *one_more = NULL;
    phantomdb_error error;
    for (int i = 0; i < MOST; i++) {
        connections[i] = acquired(pool);
        use(connections[i]);
    }
    check_status(pool, 0, MOST, MOST);
    CHECK_CODE(phantomdb_pool_try_acquire(pool, &one_more, &error), PHANTOMDB_ERR_WOULD_BLOCK,
               &error, "5 of 5");
    for (int i = 0; i < MOST; i++) released(pool, connections[i]);
    check_status(pool, MOST, 0, MOST);
    closed(pool);
}

static void the_surplus_closes_when_it_is_idle(void) {
    phantomdb_pool_options options = options_for(server.url);
    options.min_connections = 1;
    options.max_connections = 3;
    options.idle_timeout_ms = 50;
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_connection *connections[3];
    for (int i = 0; i < 3; i++) {
        connections[i] = acquired(pool);
        use(connections[i]);
    }
    for (int i = 0; i < 3; i++) released(pool, connections[i]);
    settled(pool, 1);
    closed(pool);
}

static void resize_acts_at_once(void) {
    phantomdb_pool *pool = pool_of(0, 1);
    phantomdb_connection *first = acquired(pool);
    phantomdb_connection *second = NULL;
    phantomdb_error error;
    CHECK_INT(phantomdb_pool_try_acquire(pool, &second, NULL), PHANTOMDB_ERR_WOULD_BLOCK);
    CHECK_OK(phantomdb_pool_resize(pool, 0, 2, &error), &error);
    second = acquired(pool);
    use(first);
    use(second);
    CHECK_OK(phantomdb_pool_resize(pool, 1, 1, &error), &error);
    released(pool, first);
    released(pool, second);
    settled(pool, 1);
    CHECK_CODE(phantomdb_pool_resize(pool, 2, 1, &error), PHANTOMDB_ERR_INVALID_ARGUMENT, &error,
               "min_connections");
    CHECK_CODE(phantomdb_pool_resize(pool, 0, 0, &error), PHANTOMDB_ERR_INVALID_ARGUMENT, &error,
               "max_connections");
    CHECK_INT(status_of(pool).max, 1);
    closed(pool);
}

static void reset_replaces_every_connection(void) {
    fake_server *fake = fake_server_start(&good, 1);
    phantomdb_pool_options options = options_for(fake_server_url(fake));
    options.min_connections = 1;
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_connection *connection = acquired(pool);
    phantomdb_error error;
    use(connection);
    CHECK_OK(phantomdb_pool_reset(pool, &error), &error);
    use(connection);
    released(pool, connection);
    settled(pool, 1);
    connection = acquired(pool);
    use(connection);
    CHECK_INT(fake_server_last_connection(fake), 2);
    released(pool, connection);
    closed(pool);
    fake_server_stop(fake);
}

static const char *text_given_by(int32_t (*ask)(phantomdb_pool *, phantomdb_result **,
                                                phantomdb_error *),
                                 phantomdb_pool *pool, phantomdb_result **result) {
    phantomdb_error error;
    CHECK_OK(ask(pool, result, &error), &error);
    return text_of(*result);
}

static void statistics(void) {
    phantomdb_pool *pool = pool_of(1, 1);
    phantomdb_connection *held = acquired(pool);
    phantomdb_connection *none = NULL;
    CHECK_INT(phantomdb_pool_acquire_timeout(pool, 1, &none, NULL), PHANTOMDB_ERR_TIMEOUT);
    phantomdb_result *result = NULL;
    CHECK_HAS(text_given_by(phantomdb_pool_stats_json, pool, &result), "\"timed_out\":1");
    CHECK_INT(phantomdb_result_free(result), PHANTOMDB_OK);
    CHECK_HAS(text_given_by(phantomdb_pool_metrics, pool, &result), "# TYPE phantomdb_pool_");
    CHECK_HAS(text_of(result), "# EOF\n");
    CHECK_INT(phantomdb_result_free(result), PHANTOMDB_OK);
    released(pool, held);
    closed(pool);
}

typedef struct told {
    phantomdb_pool *pool;
    atomic_int messages;
    int32_t close_code;
    char message[512];
} told;

static void listen_to(int32_t level, const char *message, void *user_data) {
    told *all = user_data;
    if (level == PHANTOMDB_LOG_WARNING && all->messages == 0) {
        snprintf(all->message, sizeof all->message, "%s", message);
        all->close_code = phantomdb_pool_close(all->pool, NULL);
    }
    all->messages++;
}

static void leaks_are_told_to_the_log(void) {
    told all = {0};
    phantomdb_pool_options options = options_for(server.url);
    options.leak_threshold_ms = 50;
    options.log = listen_to;
    options.log_user_data = &all;
    all.pool = new_pool(&options);
    phantomdb_connection *held = acquired(all.pool);
    phantomdb_error error;
    CHECK_OK(phantomdb_connection_set_owner(held, "request 42", &error), &error);
    EVENTUALLY(all.messages > 0);
    CHECK_INT(all.close_code, PHANTOMDB_ERR_WOULD_DEADLOCK);
    CHECK_HAS(all.message, "request 42");
    use(held);
    released(all.pool, held);
    closed(all.pool);
}

enum { WAITERS = 8 };

typedef struct line {
    phantomdb_pool *pool;
    int order[WAITERS];
    int served;
} line;

typedef struct waiter {
    line *all;
    int number;
    pthread_t thread;
} waiter;

static void *wait_in_line(void *argument) {
    waiter *me = argument;
    phantomdb_connection *connection = acquired(me->all->pool);
    /* There is one connection, so the thread that has it is alone here. */
    me->all->order[me->all->served++] = me->number;
    released(me->all->pool, connection);
    return NULL;
}

static void waiters_are_served_in_order(void) {
    line all = {.pool = pool_of(1, 1)};
    phantomdb_connection *held = acquired(all.pool);
    waiter waiters[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = (waiter){.all = &all, .number = i};
        pthread_create(&waiters[i].thread, NULL, wait_in_line, &waiters[i]);
        EVENTUALLY(status_of(all.pool).pending == (uint32_t)i + 1);
    }
    released(all.pool, held);
    for (int i = 0; i < WAITERS; i++) pthread_join(waiters[i].thread, NULL);
    CHECK_INT(all.served, WAITERS);
    for (int i = 0; i < WAITERS; i++) CHECK_INT(all.order[i], i);
    closed(all.pool);
}

static void *wait_for_the_end(void *pool) {
    phantomdb_connection *connection = NULL;
    phantomdb_error error;
    CHECK_CODE(phantomdb_pool_acquire(pool, &connection, &error), PHANTOMDB_ERR_CLOSED, &error,
               "closed");
    CHECK(connection == NULL);
    return NULL;
}

static void *close_it(void *pool) {
    closed(pool);
    return NULL;
}

/* Whether close has begun: it refuses callers before it waits for connections. */
static bool is_closing(phantomdb_pool *pool) {
    phantomdb_connection *connection = NULL;
    if (phantomdb_pool_try_acquire(pool, &connection, NULL) == PHANTOMDB_ERR_CLOSED) return true;
    if (connection != NULL) phantomdb_pool_release(pool, connection, NULL);
    return false;
}

static void waiters_fail_when_the_pool_closes(void) {
    phantomdb_pool *pool = pool_of(1, 1);
    phantomdb_connection *held = acquired(pool);
    pthread_t waiters[4];
    for (int i = 0; i < 4; i++) pthread_create(&waiters[i], NULL, wait_for_the_end, pool);
    EVENTUALLY(status_of(pool).pending == 4);
    pthread_t closer;
    pthread_create(&closer, NULL, close_it, pool);
    /* They are back while the connection is still out. */
    for (int i = 0; i < 4; i++) pthread_join(waiters[i], NULL);
    released(pool, held);
    pthread_join(closer, NULL);
}

static void close_waits_for_a_connection_to_come_back(void) {
    phantomdb_pool_options options = options_for(server.url);
    options.close_timeout_ms = WAIT_LIMIT_MS;
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_connection *held = acquired(pool);
    int64_t started = now_ms();
    pthread_t closer;
    pthread_create(&closer, NULL, close_it, pool);
    EVENTUALLY(is_closing(pool));
    use(held);
    released(pool, held);
    pthread_join(closer, NULL);
    CHECK(now_ms() - started < WAIT_LIMIT_MS);
}

static void close_cuts_what_does_not_come_back(void) {
    phantomdb_pool_options options = options_for(server.url);
    options.close_timeout_ms = 100;
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_connection *held = acquired(pool);
    use(held);
    int64_t started = now_ms();
    closed(pool);
    int64_t took = now_ms() - started;
    CHECK(took >= 100 && took < 100 + slack_ms());
    phantomdb_error error;
    CHECK_CODE(phantomdb_connection_health_check(held, NULL, &error), PHANTOMDB_ERR_CLOSED, &error,
               "closed");
    CHECK_CODE(phantomdb_pool_release(pool, held, &error), PHANTOMDB_ERR_CLOSED, &error, "closed");
    CHECK_CODE(phantomdb_connection_health_check(held, NULL, &error), PHANTOMDB_ERR_INVALID_HANDLE,
               &error, "connection");
}

static void *request_without_end(void *connection) {
    phantomdb_error error;
    CHECK_CODE(phantomdb_connection_list_databases(connection, NULL, &error), PHANTOMDB_ERR_CLOSED,
               &error, "closed");
    return NULL;
}

static void close_cuts_a_request_in_flight(void) {
    const fake_step silence = {NULL, 0, FAKE_HOLD, NULL};
    fake_server *fake = fake_server_start(&silence, 1);
    phantomdb_pool_options options = options_for(fake_server_url(fake));
    options.close_timeout_ms = 0;
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_connection *held = acquired(pool);
    pthread_t requester;
    pthread_create(&requester, NULL, request_without_end, held);
    EVENTUALLY(fake_server_requests(fake) == 1);
    int64_t started = now_ms();
    closed(pool);
    pthread_join(requester, NULL);
    CHECK(now_ms() - started < slack_ms());
    fake_server_stop(fake);
}

static void closing_twice_is_fine(void) {
    phantomdb_pool *pool = pool_of(2, 2);
    closed(pool);
    closed(pool);
    phantomdb_connection *connection = NULL;
    phantomdb_error error;
    CHECK_CODE(phantomdb_pool_acquire(pool, &connection, &error), PHANTOMDB_ERR_CLOSED, &error,
               "closed");
}

static void closing_from_two_threads_is_fine(void) {
    phantomdb_pool *pool = pool_of(2, 4);
    phantomdb_connection *connection = acquired(pool);
    use(connection);
    pthread_t closers[2];
    for (int i = 0; i < 2; i++) pthread_create(&closers[i], NULL, close_it, pool);
    EVENTUALLY(is_closing(pool));
    released(pool, connection);
    for (int i = 0; i < 2; i++) pthread_join(closers[i], NULL);
}

static void two_pools_do_not_know_each_other(void) {
    phantomdb_pool *one = pool_of(0, 1);
    phantomdb_pool *other = pool_of(0, 1);
    phantomdb_connection *from_one = acquired(one);
    phantomdb_connection *from_other = acquired(other);
    check_status(one, 0, 1, 1);
    released(one, from_one);
    closed(one);
    use(from_other);
    released(other, from_other);
    closed(other);
}

static void nothing_is_left_of_a_closed_pool(void) {
    int threads = settled_thread_count(1);
    int descriptors = descriptor_count();
    phantomdb_pool_options options = options_for(server.url);
    options.max_connections = 6;
    options.idle_timeout_ms = WAIT_LIMIT_MS;
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_connection *connections[6];
    for (int i = 0; i < 6; i++) {
        connections[i] = acquired(pool);
        use(connections[i]);
    }
    CHECK(descriptor_count() >= descriptors + 6);
    for (int i = 0; i < 6; i++) released(pool, connections[i]);
    closed(pool);
    CHECK_INT(descriptor_count(), descriptors);
    CHECK_INT(settled_thread_count(threads), threads);
}

int main(void) {
    server = devserver_start(NULL);
    check_run("versions and codes agree", versions_agree);
    check_run("available is min without a server", available_is_min_without_a_server);
    check_run("NULL options are the defaults", null_options_are_the_defaults);
    check_run("acquire and release", acquire_and_release);
    check_run("status as JSON", status_as_json);
    check_run("try does not wait", try_does_not_wait);
    check_run("a timed acquire is back in time", a_timed_acquire_is_back_in_time);
    check_run("an acquire waits for the option", an_acquire_waits_for_the_option);
    check_run("nobody waits where max_waiters is 0", nobody_waits_where_no_waiters_are_allowed);
    check_run("a discarded connection is not reused", a_discarded_connection_is_not_reused);
    check_run("the last one back is the next one out", the_last_one_back_is_the_next_one_out);
    check_run("a pool grows to its maximum and no further",
              a_pool_grows_to_its_maximum_and_no_further);
    check_run("the surplus closes when it is idle", the_surplus_closes_when_it_is_idle);
    check_run("resize acts at once", resize_acts_at_once);
    check_run("reset replaces every connection", reset_replaces_every_connection);
    check_run("statistics", statistics);
    check_run("leaks are told to the log", leaks_are_told_to_the_log);
    check_run("waiters are served in order", waiters_are_served_in_order);
    check_run("waiters fail when the pool closes", waiters_fail_when_the_pool_closes);
    check_run("close waits for a connection to come back",
              close_waits_for_a_connection_to_come_back);
    check_run("close cuts what does not come back", close_cuts_what_does_not_come_back);
    check_run("close cuts a request in flight", close_cuts_a_request_in_flight);
    check_run("closing twice is fine", closing_twice_is_fine);
    check_run("closing from two threads is fine", closing_from_two_threads_is_fine);
    check_run("two pools do not know each other", two_pools_do_not_know_each_other);
    check_run("nothing is left of a closed pool", nothing_is_left_of_a_closed_pool);
    devserver_stop(&server);
    return check_end();
}
