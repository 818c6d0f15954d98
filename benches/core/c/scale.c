/* Many connections, and many that wait: how long they take to make, to serve and to close, and how
 * much memory they take. */
#define _GNU_SOURCE
#include <malloc.h>
#include <phantomdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* src/scale.rs has the same. Seconds of the processor, which other programs don't lengthen, and bytes. */
typedef struct figures {
    double create, serve, close, heap;
} figures;

static double processor(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double heap(void) {
    struct mallinfo2 info = mallinfo2();
    return (double)(info.uordblks + info.hblkhd);
}

static int failed(const phantomdb_error *error) {
    fprintf(stderr, "scale: %s\n", error->message);
    return -1;
}

static uint32_t available(phantomdb_pool *pool) {
    phantomdb_status status;
    phantomdb_status_init(&status, sizeof status);
    return phantomdb_pool_status(pool, &status, NULL) == PHANTOMDB_OK ? status.available : 0;
}

/* A pool with so many connections open, each of which has served a request. */
int bench_scale_connections(const char *url, const char *ca_file, uint32_t count, figures *out) {
    phantomdb_error error;
    phantomdb_pool_options options;
    phantomdb_pool_options_init(&options, sizeof options);
    options.base_url = url;
    options.tls_ca_file = ca_file;
    options.min_connections = options.max_connections = count;
    options.max_connecting = 8;
    options.preconnect = 1;
    phantomdb_connection **held = calloc(count, sizeof *held);
    if (!held) abort();

    double heap_before = heap(), start = processor();
    phantomdb_pool *pool;
    if (phantomdb_pool_create(&options, &pool, &error) != PHANTOMDB_OK) return failed(&error);
    const struct timespec moment = {.tv_nsec = 1000000};
    while (available(pool) < count) nanosleep(&moment, NULL);
    out->create = processor() - start;

    start = processor();
    for (uint32_t i = 0; i < count; i++) {
        if (phantomdb_pool_acquire(pool, &held[i], &error) != PHANTOMDB_OK) return failed(&error);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (phantomdb_connection_list_databases(held[i], NULL, &error) != PHANTOMDB_OK ||
            phantomdb_pool_release(pool, held[i], &error) != PHANTOMDB_OK) {
            return failed(&error);
        }
    }
    out->serve = processor() - start;
    out->heap = heap() - heap_before;

    start = processor();
    if (phantomdb_pool_close(pool, &error) != PHANTOMDB_OK) return failed(&error);
    out->close = processor() - start;
    free(held);
    return 0;
}

static phantomdb_pool *crowded;
static atomic_uint served;

static void pass_on(phantomdb_connection *connection, const phantomdb_error *error, void *user_data) {
    (void)error, (void)user_data;
    if (connection) phantomdb_pool_release(crowded, connection, NULL);
    atomic_fetch_add(&served, 1);
}

/* So many that wait for one connection without a thread, each of whom passes it on to the next. */
int bench_scale_waiters(const char *url, uint32_t count, figures *out) {
    phantomdb_error error;
    phantomdb_pool_options options;
    phantomdb_pool_options_init(&options, sizeof options);
    options.base_url = url;
    options.min_connections = options.max_connections = 1;
    options.max_waiters = count;
    options.acquire_timeout_ms = 600000;
    if (phantomdb_pool_create(&options, &crowded, &error) != PHANTOMDB_OK) return failed(&error);
    phantomdb_connection *only;
    if (phantomdb_pool_acquire(crowded, &only, &error) != PHANTOMDB_OK) return failed(&error);
    atomic_store(&served, 0);

    double heap_before = heap(), start = processor();
    for (uint32_t i = 0; i < count; i++) {
        if (phantomdb_pool_acquire_async(crowded, PHANTOMDB_POOL_TIMEOUT, pass_on, NULL, NULL,
                                         &error) != PHANTOMDB_OK) {
            return failed(&error);
        }
    }
    out->create = processor() - start;
    out->heap = heap() - heap_before;

    start = processor();
    if (phantomdb_pool_release(crowded, only, &error) != PHANTOMDB_OK) return failed(&error);
    const struct timespec moment = {.tv_nsec = 1000000};
    while (atomic_load(&served) < count) nanosleep(&moment, NULL);
    out->serve = processor() - start;

    start = processor();
    if (phantomdb_pool_close(crowded, &error) != PHANTOMDB_OK) return failed(&error);
    out->close = processor() - start;
    return 0;
}
