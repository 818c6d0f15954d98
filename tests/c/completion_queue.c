/* Asynchronous calls whose outcomes a loop takes from a queue: what wakes it and what does not, what
 * becomes of what nobody takes, threads, and a fork. */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devserver.h"
#include "fake_server.h"
#include "support.h"

static devserver server;
static phantomdb_error error;

/* What a wake function was told. */
typedef struct woken {
    atomic_int times;
    pthread_t thread;
    atomic_bool may_return; /* and is_held, so that it does not before */
    bool is_held;
    phantomdb_completion_queue *to_free;
    int32_t code_of_free;
} woken;

static void on_wake(void *user_data) {
    woken *it = user_data;
    it->thread = pthread_self();
    it->times++;
    if (it->to_free != NULL) it->code_of_free = phantomdb_completion_queue_free(it->to_free, NULL);
    while (it->is_held && !it->may_return) look_again();
}

static phantomdb_completion_queue *new_queue(woken *it) {
    phantomdb_completion_queue *queue = NULL;
    CHECK_OK(phantomdb_completion_queue_create(it != NULL ? on_wake : NULL, it, &queue, &error), &error);
    return queue;
}

static void freed(phantomdb_completion_queue *queue) {
    CHECK_OK(phantomdb_completion_queue_free(queue, &error), &error);
}

static phantomdb_pool *pool_of(const char *url, uint32_t connections) {
    phantomdb_pool_options options = options_for(url);
    options.min_connections = 0;
    options.max_connections = connections;
    return new_pool(&options);
}

static phantomdb_completion_target target_of(phantomdb_completion_queue *queue, void *user_data) {
    return (phantomdb_completion_target){.queue = queue, .user_data = user_data};
}

static phantomdb_ticket *run(phantomdb_pool *pool, int32_t operation, phantomdb_completion_queue *queue,
                             void *user_data) {
    phantomdb_ticket *ticket = NULL;
    phantomdb_completion_target target = target_of(queue, user_data);
    CHECK_OK(phantomdb_pool_run_async(pool, operation, NULL, 0, phantomdb_post_result(), &target,
                                      &ticket, &error), &error);
    /* It was read. */
    memset(&target, 0x5a, sizeof target);
    return ticket;
}

/* An acquire that has to wait. */
static phantomdb_ticket *wait_for_one(phantomdb_pool *pool, phantomdb_completion_queue *queue,
                                      void *user_data) {
    phantomdb_ticket *ticket = NULL;
    phantomdb_connection *connection = NULL;
    phantomdb_completion_target target = target_of(queue, user_data);
    CHECK_OK(phantomdb_pool_acquire_direct(pool, PHANTOMDB_POOL_TIMEOUT, phantomdb_post_connection(),
                                           &target, &connection, &ticket, &error), &error);
    CHECK(connection == NULL);
    memset(&target, 0x5a, sizeof target);
    return ticket;
}

static void cancelled(phantomdb_ticket *ticket) {
    CHECK_OK(phantomdb_cancel(ticket, &error), &error);
}

/* Takes at most `capacity`, without waiting. */
static uint64_t take(phantomdb_completion_queue *queue, phantomdb_completion *done, uint64_t capacity) {
    uint64_t count = 99;
    CHECK_OK(phantomdb_completion_queue_take(queue, 0, done, capacity, &count, &error), &error);
    return count;
}

static bool is_empty(phantomdb_completion_queue *queue) {
    phantomdb_completion done;
    return take(queue, &done, 1) == 0;
}

/* Waits for the next, and checks whose it is and what it says. */
static phantomdb_completion next_of(phantomdb_completion_queue *queue, void *user_data, int32_t code,
                                    const char *part) {
    phantomdb_completion done;
    memset(&done, 0x5a, sizeof done);
    uint64_t count = 0;
    CHECK_OK(phantomdb_completion_queue_take(queue, WAIT_LIMIT_MS, &done, 1, &count, &error), &error);
    CHECK_INT(count, 1);
    CHECK(done.user_data == user_data);
    CHECK_CODE(done.error.code, code, &done.error, part);
    if (code != PHANTOMDB_OK) CHECK(done.connection == NULL && done.result == NULL);
    return done;
}

static int descriptor_of(phantomdb_completion_queue *queue) {
    int32_t descriptor = -1;
    CHECK_OK(phantomdb_completion_queue_descriptor(queue, &descriptor, &error), &error);
    return descriptor;
}

static bool is_readable(int descriptor) {
    struct pollfd watched = {.fd = descriptor, .events = POLLIN};
    return poll(&watched, 1, 0) == 1;
}

static void a_completion_has_what_its_call_brought(void) {
    phantomdb_pool *pool = pool_of(server.url, 2);
    phantomdb_completion_queue *queue = new_queue(NULL);
    int first, second, third, fourth, fifth;
    run(pool, PHANTOMDB_LIST_DATABASES, queue, &first);
    phantomdb_completion done = next_of(queue, &first, PHANTOMDB_OK, "");
    CHECK(done.connection == NULL && done.pool == NULL);
    CHECK_HAS(text_of(done.result), "[");
    CHECK_INT(phantomdb_result_free(done.result), PHANTOMDB_OK);

    const char *arguments[] = {"no such database"};
    phantomdb_completion_target target = target_of(queue, &second);
    CHECK_OK(phantomdb_pool_run_async(pool, PHANTOMDB_LIST_TABLES, arguments, 1,
                                      phantomdb_post_result(), &target, NULL, &error), &error);
    done = next_of(queue, &second, PHANTOMDB_ERR_HTTP, "no such database");
    CHECK_INT(done.error.http_status, 404);

    target = target_of(queue, &third);
    CHECK_OK(phantomdb_pool_acquire_async(pool, PHANTOMDB_POOL_TIMEOUT, phantomdb_post_connection(),
                                          &target, NULL, &error), &error);
    done = next_of(queue, &third, PHANTOMDB_OK, "");
    CHECK(done.result == NULL && done.pool == pool);
    phantomdb_connection *connection = done.connection;

    target = target_of(queue, &fourth);
    CHECK_OK(phantomdb_connection_run_async(connection, PHANTOMDB_HEALTH_CHECK, NULL, 0,
                                            phantomdb_post_result(), &target, NULL, &error), &error);
    done = next_of(queue, &fourth, PHANTOMDB_OK, "");
    CHECK_INT(phantomdb_result_free(done.result), PHANTOMDB_OK);
    CHECK_OK(phantomdb_connection_request_async(connection, "GET", "/health", NULL, 0,
                                                phantomdb_post_result(), &target, NULL, &error), &error);
    done = next_of(queue, &fourth, PHANTOMDB_OK, "");
    CHECK_INT(phantomdb_result_free(done.result), PHANTOMDB_OK);
    released(pool, connection);

    target = target_of(queue, &fifth);
    CHECK_OK(phantomdb_pool_close_async(pool, PHANTOMDB_POOL_TIMEOUT, phantomdb_post_close(), &target,
                                        &error), &error);
    done = next_of(queue, &fifth, PHANTOMDB_OK, "");
    CHECK(done.connection == NULL && done.result == NULL);
    CHECK(is_empty(queue));
    freed(queue);
}

static void a_request_that_needs_a_thread_is_finished_through_a_queue(void) {
    /* The first connection of a pool opens its socket at its first request. */
    phantomdb_pool_options options = options_for(server.url);
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_completion_queue *queue = new_queue(NULL);
    phantomdb_connection *connection = acquired(pool);
    phantomdb_step step;
    int mine;
    CHECK_OK(phantomdb_connection_start(connection, PHANTOMDB_HEALTH_CHECK, NULL, 0, &step, NULL, &error),
             &error);
    CHECK_INT(step.state, PHANTOMDB_STEP_NEEDS_THREAD);
    phantomdb_completion_target target = target_of(queue, &mine);
    CHECK_OK(phantomdb_connection_finish_async(connection, phantomdb_post_result(), &target, NULL, &error),
             &error);
    phantomdb_completion done = next_of(queue, &mine, PHANTOMDB_OK, "");
    CHECK_INT(phantomdb_result_free(done.result), PHANTOMDB_OK);
    released(pool, connection);
    closed(pool);
    freed(queue);
}

static void completions_come_in_the_order_in_which_their_calls_ended(void) {
    phantomdb_pool *pool = pool_of(server.url, 1);
    phantomdb_completion_queue *queue = new_queue(NULL);
    phantomdb_connection *connection = acquired(pool);
    int marks[5];
    phantomdb_ticket *tickets[5];
    for (int i = 0; i < 5; i++) tickets[i] = wait_for_one(pool, queue, &marks[i]);
    static const int order[] = {3, 0, 4, 2, 1};
    for (int i = 0; i < 5; i++) cancelled(tickets[order[i]]);
    phantomdb_completion done[3];
    CHECK_INT(take(queue, done, 3), 3);
    for (int i = 0; i < 3; i++) {
        CHECK(done[i].user_data == &marks[order[i]]);
        CHECK_CODE(done[i].error.code, PHANTOMDB_ERR_CANCELLED, &done[i].error, "waiting for a connection");
    }
    CHECK_INT(take(queue, done, 3), 2);
    CHECK(done[0].user_data == &marks[2] && done[1].user_data == &marks[1]);
    CHECK_INT(take(queue, done, 3), 0);
    /* They are over, and cancelling them again is nothing. */
    for (int i = 0; i < 5; i++) cancelled(tickets[i]);
    CHECK(is_empty(queue));
    released(pool, connection);
    closed(pool);
    freed(queue);
}

static void it_wakes_once_until_a_take_gets_fewer_than_there_is_room_for(void) {
    phantomdb_pool *pool = pool_of(server.url, 1);
    woken wake = {0};
    phantomdb_completion_queue *queue = new_queue(&wake);
    phantomdb_connection *connection = acquired(pool);
    phantomdb_completion done, all[3];
    int marks[4];
    for (int i = 0; i < 4; i++) wait_for_one(pool, queue, &marks[i]);
    CHECK_INT(wake.times, 0);
    released(pool, connection);
    /* On the thread that brought it about, which can know that it need not be woken. */
    CHECK_INT(wake.times, 1);
    CHECK(pthread_equal(wake.thread, pthread_self()));
    /* What the loop releases while it takes wakes nobody, though the queue is empty again and again. */
    for (int i = 0; i < 4; i++) {
        CHECK_INT(take(queue, &done, 1), 1);
        CHECK(done.user_data == &marks[i]);
        CHECK_CODE(done.error.code, PHANTOMDB_OK, &done.error, "");
        released(pool, done.connection);
    }
    CHECK_INT(wake.times, 1);
    CHECK(is_empty(queue));
    connection = acquired(pool);
    cancelled(wait_for_one(pool, queue, &marks[0]));
    CHECK_INT(wake.times, 2);
    cancelled(wait_for_one(pool, queue, &marks[1]));
    CHECK_INT(wake.times, 2);
    /* One take is enough: it does not fill its array. */
    CHECK_INT(take(queue, all, 3), 2);
    CHECK(all[0].user_data == &marks[0] && all[1].user_data == &marks[1]);
    cancelled(wait_for_one(pool, queue, &marks[2]));
    CHECK_INT(wake.times, 3);
    for (int i = 0; i < 2; i++) cancelled(wait_for_one(pool, queue, &marks[i]));
    /* This one does, so another follows, and nobody is to be woken before. */
    CHECK_INT(take(queue, all, 3), 3);
    cancelled(wait_for_one(pool, queue, &marks[0]));
    CHECK_INT(wake.times, 3);
    CHECK_INT(take(queue, all, 3), 1);
    released(pool, connection);
    closed(pool);
    freed(queue);
}

static void a_loop_at_work_is_not_woken_by_its_own_releases_and_cancels(void) {
    phantomdb_pool *pool = pool_of(server.url, 1);
    woken wake = {0};
    phantomdb_completion_queue *queue = new_queue(&wake);
    int descriptor = descriptor_of(queue);
    phantomdb_connection *connection = acquired(pool);
    int first, second;
    phantomdb_completion done;
    wait_for_one(pool, queue, &first);
    phantomdb_ticket *ticket = wait_for_one(pool, queue, &second);
    CHECK_OK(phantomdb_completion_queue_defer_wake(queue, &error), &error);
    released(pool, connection);
    cancelled(ticket);
    CHECK_INT(wake.times, 0);
    CHECK(!is_readable(descriptor));
    CHECK_INT(take(queue, &done, 1), 1);
    CHECK(done.user_data == &first && done.connection != NULL);
    connection = done.connection;
    CHECK_INT(take(queue, &done, 1), 1);
    CHECK(done.user_data == &second && done.error.code == PHANTOMDB_ERR_CANCELLED);
    /* The take that gets fewer ends it. */
    CHECK(is_empty(queue));
    cancelled(wait_for_one(pool, queue, &first));
    CHECK_INT(wake.times, 1);
    CHECK(is_readable(descriptor));
    released(pool, connection);
    closed(pool);
    freed(queue);
}

static void its_descriptor_is_readable_until_a_take_gets_fewer_than_there_is_room_for(void) {
    int before = descriptor_count();
    phantomdb_pool *pool = pool_of(server.url, 1);
    phantomdb_completion_queue *queue = new_queue(NULL);
    phantomdb_connection *connection = acquired(pool);
    phantomdb_completion done;
    int mark;
    cancelled(wait_for_one(pool, queue, &mark));
    /* It is made when it is first asked for, and knows of what came before. */
    int with_no_queue = descriptor_count();
    int descriptor = descriptor_of(queue);
    CHECK_INT(descriptor_count(), with_no_queue + 1);
    CHECK_INT(descriptor_of(queue), descriptor);
    CHECK(is_readable(descriptor));
    cancelled(wait_for_one(pool, queue, &mark));
    for (int i = 0; i < 2; i++) {
        CHECK_INT(take(queue, &done, 1), 1);
        CHECK(is_readable(descriptor));
    }
    CHECK(is_empty(queue));
    CHECK(!is_readable(descriptor));
    cancelled(wait_for_one(pool, queue, &mark));
    CHECK(is_readable(descriptor));
    phantomdb_completion both[2];
    CHECK_INT(take(queue, both, 2), 1);
    CHECK(!is_readable(descriptor));
    cancelled(wait_for_one(pool, queue, &mark));
    CHECK(is_readable(descriptor));
    released(pool, connection);
    closed(pool);
    freed(queue);
    CHECK_INT(descriptor_count(), before);
}

static void an_event_loop_waits_for_requests_by_poll(void) {
    enum { CROWD = 100 };
    phantomdb_pool *pool = pool_of(server.url, 4);
    phantomdb_completion_queue *queue = new_queue(NULL);
    struct pollfd watched = {.fd = descriptor_of(queue), .events = POLLIN};
    int times[CROWD] = {0};
    for (int i = 0; i < CROWD; i++) run(pool, PHANTOMDB_HEALTH_CHECK, queue, &times[i]);
    for (int open = CROWD; open > 0;) {
        if (!CHECK_INT(poll(&watched, 1, WAIT_LIMIT_MS), 1)) break;
        phantomdb_completion done[8];
        uint64_t count;
        do {
            count = take(queue, done, 8);
            for (uint64_t i = 0; i < count; i++, open--) {
                ++*(int *)done[i].user_data;
                CHECK_CODE(done[i].error.code, PHANTOMDB_OK, &done[i].error, "");
                CHECK_INT(phantomdb_result_free(done[i].result), PHANTOMDB_OK);
            }
        } while (count == 8);
    }
    for (int i = 0; i < CROWD; i++) CHECK_INT(times[i], 1);
    closed(pool);
    freed(queue);
}

static void each_of_two_queues_has_its_own(void) {
    phantomdb_pool *pool = pool_of(server.url, 2);
    woken wakes[2] = {0};
    phantomdb_completion_queue *queues[] = {new_queue(&wakes[0]), new_queue(&wakes[1])};
    int marks[2];
    run(pool, PHANTOMDB_HEALTH_CHECK, queues[1], &marks[1]);
    phantomdb_completion done = next_of(queues[1], &marks[1], PHANTOMDB_OK, "");
    phantomdb_result_free(done.result);
    CHECK(is_empty(queues[0]));
    CHECK_INT(wakes[0].times, 0);
    run(pool, PHANTOMDB_HEALTH_CHECK, queues[0], &marks[0]);
    done = next_of(queues[0], &marks[0], PHANTOMDB_OK, "");
    phantomdb_result_free(done.result);
    CHECK(is_empty(queues[1]));
    closed(pool);
    freed(queues[0]);
    freed(queues[1]);
}

typedef struct waits {
    phantomdb_completion_queue *queue;
    atomic_int is_over;
    int32_t code;
    uint64_t count;
    phantomdb_completion done;
} waits;

static void *wait_in_take(void *user_data) {
    waits *it = user_data;
    it->code = phantomdb_completion_queue_take(it->queue, INT64_MAX, &it->done, 1, &it->count, NULL);
    it->is_over = 1;
    return NULL;
}

static void a_thread_may_wait_in_take(void) {
    phantomdb_pool *pool = pool_of(server.url, 1);
    phantomdb_completion_queue *queue = new_queue(NULL);
    phantomdb_completion done;
    uint64_t count = 99;
    int64_t before = now_ms();
    CHECK_OK(phantomdb_completion_queue_take(queue, 50, &done, 1, &count, &error), &error);
    int64_t waited = now_ms() - before;
    CHECK_INT(count, 0);
    CHECK(waited >= 49 && waited < 50 + slack_ms());

    phantomdb_connection *connection = acquired(pool);
    int mark;
    phantomdb_ticket *ticket = wait_for_one(pool, queue, &mark);
    waits it = {.queue = queue};
    pthread_t thread;
    pthread_create(&thread, NULL, wait_in_take, &it);
    for (int64_t until = now_ms() + 20; now_ms() < until;) look_again();
    CHECK(!it.is_over);
    cancelled(ticket);
    pthread_join(thread, NULL);
    CHECK_INT(it.code, PHANTOMDB_OK);
    CHECK_INT(it.count, 1);
    CHECK(it.done.user_data == &mark);
    released(pool, connection);

    /* A queue that is freed ends the wait. */
    it = (waits){.queue = queue};
    pthread_create(&thread, NULL, wait_in_take, &it);
    for (int64_t until = now_ms() + 20; now_ms() < until;) look_again();
    freed(queue);
    pthread_join(thread, NULL);
    CHECK_INT(it.code, PHANTOMDB_ERR_INVALID_HANDLE);
    CHECK_INT(it.count, 0);
    closed(pool);
}

static void what_nobody_takes_goes_back_when_a_queue_is_freed(void) {
    static const fake_step steps[] = {
        {"HTTP/1.1 200 OK\r\n", 0, FAKE_KEEP, "{}"},
        {NULL, 0, FAKE_HOLD, NULL},
        {"HTTP/1.1 200 OK\r\n", 0, FAKE_KEEP, "{}"},
    };
    fake_server *fake = fake_server_start(steps, 3);
    phantomdb_pool *pool = pool_of(fake_server_url(fake), 2);
    woken wake = {0};
    phantomdb_completion_queue *queue = new_queue(&wake);
    int marks[3];
    /* A result and a connection lie in it, and a request and an acquire are under way. */
    run(pool, PHANTOMDB_HEALTH_CHECK, queue, &marks[0]);
    EVENTUALLY(wake.times == 1);
    at_rest(pool);
    phantomdb_ticket *request = run(pool, PHANTOMDB_HEALTH_CHECK, queue, &marks[1]);
    EVENTUALLY(fake_server_requests(fake) == 2);
    phantomdb_connection *connection = acquired(pool);
    wait_for_one(pool, queue, &marks[2]);
    released(pool, connection);
    CHECK_INT(status_of(pool).used, 2);
    phantomdb_ticket *acquire = wait_for_one(pool, queue, &marks[2]);
    freed(queue);
    /* The connection in the queue went to the acquire that waits, and then back: nobody takes it either. */
    EVENTUALLY(status_of(pool).used == 1 && status_of(pool).pending == 0);
    cancelled(acquire);
    cancelled(request);
    at_rest(pool);
    CHECK_INT(wake.times, 1);
    released(pool, acquired(pool));
    closed(pool);
    fake_server_stop(fake);
}

static void a_freed_queue_is_refused(void) {
    phantomdb_pool *pool = pool_of(server.url, 1);
    phantomdb_completion_queue *queue = new_queue(NULL);
    phantomdb_completion done;
    uint64_t count = 99;
    int32_t descriptor = 99;
    freed(queue);
    CHECK_CODE(phantomdb_completion_queue_free(queue, &error), PHANTOMDB_ERR_INVALID_HANDLE, &error,
               "queue: the handle has already been freed");
    CHECK_CODE(phantomdb_completion_queue_take(queue, 0, &done, 1, &count, &error),
               PHANTOMDB_ERR_INVALID_HANDLE, &error, "queue");
    CHECK_INT(count, 0);
    CHECK_CODE(phantomdb_completion_queue_descriptor(queue, &descriptor, &error),
               PHANTOMDB_ERR_INVALID_HANDLE, &error, "queue");
    CHECK_INT(descriptor, -1);
    phantomdb_completion_target target = target_of(queue, NULL);
    phantomdb_ticket *ticket = (phantomdb_ticket *)&done;
    CHECK_CODE(phantomdb_pool_run_async(pool, PHANTOMDB_HEALTH_CHECK, NULL, 0, phantomdb_post_result(),
                                        &target, &ticket, &error),
               PHANTOMDB_ERR_INVALID_HANDLE, &error, "queue");
    CHECK(ticket == NULL);
    closed(pool);
}

static void a_target_that_can_not_be_used_is_refused(void) {
    phantomdb_pool *pool = pool_of(server.url, 1);
    phantomdb_completion_queue *queue = new_queue(NULL);
    phantomdb_completion_target target = target_of(queue, NULL);
    CHECK_CODE(phantomdb_pool_run_async(pool, PHANTOMDB_HEALTH_CHECK, NULL, 0, phantomdb_post_result(),
                                        NULL, NULL, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "user_data: is NULL");
    target.reserved[1] = 1;
    CHECK_CODE(phantomdb_pool_acquire_async(pool, 1, phantomdb_post_connection(), &target, NULL, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "user_data: the target sets a member");
    target = target_of((phantomdb_completion_queue *)pool, NULL);
    CHECK_CODE(phantomdb_pool_close_async(pool, 0, phantomdb_post_close(), &target, &error),
               PHANTOMDB_ERR_INVALID_HANDLE, &error, "queue: the handle");
    phantomdb_completion done;
    uint64_t count;
    CHECK_CODE(phantomdb_completion_queue_take(queue, 0, &done, 0, &count, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "capacity");
    CHECK_CODE(phantomdb_completion_queue_take(queue, -1, &done, 1, &count, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "timeout_ms");
    CHECK(is_empty(queue));
    closed(pool);
    freed(queue);
}

static void a_closed_pool_ends_its_calls_in_the_queue(void) {
    phantomdb_pool *pool = pool_of(server.url, 1);
    phantomdb_completion_queue *queue = new_queue(NULL);
    phantomdb_connection *connection = acquired(pool);
    int marks[3];
    wait_for_one(pool, queue, &marks[0]);
    wait_for_one(pool, queue, &marks[1]);
    released(pool, connection);
    phantomdb_completion first = next_of(queue, &marks[0], PHANTOMDB_OK, "");
    CHECK_OK(phantomdb_pool_close_timeout(pool, 0, &error), &error);
    next_of(queue, &marks[1], PHANTOMDB_ERR_CLOSED, "closed");
    CHECK(is_empty(queue));
    CHECK_INT(phantomdb_pool_release(pool, first.connection, NULL), PHANTOMDB_ERR_CLOSED);
    freed(queue);
}

/* A callback of the program's that passes on what it is handed. */
static void on_result_pass_on(phantomdb_result *result, const phantomdb_error *what, void *user_data) {
    phantomdb_post_result()(result, what, user_data);
}

static void a_callback_may_post_what_it_was_handed(void) {
    phantomdb_pool *pool = pool_of(server.url, 1);
    phantomdb_completion_queue *queue = new_queue(NULL);
    int mark;
    phantomdb_completion_target target = target_of(queue, &mark);
    CHECK_OK(phantomdb_pool_run_async(pool, PHANTOMDB_HEALTH_CHECK, NULL, 0, on_result_pass_on, &target,
                                      NULL, &error), &error);
    phantomdb_completion done = next_of(queue, &mark, PHANTOMDB_OK, "");
    CHECK_INT(phantomdb_result_free(done.result), PHANTOMDB_OK);
    const char *arguments[] = {"no such database"};
    CHECK_OK(phantomdb_pool_run_async(pool, PHANTOMDB_LIST_TABLES, arguments, 1, on_result_pass_on, &target,
                                      NULL, &error), &error);
    next_of(queue, &mark, PHANTOMDB_ERR_HTTP, "no such database");
    /* If there is no queue to post it to, it is freed. */
    phantomdb_result *result = NULL;
    CHECK_OK(phantomdb_pool_run(pool, PHANTOMDB_HEALTH_CHECK, NULL, 0, &result, &error), &error);
    phantomdb_post_result()(result, NULL, NULL);
    CHECK_INT(phantomdb_result_free(result), PHANTOMDB_ERR_INVALID_HANDLE);
    closed(pool);
    freed(queue);
}

static atomic_int free_has_returned;

static void *free_meanwhile(void *queue) {
    freed(queue);
    free_has_returned = 1;
    return NULL;
}

static void when_free_has_returned_the_wake_function_does_not_run(void) {
    phantomdb_pool *pool = pool_of(server.url, 1);
    woken wake = {.is_held = true};
    phantomdb_completion_queue *queue = new_queue(&wake);
    run(pool, PHANTOMDB_HEALTH_CHECK, queue, NULL);
    EVENTUALLY(wake.times == 1);
    CHECK(!pthread_equal(wake.thread, pthread_self()));
    pthread_t thread;
    pthread_create(&thread, NULL, free_meanwhile, queue);
    for (int64_t until = now_ms() + 50; now_ms() < until && !free_has_returned;) look_again();
    CHECK(!free_has_returned);
    wake.may_return = true;
    pthread_join(thread, NULL);
    /* It can't wait for itself. */
    woken other = {0};
    queue = other.to_free = new_queue(&other);
    run(pool, PHANTOMDB_HEALTH_CHECK, queue, NULL);
    EVENTUALLY(other.times == 1 && other.code_of_free == PHANTOMDB_ERR_WOULD_DEADLOCK);
    closed(pool);
    freed(queue);
}

static void in_the_child(phantomdb_pool *pool, phantomdb_completion_queue *of_parent, int descriptor) {
    phantomdb_completion done;
    uint64_t count;
    int32_t other;
    CHECK_CODE(phantomdb_completion_queue_take(of_parent, 0, &done, 1, &count, &error),
               PHANTOMDB_ERR_INVALID_HANDLE, &error, "parent process");
    CHECK_CODE(phantomdb_completion_queue_descriptor(of_parent, &other, &error),
               PHANTOMDB_ERR_INVALID_HANDLE, &error, "parent process");
    CHECK_CODE(phantomdb_completion_queue_free(of_parent, &error), PHANTOMDB_ERR_INVALID_HANDLE, &error,
               "parent process");
    phantomdb_completion_target target = target_of(of_parent, NULL);
    CHECK_CODE(phantomdb_pool_run_async(pool, PHANTOMDB_HEALTH_CHECK, NULL, 0, phantomdb_post_result(),
                                        &target, NULL, &error),
               PHANTOMDB_ERR_INVALID_HANDLE, &error, "parent process");
    phantomdb_completion_queue *queue = new_queue(NULL);
    CHECK(descriptor_of(queue) != descriptor);
    run(pool, PHANTOMDB_HEALTH_CHECK, queue, &count);
    done = next_of(queue, &count, PHANTOMDB_OK, "");
    phantomdb_result_free(done.result);
    closed(pool);
    freed(queue);
}

static void a_forked_child_makes_queues_of_its_own(void) {
    phantomdb_pool *pool = pool_of(server.url, 2);
    phantomdb_completion_queue *queue = new_queue(NULL);
    int descriptor = descriptor_of(queue), mark;
    phantomdb_connection *connections[] = {acquired(pool), acquired(pool)};
    phantomdb_ticket *ticket = wait_for_one(pool, queue, &mark);
    int failures = check_failures();
    pid_t child = fork();
    if (child == 0) {
        in_the_child(pool, queue, descriptor);
        /* It ends as another program: valgrind takes what the parent's threads have for leaks of its own. */
        const char *name = check_failures() == failures ? "true" : "false";
        execlp(name, name, (char *)NULL);
        _exit(1);
    }
    int status = -1;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK_INT(status, 0);
    /* The parent notices nothing. */
    CHECK(!is_readable(descriptor));
    CHECK(is_empty(queue));
    cancelled(ticket);
    CHECK(is_readable(descriptor));
    next_of(queue, &mark, PHANTOMDB_ERR_CANCELLED, "");
    released(pool, connections[0]);
    released(pool, connections[1]);
    closed(pool);
    freed(queue);
}

/* Random calls of several threads, and several that take. */
enum { STRESS_THREADS = 6, TAKERS = 2, MOST_ROUNDS = 2000 };
static phantomdb_pool *stressed;
static phantomdb_completion_queue *stressed_queue;
static atomic_int ended[STRESS_THREADS * MOST_ROUNDS];
static atomic_int submitted, taken;
static atomic_bool all_are_submitted;

static void *stress(void *argument) {
    uint64_t number = (uint64_t)(uintptr_t)argument, state = number + 1;
    phantomdb_error e;
    for (int64_t i = 0; i < setting("STRESS_ROUNDS", MOST_ROUNDS); i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        uint32_t choice = (uint32_t)(state >> 40);
        phantomdb_ticket *ticket = NULL;
        phantomdb_connection *connection = NULL;
        atomic_int *mine = &ended[number * MOST_ROUNDS + (uint64_t)i];
        phantomdb_completion_target target = target_of(stressed_queue, mine);
        int64_t timeout = choice % 7 == 0 ? 1 : 30000;
        submitted++;
        switch (choice % 3) {
        case 0:
            CHECK_OK(phantomdb_pool_run_async(stressed, PHANTOMDB_HEALTH_CHECK, NULL, 0,
                                              phantomdb_post_result(), &target, &ticket, &e), &e);
            break;
        case 1:
            CHECK_OK(phantomdb_pool_acquire_async(stressed, timeout, phantomdb_post_connection(), &target,
                                                  &ticket, &e), &e);
            break;
        default:
            /* On a slow machine its time may be over before it returns. */
            if (phantomdb_pool_acquire_direct(stressed, timeout, phantomdb_post_connection(), &target,
                                              &connection, &ticket, &e) != PHANTOMDB_OK) {
                CHECK_INT(e.code, PHANTOMDB_ERR_TIMEOUT);
                submitted--;
                (*mine)++;
            } else if (connection != NULL) {
                released(stressed, connection);
                submitted--;
                (*mine)++;
            }
        }
        if (ticket != NULL && choice % 5 == 0) CHECK_OK(phantomdb_cancel(ticket, &e), &e);
    }
    return NULL;
}

static void *take_all(void *unused) {
    phantomdb_completion done[5];
    phantomdb_error e;
    while (!all_are_submitted || taken < submitted) {
        uint64_t count = 0;
        CHECK_OK(phantomdb_completion_queue_take(stressed_queue, 10, done, 5, &count, &e), &e);
        for (uint64_t i = 0; i < count; i++) {
            int32_t code = done[i].error.code;
            CHECK(code == PHANTOMDB_OK || code == PHANTOMDB_ERR_CANCELLED || code == PHANTOMDB_ERR_TIMEOUT);
            CHECK((code == PHANTOMDB_OK) == (done[i].connection != NULL || done[i].result != NULL));
            if (done[i].connection != NULL) released(stressed, done[i].connection);
            if (done[i].result != NULL) phantomdb_result_free(done[i].result);
            ++*(atomic_int *)done[i].user_data;
            taken++;
        }
    }
    return unused;
}

static void rule_06_each_call_is_completed_once_whatever_is_cancelled(void) {
    int threads_before = settled_thread_count(1);
    int descriptors_before = descriptor_count();
    phantomdb_pool_options options = options_for(server.url);
    options.max_connections = 4;
    options.max_waiters = UINT32_MAX;
    stressed = new_pool(&options);
    woken wake = {0};
    stressed_queue = new_queue(&wake);
    descriptor_of(stressed_queue);
    pthread_t threads[STRESS_THREADS], takers[TAKERS];
    for (int i = 0; i < TAKERS; i++) pthread_create(&takers[i], NULL, take_all, NULL);
    for (uintptr_t i = 0; i < STRESS_THREADS; i++) pthread_create(&threads[i], NULL, stress, (void *)i);
    for (int i = 0; i < STRESS_THREADS; i++) pthread_join(threads[i], NULL);
    all_are_submitted = true;
    for (int i = 0; i < TAKERS; i++) pthread_join(takers[i], NULL);
    CHECK_INT(taken, submitted);
    for (uint64_t i = 0; i < STRESS_THREADS; i++) {
        for (int64_t j = 0; j < setting("STRESS_ROUNDS", MOST_ROUNDS); j++) {
            CHECK_INT(ended[i * MOST_ROUNDS + (uint64_t)j], 1);
        }
    }
    CHECK(is_empty(stressed_queue));
    at_rest(stressed);
    closed(stressed);
    freed(stressed_queue);
    CHECK_INT(settled_thread_count(threads_before), threads_before);
    CHECK_INT(descriptor_count(), descriptors_before);
}

int main(void) {
    server = devserver_start(NULL);
    check_run("what a completion brings", a_completion_has_what_its_call_brought);
    check_run("a request that needs a thread", a_request_that_needs_a_thread_is_finished_through_a_queue);
    check_run("completions in order", completions_come_in_the_order_in_which_their_calls_ended);
    check_run("it wakes once until a take gets fewer",
              it_wakes_once_until_a_take_gets_fewer_than_there_is_room_for);
    check_run("own releases and cancels", a_loop_at_work_is_not_woken_by_its_own_releases_and_cancels);
    check_run("the descriptor",
              its_descriptor_is_readable_until_a_take_gets_fewer_than_there_is_room_for);
    check_run("an event loop", an_event_loop_waits_for_requests_by_poll);
    check_run("two queues", each_of_two_queues_has_its_own);
    check_run("a thread may wait in take", a_thread_may_wait_in_take);
    check_run("what nobody takes goes back", what_nobody_takes_goes_back_when_a_queue_is_freed);
    check_run("a freed queue is refused", a_freed_queue_is_refused);
    check_run("a target that can't be used", a_target_that_can_not_be_used_is_refused);
    check_run("a closed pool", a_closed_pool_ends_its_calls_in_the_queue);
    check_run("a callback may post", a_callback_may_post_what_it_was_handed);
    check_run("free waits for the wake function", when_free_has_returned_the_wake_function_does_not_run);
    check_run("a forked child", a_forked_child_makes_queues_of_its_own);
    check_run("each call is completed once", rule_06_each_call_is_completed_once_whatever_is_cancelled);
    devserver_stop(&server);
    return check_end();
}
