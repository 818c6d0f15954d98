// What Go needs beside phantomdb.h: calls that return several values at once, and callbacks that
// never enter Go. Handles are uintptr_t here, because Go's pointers must lead somewhere.
#ifndef PHANTOMDB_GO_BRIDGE_H
#define PHANTOMDB_GO_BRIDGE_H

#ifndef __linux__
#error "phantomdb for Go is for Linux: it needs eventfd"
#endif

#include <phantomdb.h>
#include <stdbool.h>
#include <stdint.h>

// A call that is under way, and then its outcome. One belongs to each bridge_call's owner
// in Go, and is used again for other calls.
typedef struct bridge_call {
    // The next in a list of those that are done.
    struct bridge_call *next;
    // A cgo.Handle of the owner.
    uintptr_t owner;
    phantomdb_ticket *ticket;
    // What a request is on, and where that is released afterwards; 0 if nowhere.
    uintptr_t connection;
    uintptr_t pool;
    // A connection or a result.
    uintptr_t value;
    // To be freed, if there is one.
    phantomdb_error *error;
    // How far a request has come.
    phantomdb_step step;
} bridge_call;

// What a call has come to that does not wait.
typedef struct bridge_outcome {
    uintptr_t value;
    phantomdb_error *error;
} bridge_outcome;

typedef struct bridge_released {
    phantomdb_error *error;
    // The calls of others that it ended.
    bridge_call *done;
} bridge_released;

typedef struct bridge_numbers {
    phantomdb_status status;
    phantomdb_error *error;
} bridge_numbers;

typedef struct bridge_count {
    int64_t count;
    phantomdb_error *error;
} bridge_count;

// The text of a result, valid as long as it.
typedef struct bridge_text {
    const char *text;
    uint64_t length;
    phantomdb_error *error;
} bridge_text;

// The numbers of a table.
typedef struct bridge_shape {
    uint64_t row_count;
    uint64_t column_count;
    int64_t affected_rows;
    int64_t reported_rows;
    phantomdb_error *error;
} bridge_shape;

// What is read of a result value by value.
typedef enum bridge_part { BRIDGE_COLUMNS, BRIDGE_CELLS, BRIDGE_ITEMS } bridge_part;

enum { BRIDGE_CHUNK_VALUES = 256 };

// Some values of a result, and where the next are. The texts are of the result.
typedef struct bridge_chunk {
    uint64_t position;
    uint64_t count;
    phantomdb_value values[BRIDGE_CHUNK_VALUES];
} bridge_chunk;

// A socket that Go's poller watches, until the library closes it. It lives in C's memory until
// bridge_closed_sockets has given it.
typedef struct bridge_socket {
    struct bridge_socket *next;
    // A cgo.Handle of the owner.
    uintptr_t owner;
} bridge_socket;

typedef struct bridge_watched {
    int32_t descriptor;
    phantomdb_error *error;
} bridge_watched;

// Calls that end, and sockets that are closed, on threads of the library: the descriptor becomes
// readable when bridge_done or bridge_closed_sockets has some, once bridge_listen was given it. -1
// and errno if there are too few descriptors left for it, and for Go's poller.
int bridge_open(void);
void bridge_listen(int descriptor);
bridge_call *bridge_done(void);
bridge_socket *bridge_closed_sockets(void);

bridge_outcome bridge_create(const phantomdb_pool_options *options);
bridge_outcome bridge_try_acquire(uintptr_t pool);
// A connection, if an acquire would get one at once; else 0, and nothing has happened.
uintptr_t bridge_take(uintptr_t pool);
// With neither a value nor an error the call is under way.
bridge_outcome bridge_acquire(uintptr_t pool, bridge_call *call);
bridge_released bridge_release(uintptr_t pool, uintptr_t connection, bool discard);
// Returns the calls that it ended.
bridge_call *bridge_cancel(bridge_call *call);
phantomdb_error *bridge_close(uintptr_t pool, int64_t timeout_ms, bridge_call *call);

// Requests. The call has the connection, and the pool that it is released to when the request is over;
// both return the calls that are done by that. `texts` are the arguments one after the other: each a
// 1 and a text with its NUL, or a 0 for NULL.

// Starts it. Without a connection the call gets one of its pool, if an acquire would get one at once;
// else it has none afterwards, and nothing has happened.
bridge_call *bridge_start(int32_t operation, const char *texts, uint64_t count, bridge_call *call);
bridge_call *bridge_start_request(const char *texts, const void *body, uint64_t body_length,
                                  bridge_call *call);
// Goes on with it.
bridge_call *bridge_resume(bridge_call *call);
// Lets a thread of the library carry it on.
phantomdb_error *bridge_finish(bridge_call *call);
// Carries it on with this thread.
bridge_call *bridge_finish_here(bridge_call *call);
// Releases its connection, if there is a pool for it.
bridge_call *bridge_give_back(bridge_call *call);
// Look at the arguments, and do nothing else.
phantomdb_error *bridge_check(int32_t operation, const char *texts, uint64_t count);
phantomdb_error *bridge_check_request(const char *texts, const void *body, uint64_t body_length);

// A duplicate of the descriptor of the socket that a request waits for, which Go's poller takes for one
// that never blocks; bridge_block makes it again what it was. `socket`, if it is not NULL, will
// be among the closed ones if there is no error.
bridge_watched bridge_watch(const bridge_call *call, bridge_socket *socket);
void bridge_block(int descriptor);

// Counts an acquire that was cancelled before it began.
phantomdb_error *bridge_acquire_cancelled(uintptr_t pool);

bridge_numbers bridge_status(uintptr_t pool);
bridge_outcome bridge_stats(uintptr_t pool);
bridge_outcome bridge_metrics(uintptr_t pool);
phantomdb_error *bridge_reset(uintptr_t pool);
phantomdb_error *bridge_resize(uintptr_t pool, uint32_t min_connections, uint32_t max_connections);
phantomdb_error *bridge_set_token(uintptr_t pool, const char *token);
phantomdb_error *bridge_interrupt(uintptr_t connection);
phantomdb_error *bridge_set_owner(uintptr_t connection, const char *owner);

bridge_text bridge_read_text(uintptr_t result);
bridge_shape bridge_read_shape(uintptr_t result);
// The next values; fewer than the chunk has room for when there are no more.
phantomdb_error *bridge_read(uintptr_t result, bridge_part part, bridge_chunk *chunk);
bridge_count bridge_read_affected_rows(uintptr_t result);
void bridge_free_result(uintptr_t result);

// Lets phantomdbGoLog be told; `log` is a cgo.Handle.
void bridge_set_log(phantomdb_pool_options *options, uintptr_t log);

#endif
