/* libzdb's pool, over SQLite in memory. */
#include "contender.h"

#include <stdlib.h>
#include <zdb.h>

typedef struct pool {
    URL_T url;
    ConnectionPool_T pool;
} pool;

static void *open_zdb(int connections, const char *host, int port, const char *path,
                      const char *ca_file) {
    (void)host, (void)port, (void)path, (void)ca_file;
    pool *self = calloc(1, sizeof *self);
    if (!self) abort();
    self->url = URL_new("sqlite:///:memory:");
    self->pool = ConnectionPool_new(self->url);
    ConnectionPool_setInitialConnections(self->pool, connections);
    ConnectionPool_setMaxConnections(self->pool, connections);
    ConnectionPool_start(self->pool);
    return self;
}

static int run(void *opaque, uint64_t count) {
    pool *self = opaque;
    for (uint64_t i = 0; i < count;) {
        /* It does not wait: a caller that finds none tries again. */
        Connection_T connection = ConnectionPool_getConnection(self->pool);
        if (!connection) continue;
        Connection_close(connection);
        i++;
    }
    return 0;
}

static void close_zdb(void *opaque) {
    pool *self = opaque;
    ConnectionPool_stop(self->pool);
    ConnectionPool_free(&self->pool);
    URL_free(&self->url);
    free(self);
}

const contender zdb_acquires = {open_zdb, run, close_zdb};
