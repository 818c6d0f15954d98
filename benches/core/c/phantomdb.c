/* This library, through its C ABI, as a C program calls it. */
#include "contender.h"
#include "phantomdb_pool.h"

#include <stdio.h>

static int refused(const phantomdb_error *error) {
    fprintf(stderr, "phantomdb: %s\n", error->message);
    return -1;
}

phantomdb_pool *bench_create(int connections, const char *host, int port, const char *path,
                             const char *ca_file) {
    char url[512];
    snprintf(url, sizeof url, "%s://%s:%d%s", ca_file ? "https" : "http", host, port, path);
    phantomdb_error error;
    phantomdb_pool_options options;
    phantomdb_pool_options_init(&options, sizeof options);
    options.base_url = url;
    options.tls_ca_file = ca_file;
    options.min_connections = (uint32_t)connections;
    options.max_connections = (uint32_t)connections;
    phantomdb_pool *pool;
    if (phantomdb_pool_create(&options, &pool, &error) != PHANTOMDB_OK) {
        refused(&error);
        return NULL;
    }
    return pool;
}

static void *open_phantomdb(int connections, const char *host, int port, const char *path,
                            const char *ca_file) {
    return bench_create(connections, host, port, path, ca_file);
}

static int run_acquires(void *pool, uint64_t count) {
    phantomdb_error error;
    for (uint64_t i = 0; i < count; i++) {
        phantomdb_connection *connection;
        if (phantomdb_pool_acquire(pool, &connection, &error) != PHANTOMDB_OK ||
            phantomdb_pool_release(pool, connection, &error) != PHANTOMDB_OK) {
            return refused(&error);
        }
    }
    return 0;
}

/* Creates a database on the server; gives 0 if that went well. */
int bench_create_database(const char *host, int port, const char *ca_file) {
    phantomdb_error error;
    phantomdb_pool *pool = bench_create(1, host, port, "", ca_file);
    if (!pool) return -1;
    const char body[] = "{\"name\":\"production\"}";
    int32_t code = phantomdb_pool_request(pool, "POST", "/databases", body, sizeof body - 1, NULL,
                                          &error);
    phantomdb_pool_close(pool, NULL);
    return code == PHANTOMDB_OK ? 0 : refused(&error);
}

typedef int32_t give_back(phantomdb_pool *, phantomdb_connection *, phantomdb_error *);

static int run(void *pool, uint64_t count, give_back *give_back) {
    phantomdb_error error;
    for (uint64_t i = 0; i < count; i++) {
        phantomdb_connection *connection;
        phantomdb_result *result;
        uint64_t names = 0;
        if (phantomdb_pool_acquire(pool, &connection, &error) != PHANTOMDB_OK ||
            phantomdb_connection_list_databases(connection, &result, &error) != PHANTOMDB_OK ||
            give_back(pool, connection, &error) != PHANTOMDB_OK ||
            phantomdb_result_item_count(result, &names, &error) != PHANTOMDB_OK) {
            return refused(&error);
        }
        phantomdb_result_free(result);
        if (names == 0) return -1;
    }
    return 0;
}

static int run_requests(void *pool, uint64_t count) {
    return run(pool, count, phantomdb_pool_release);
}

/* Each on a connection of its own, as without a pool. */
static int run_reconnecting(void *pool, uint64_t count) {
    return run(pool, count, phantomdb_pool_discard);
}

static void close_phantomdb(void *pool) {
    phantomdb_pool_close(pool, NULL);
}

const contender phantomdb_acquires = {open_phantomdb, run_acquires, close_phantomdb};
const contender phantomdb_reconnecting = {open_phantomdb, run_reconnecting, close_phantomdb};
const contender phantomdb_requests = {open_phantomdb, run_requests, close_phantomdb};
