/* How long a waiting thread takes to get what another releases, and whether it is its turn. */
#define _GNU_SOURCE
#include "phantomdb_pool.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#define WAITERS 64
#define CONNECTIONS 4

static phantomdb_pool *pool;
static atomic_long released_at;
static atomic_long took;
static atomic_int served;
static atomic_int is_over;
static phantomdb_connection *_Atomic handed;

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

static void *wait_in_turn(void *number) {
    while (!atomic_load(&is_over)) {
        phantomdb_connection *connection;
        if (phantomdb_pool_acquire(pool, &connection, NULL) != PHANTOMDB_OK) return NULL;
        atomic_store(&took, now() - atomic_load(&released_at));
        atomic_store(&served, *(int *)number);
        atomic_store(&handed, connection);
    }
    return NULL;
}

/* Until so many wait; each must wait before the next comes, for the order to be known. */
static void wait_for_waiters(uint32_t count) {
    phantomdb_status status;
    phantomdb_status_init(&status, sizeof status);
    do {
        sched_yield();
        if (phantomdb_pool_status(pool, &status, NULL) != PHANTOMDB_OK) return;
    } while (status.pending != count);
}

/* Fills `nanoseconds` with how long each of `count` hand-offs took; gives how many were out of turn,
 * -1 if it failed. */
int64_t bench_handoff(const char *host, int port, uint32_t count, int64_t *nanoseconds) {
    static int numbers[WAITERS];
    pthread_t threads[WAITERS];
    phantomdb_connection *held[CONNECTIONS];
    pool = bench_create(CONNECTIONS, host, port, "", NULL);
    if (!pool) return -1;
    for (int i = 0; i < CONNECTIONS; i++) {
        if (phantomdb_pool_acquire(pool, &held[i], NULL) != PHANTOMDB_OK) return -1;
    }
    for (int i = 0; i < WAITERS; i++) {
        numbers[i] = i;
        if (pthread_create(&threads[i], NULL, wait_in_turn, &numbers[i]) != 0) return -1;
        wait_for_waiters((uint32_t)i + 1);
    }
    int64_t out_of_turn = 0;
    for (uint32_t i = 0; i < count; i++) {
        atomic_store(&handed, NULL);
        atomic_store(&released_at, now());
        if (phantomdb_pool_release(pool, held[i % CONNECTIONS], NULL) != PHANTOMDB_OK) return -1;
        while (!(held[i % CONNECTIONS] = atomic_load(&handed))) sched_yield();
        nanoseconds[i] = atomic_load(&took);
        out_of_turn += atomic_load(&served) != (int)(i % WAITERS);
        wait_for_waiters(WAITERS);
    }
    atomic_store(&is_over, 1);
    for (int i = 0; i < CONNECTIONS; i++) phantomdb_pool_release(pool, held[i], NULL);
    phantomdb_pool_close_timeout(pool, 0, NULL);
    for (int i = 0; i < WAITERS; i++) pthread_join(threads[i], NULL);
    return out_of_turn;
}
