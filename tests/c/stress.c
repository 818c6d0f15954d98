/* Many threads on a small pool, doing all that callers do, at random. */
#include <pthread.h>
#include <stdatomic.h>

#include "devserver.h"
#include "support.h"

enum { THREADS = 16, CONNECTIONS = 4 };

static devserver server;
static phantomdb_pool *pool;
static atomic_int in_hand;
static atomic_int most_in_hand;
static atomic_llong acquired_count;
static atomic_llong timed_out_count;
static atomic_llong response_count;
static atomic_llong cancelled_count;

/* The same threads make the same choices in every run, though not in the same order. */
static uint32_t choice(uint64_t *state, uint32_t of) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*state >> 33) % of;
}

/* What one thread holds, so that another may interrupt it. */
static _Atomic(phantomdb_connection *) held[THREADS];

static void note_hand_out(void) {
    int now = ++in_hand;
    int most = most_in_hand;
    while (now > most && !atomic_compare_exchange_weak(&most_in_hand, &most, now)) continue;
}

static phantomdb_connection *get_one(uint64_t *state) {
    phantomdb_connection *connection = NULL;
    phantomdb_error error;
    int32_t code = PHANTOMDB_OK;
    switch (choice(state, 4)) {
    case 0: code = phantomdb_pool_try_acquire(pool, &connection, &error); break;
    case 1:
        code = phantomdb_pool_acquire_timeout(pool, choice(state, 3), &connection, &error);
        break;
    default: code = phantomdb_pool_acquire(pool, &connection, &error); break;
    }
    if (code == PHANTOMDB_ERR_WOULD_BLOCK || code == PHANTOMDB_ERR_TIMEOUT) timed_out_count++;
    else if (CHECK_OK(code, &error)) acquired_count++;
    return connection;
}

static void use_it(phantomdb_connection *connection, uint64_t *state) {
    phantomdb_error error;
    int32_t code =
        choice(state, 8) == 0
            ? phantomdb_connection_begin_transaction(connection, "stress", NULL, &error)
            : phantomdb_connection_execute_query(connection, "stress", "SELECT 1", NULL, NULL,
                                                 &error);
    /* Somebody else's interrupt may hit it. */
    if (code == PHANTOMDB_ERR_CANCELLED) cancelled_count++;
    else if (CHECK_OK(code, &error)) response_count++;
}

static void interrupt_somebody(uint64_t *state) {
    phantomdb_connection *other = held[choice(state, THREADS)];
    if (other == NULL) return;
    int32_t code = phantomdb_connection_interrupt(other, NULL);
    /* It may be released by now; the handle tells. */
    CHECK(code == PHANTOMDB_OK || code == PHANTOMDB_ERR_INVALID_HANDLE);
}

static void *work(void *argument) {
    uint64_t number = (uint64_t)(uintptr_t)argument;
    uint64_t state = number + 1;
    int64_t rounds = setting("STRESS_ROUNDS", 500);
    for (int64_t i = 0; i < rounds; i++) {
        phantomdb_connection *connection = get_one(&state);
        if (connection == NULL) continue;
        note_hand_out();
        held[number] = connection;
        use_it(connection, &state);
        if (choice(&state, 8) == 0) interrupt_somebody(&state);
        held[number] = NULL;
        in_hand--;
        phantomdb_error error;
        CHECK_OK(choice(&state, 16) == 0 ? phantomdb_pool_discard(pool, connection, &error)
                                         : phantomdb_pool_release(pool, connection, &error),
                 &error);
    }
    return NULL;
}

static void nothing_is_lost(void) {
    int threads_before = settled_thread_count(1);
    int descriptors_before = descriptor_count();
    phantomdb_pool_options options = options_for(server.url);
    options.max_connections = CONNECTIONS;
    pool = new_pool(&options);
    phantomdb_error error;
    const char body[] = "{\"name\":\"stress\"}";
    CHECK_OK(phantomdb_pool_request(pool, "POST", "/databases", (const uint8_t *)body,
                                    sizeof body - 1, NULL, &error), &error);
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, work, (void *)i);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    CHECK(most_in_hand <= CONNECTIONS);
    CHECK(acquired_count > 0);
    CHECK_INT(acquired_count, response_count + cancelled_count);
    at_rest(pool);

    /* Every connection that there may be can still be had. */
    phantomdb_connection *all[CONNECTIONS];
    for (int i = 0; i < CONNECTIONS; i++) all[i] = acquired(pool);
    CHECK_INT(status_of(pool).used, CONNECTIONS);
    for (int i = 0; i < CONNECTIONS; i++) {
        CHECK_OK(phantomdb_connection_list_databases(all[i], NULL, &error), &error);
        released(pool, all[i]);
    }
    closed(pool);
    CHECK_INT(settled_thread_count(threads_before), threads_before);
    CHECK_INT(descriptor_count(), descriptors_before);
}

int main(void) {
    server = devserver_start(NULL);
    check_run("nothing is lost", nothing_is_lost);
    devserver_stop(&server);
    return check_end();
}
