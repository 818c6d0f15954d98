/* What the suites share: time, waiting for a condition, and the common steps of a pool. */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <phantomdb.h>
#include <stdbool.h>
#include <stdint.h>

#include "check.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Longer than anything here takes, so that a hang fails instead of passing late. */
#define WAIT_LIMIT_MS 20000

int64_t now_ms(void);

/* How much later than its deadline a call may return: machines are shared, and valgrind, which
 * says so by SLACK_MS in the environment, is slow. */
int64_t slack_ms(void);

/* A number from the environment, or the one given. */
int64_t setting(const char *name, int64_t otherwise);

/* How many threads and file descriptors this process has. */
int thread_count(void);

/* The same once it is as wanted, or after a while that no thread with work to do needs: the system
 * lists a thread for a moment longer than it takes to join it. */
int settled_thread_count(int wanted);

int descriptor_count(void);

/* Gives way for a moment between two looks at a condition that nothing announces. */
void look_again(void);

/* Waits until a condition holds; a failed check if it never does. */
#define EVENTUALLY(condition)                                                  \
    do {                                                                       \
        int64_t until = now_ms() + WAIT_LIMIT_MS;                                \
        while (!(condition) && now_ms() < until) look_again();                 \
        check_true(__FILE__, __LINE__, "eventually " #condition, (condition)); \
    } while (0)

/* The defaults for this server. */
phantomdb_pool_options options_for(const char *url);

/* The pool's numbers; all zero, and a failed check, if they are not available. */
phantomdb_status status_of(phantomdb_pool *pool);

/* What must succeed: a failed check, and NULL, if it does not. */
phantomdb_pool *new_pool(const phantomdb_pool_options *options);
phantomdb_connection *acquired(phantomdb_pool *pool);
void released(phantomdb_pool *pool, phantomdb_connection *connection);
void closed(phantomdb_pool *pool);

/* Waits until the pool is at rest: all its connections are free, and nobody waits. */
void at_rest(phantomdb_pool *pool);

/* Waits until the pool holds `total` connections, all of them free, and nobody waits. */
void settled(phantomdb_pool *pool, uint32_t total);

/* The JSON text of a result, valid until that is freed. */
const char *text_of(const phantomdb_result *result);

/* Checks a call's code and the error that it filled: the same code, with a message that has
 * `part` (which may be NULL), or no message if the call is to succeed. */
#define CHECK_CODE(call, expected, error, part) \
    check_code(__FILE__, __LINE__, #call, (call), (expected), (error), (part))
#define CHECK_OK(call, error) CHECK_CODE(call, PHANTOMDB_OK, error, "")
bool check_code(const char *file, int line, const char *said, int32_t code, int32_t expected,
                const phantomdb_error *error, const char *part);

#ifdef __cplusplus
}
#endif

#endif
