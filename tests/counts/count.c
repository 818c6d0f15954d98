/* count acquire|request TIMES URL: does it so often, and prints how often memory was allocated.
 * Run twice with different times, under a tool that counts, and the difference is what one costs. */
#include <phantomdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* glibc's own names of what is counted here. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static atomic_ulong allocations;

void *malloc(size_t size) {
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t size) {
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    return __libc_realloc(old, size);
}

int posix_memalign(void **place, size_t alignment, size_t size) {
    atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed);
    *place = __libc_memalign(alignment, size);
    return *place ? 0 : 12;
}

static phantomdb_error error;

static void must(int32_t code) {
    if (code == PHANTOMDB_OK) return;
    fprintf(stderr, "count: %s\n", error.message);
    exit(1);
}

static void acquire(phantomdb_pool *pool) {
    phantomdb_connection *connection;
    must(phantomdb_pool_acquire(pool, &connection, &error));
    must(phantomdb_pool_release(pool, connection, &error));
}

static void request(phantomdb_pool *pool) {
    phantomdb_connection *connection;
    phantomdb_result *result;
    uint64_t names;
    must(phantomdb_pool_acquire(pool, &connection, &error));
    must(phantomdb_connection_list_databases(connection, &result, &error));
    must(phantomdb_pool_release(pool, connection, &error));
    must(phantomdb_result_item_count(result, &names, &error));
    must(phantomdb_result_free(result));
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    void (*once)(phantomdb_pool *) = strcmp(argv[1], "request") == 0 ? request : acquire;
    phantomdb_pool_options options;
    phantomdb_pool_options_init(&options, sizeof options);
    if (argc > 3) options.base_url = argv[3];
    phantomdb_pool *pool;
    must(phantomdb_pool_create(&options, &pool, &error));
    for (long left = atol(argv[2]); left > 0; left--) once(pool);
    must(phantomdb_pool_close(pool, &error));
    printf("%lu\n", atomic_load(&allocations));
    return 0;
}
