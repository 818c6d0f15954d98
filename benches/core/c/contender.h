/* A contender: something that is opened, does the same thing again and again, from any number of
 * threads, and is closed. src/contender.rs has the same struct. */
#ifndef CONTENDER_H
#define CONTENDER_H

#include <stddef.h>
#include <stdint.h>

typedef struct contender {
    /* Gives NULL if it can't be opened. `host`, `port` and `path` say where requests go, `ca_file`
     * whose certificates are good, or NULL for plain HTTP. */
    void *(*open)(int connections, const char *host, int port, const char *path,
                  const char *ca_file);
    /* Does it `count` times; gives 0 if all went well. */
    int (*run)(void *self, uint64_t count);
    void (*close)(void *self);
} contender;

/* Reads the names out of {"databases":[...]} and gives how many there are; -1 if it is not such
 * JSON. In Rust, by serde_json: one parser for all who have none of their own. */
int64_t bench_parse(const char *json, size_t length);

#endif
