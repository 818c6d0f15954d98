/* libmongoc's client pool. Clients connect at their first operation, so none is needed here. */
#include "contender.h"

#include <mongoc/mongoc.h>

static void *open_mongoc(int connections, const char *host, int port, const char *path,
                         const char *ca_file) {
    (void)path, (void)ca_file;
    mongoc_init();
    /* Its monitor looks for a MongoDB, in vain. */
    mongoc_log_set_handler(NULL, NULL);
    char *text = bson_strdup_printf("mongodb://%s:%d/?maxPoolSize=%d&serverSelectionTryOnce=false",
                                    host, port, connections);
    mongoc_uri_t *uri = mongoc_uri_new(text);
    bson_free(text);
    if (!uri) return NULL;
    mongoc_client_pool_t *pool = mongoc_client_pool_new(uri);
    mongoc_uri_destroy(uri);
    return pool;
}

static int run(void *pool, uint64_t count) {
    for (uint64_t i = 0; i < count; i++) {
        mongoc_client_t *client = mongoc_client_pool_pop(pool);
        if (!client) return -1;
        mongoc_client_pool_push(pool, client);
    }
    return 0;
}

static void close_mongoc(void *pool) {
    mongoc_client_pool_destroy(pool);
}

const contender mongoc_acquires = {open_mongoc, run, close_mongoc};
