/* How long health checks take beside large responses on one pool: what the thread that serves both does
 * with a large one is what the health check waits for. */
#define _GNU_SOURCE
#include "phantomdb_pool.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

/* Large responses that are always under way. */
#define LARGE 2
/* Ten health checks a second. */
#define PERIOD_NS 100000000L

static phantomdb_pool *pool;
static const char *path;
static bool is_select;
static atomic_int read_through;
static atomic_int under_way;
static atomic_bool is_over;
static atomic_bool has_failed;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t told = PTHREAD_COND_INITIALIZER;
static bool is_healthy;

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

static void on_large(phantomdb_result *result, const phantomdb_error *error, void *user_data);

static void ask_for_a_large_one(void) {
    const char *names[] = {"large", path, NULL};
    phantomdb_error error;
    int32_t code =
        is_select ? phantomdb_pool_run_async(pool, PHANTOMDB_SELECT, names, 3, on_large, NULL, NULL, &error)
                  : phantomdb_pool_request_async(pool, "GET", path, NULL, 0, on_large, NULL, NULL, &error);
    if (code == PHANTOMDB_OK) return;
    fprintf(stderr, "%s\n", error.message);
    atomic_store(&has_failed, true);
    atomic_fetch_sub(&under_way, 1);
}

static void on_large(phantomdb_result *result, const phantomdb_error *error, void *user_data) {
    (void)user_data;
    if (error->code != PHANTOMDB_OK) {
        fprintf(stderr, "%s\n", error->message);
        atomic_store(&has_failed, true);
    }
    phantomdb_result_free(result);
    atomic_fetch_add(&read_through, 1);
    if (atomic_load(&is_over) || atomic_load(&has_failed)) atomic_fetch_sub(&under_way, 1);
    else ask_for_a_large_one();
}

static void on_health(phantomdb_result *result, const phantomdb_error *error, void *user_data) {
    (void)user_data;
    phantomdb_result_free(result);
    if (error->code != PHANTOMDB_OK) atomic_store(&has_failed, true);
    pthread_mutex_lock(&lock);
    is_healthy = true;
    pthread_cond_signal(&told);
    pthread_mutex_unlock(&lock);
}

/* Fills `nanoseconds` with how long each of `count` health checks took, beside responses to `large` (a
 * table of a select, or a path that begins with "/"), or beside none if it is NULL. Gives how many of
 * these came meanwhile, or -1 if something failed. */
int64_t bench_beside(const char *host, int port, const char *large, uint32_t count, int64_t *nanoseconds) {
    pool = bench_create(LARGE + 1, host, port, "", NULL);
    if (!pool) return -1;
    path = large;
    is_select = large && large[0] != '/';
    atomic_store(&is_over, false);
    atomic_store(&has_failed, false);
    atomic_store(&read_through, 0);
    atomic_store(&under_way, large ? LARGE : 0);
    for (int i = 0; large && i < LARGE; i++) ask_for_a_large_one();
    long next = now();
    /* The first ones open their connections. */
    for (int64_t i = -3; i < count && !atomic_load(&has_failed); i++) {
        next += PERIOD_NS;
        struct timespec until = {next / 1000000000L, next % 1000000000L};
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        is_healthy = false;
        long began = now();
        if (phantomdb_pool_run_async(pool, PHANTOMDB_HEALTH_CHECK, NULL, 0, on_health, NULL, NULL, NULL)) {
            atomic_store(&has_failed, true);
            break;
        }
        pthread_mutex_lock(&lock);
        while (!is_healthy) pthread_cond_wait(&told, &lock);
        pthread_mutex_unlock(&lock);
        if (i >= 0) nanoseconds[i] = now() - began;
    }
    atomic_store(&is_over, true);
    while (atomic_load(&under_way) > 0) {
        struct timespec moment = {0, 1000000};
        nanosleep(&moment, NULL);
    }
    phantomdb_pool_close(pool, NULL);
    return atomic_load(&has_failed) ? -1 : atomic_load(&read_through);
}
