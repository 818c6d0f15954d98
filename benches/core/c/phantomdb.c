/* This library, through its C ABI, as a C program calls it. */
#include "contender.h"

#include <phantomdb.h>
#include <stdio.h>

static int refused(const phantomdb_error *error) {
    fprintf(stderr, "phantomdb: %s\n", error->message);
    return -1;
}

static phantomdb_pool *create(int connections, const char *host, int port, const char *path) {
    char url[512];
    snprintf(url, sizeof url, "http://%s:%d%s", host, port, path);
    phantomdb_error error;
    phantomdb_pool_options options;
    phantomdb_pool_options_init(&options, sizeof options);
    options.base_url = url;
    options.min_connections = (uint32_t)connections;
    options.max_connections = (uint32_t)connections;
    phantomdb_pool *pool;
    if (phantomdb_pool_create(&options, &pool, &error) != PHANTOMDB_OK) {
        refused(&error);
        return NULL;
    }
    return pool;
}

static void *open_phantomdb(int connections, const char *host, int port, const char *path) {
    return create(connections, host, port, path);
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

static int run_requests(void *pool, uint64_t count) {
    phantomdb_error error;
    for (uint64_t i = 0; i < count; i++) {
        phantomdb_connection *connection;
        phantomdb_result *result;
        uint64_t names = 0;
        if (phantomdb_pool_acquire(pool, &connection, &error) != PHANTOMDB_OK ||
            phantomdb_connection_list_databases(connection, &result, &error) != PHANTOMDB_OK ||
            phantomdb_pool_release(pool, connection, &error) != PHANTOMDB_OK ||
            phantomdb_result_item_count(result, &names, &error) != PHANTOMDB_OK) {
            return refused(&error);
        }
        phantomdb_result_free(result);
        if (names == 0) return -1;
    }
    return 0;
}

static void close_phantomdb(void *pool) {
    phantomdb_pool_close(pool, NULL);
}

const contender phantomdb_acquires = {open_phantomdb, run_acquires, close_phantomdb};
const contender phantomdb_requests = {open_phantomdb, run_requests, close_phantomdb};
