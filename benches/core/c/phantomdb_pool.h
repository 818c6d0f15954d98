/* How the programs here make a pool. */
#ifndef PHANTOMDB_POOL_H
#define PHANTOMDB_POOL_H

#include <phantomdb.h>

/* A pool of so many connections; `ca_file` is NULL for plain HTTP. NULL if it can't be made. */
phantomdb_pool *bench_create(int connections, const char *host, int port, const char *path,
                             const char *ca_file);

#endif
