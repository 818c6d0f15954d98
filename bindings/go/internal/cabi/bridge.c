#include "bridge.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "_cgo_export.h"

// Those that ended on a thread of the library, the last first.
static _Atomic(bridge_call *) done;
static int wake_descriptor = -1;

// While a call of the program is under way that may end others: where those go. They need no wake-up,
// because the goroutine that made the call wakes the others itself.
static _Thread_local bridge_call **collected;

// The sockets that were closed since they were last looked for, the last first.
static _Atomic(bridge_socket *) closed;

// What Go's poller opens at its first use, without which the whole program ends: there must be as
// many descriptors left.
enum { DESCRIPTORS_OF_POLLER = 3 };

int bridge_open(void) {
    int descriptor = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (descriptor < 0) return -1;
    int others[DESCRIPTORS_OF_POLLER];
    int count = 0;
    while (count < DESCRIPTORS_OF_POLLER) {
        others[count] = fcntl(descriptor, F_DUPFD_CLOEXEC, 0);
        if (others[count] < 0) break;
        count++;
    }
    int error = errno;
    for (int i = 0; i < count; i++) close(others[i]);
    if (count == DESCRIPTORS_OF_POLLER) return descriptor;
    close(descriptor);
    errno = error;
    return -1;
}

void bridge_listen(int descriptor) { wake_descriptor = descriptor; }

// Turns a list around.
static bridge_call *reversed(bridge_call *list) {
    bridge_call *turned = NULL;
    while (list != NULL) {
        bridge_call *next = list->next;
        list->next = turned;
        turned = list;
        list = next;
    }
    return turned;
}

bridge_call *bridge_done(void) { return reversed(atomic_exchange(&done, NULL)); }

static void end(bridge_call *call) {
    if (collected != NULL) {
        call->next = *collected;
        *collected = call;
        return;
    }
    call->next = atomic_load(&done);
    while (!atomic_compare_exchange_weak(&done, &call->next, call)) continue;
    // With others before it, a wake-up is on its way already.
    if (call->next == NULL) eventfd_write(wake_descriptor, 1);
}

static phantomdb_error *copy_of(const phantomdb_error *error) {
    // The message is most of it, and seldom long.
    size_t size = offsetof(phantomdb_error, message) + strlen(error->message) + 1;
    phantomdb_error *copy = malloc(size);
    // As Go itself does without memory.
    if (copy == NULL) abort();
    return memcpy(copy, error, size);
}

static phantomdb_error *error_if(int32_t code, const phantomdb_error *error) {
    return code == PHANTOMDB_OK ? NULL : copy_of(error);
}

#define CALL(function, ...)                                    \
    phantomdb_error error;                                     \
    int32_t code = function(__VA_ARGS__, &error);              \
    return error_if(code, &error)

static phantomdb_pool *pool_of(uintptr_t handle) { return (phantomdb_pool *)handle; }

static phantomdb_connection *connection_of(uintptr_t handle) {
    return (phantomdb_connection *)handle;
}

static phantomdb_result *result_of(uintptr_t handle) { return (phantomdb_result *)handle; }

bridge_outcome bridge_create(const phantomdb_pool_options *options) {
    phantomdb_pool *pool;
    phantomdb_error error;
    int32_t code = phantomdb_pool_create(options, &pool, &error);
    return (bridge_outcome){.value = (uintptr_t)pool, .error = error_if(code, &error)};
}

bridge_outcome bridge_try_acquire(uintptr_t pool) {
    phantomdb_connection *connection;
    phantomdb_error error;
    int32_t code = phantomdb_pool_try_acquire(pool_of(pool), &connection, &error);
    return (bridge_outcome){.value = (uintptr_t)connection, .error = error_if(code, &error)};
}

uintptr_t bridge_take(uintptr_t pool) {
    phantomdb_connection *connection = NULL;
    phantomdb_pool_acquire_direct(pool_of(pool), PHANTOMDB_POOL_TIMEOUT, NULL, NULL, &connection,
                                  NULL, NULL);
    return (uintptr_t)connection;
}

static void on_acquired(phantomdb_connection *connection, const phantomdb_error *error,
                        void *user_data) {
    bridge_call *call = user_data;
    call->value = (uintptr_t)connection;
    call->error = error_if(error->code, error);
    end(call);
}

bridge_outcome bridge_acquire(uintptr_t pool, bridge_call *call) {
    phantomdb_connection *connection;
    phantomdb_error error;
    int32_t code =
        phantomdb_pool_acquire_direct(pool_of(pool), PHANTOMDB_POOL_TIMEOUT, on_acquired, call,
                                      &connection, &call->ticket, &error);
    return (bridge_outcome){.value = (uintptr_t)connection, .error = error_if(code, &error)};
}

bridge_released bridge_release(uintptr_t pool, uintptr_t connection, bool discard) {
    bridge_released released = {0};
    phantomdb_error error;
    collected = &released.done;
    int32_t code = (discard ? phantomdb_pool_discard : phantomdb_pool_release)(
        pool_of(pool), connection_of(connection), &error);
    collected = NULL;
    released.error = error_if(code, &error);
    released.done = reversed(released.done);
    return released;
}

bridge_call *bridge_cancel(bridge_call *call) {
    bridge_call *ended = NULL;
    collected = &ended;
    // It fails only if the call is over.
    phantomdb_cancel(call->ticket, NULL);
    collected = NULL;
    return reversed(ended);
}

static void on_closed(const phantomdb_error *error, void *user_data) {
    bridge_call *call = user_data;
    call->error = error_if(error->code, error);
    end(call);
}

phantomdb_error *bridge_close(uintptr_t pool, int64_t timeout_ms, bridge_call *call) {
    CALL(phantomdb_pool_close_async, pool_of(pool), timeout_ms, on_closed, call);
}

static void on_response(phantomdb_result *result, const phantomdb_error *error, void *user_data) {
    bridge_call *call = user_data;
    call->value = (uintptr_t)result;
    call->error = error_if(error->code, error);
    end(call);
}

// More than any operation takes, so that the library sees that it is too many.
enum { MOST_ARGUMENTS = 8 };

static uint64_t unpack(const char *texts, uint64_t count, const char **arguments) {
    if (count > MOST_ARGUMENTS) count = MOST_ARGUMENTS;
    for (uint64_t i = 0; i < count; i++) {
        arguments[i] = *texts == 0 ? NULL : texts + 1;
        texts += arguments[i] == NULL ? 1 : strlen(texts) + 1;
    }
    return count;
}

phantomdb_error *bridge_check(int32_t operation, const char *texts, uint64_t count) {
    const char *arguments[MOST_ARGUMENTS];
    count = unpack(texts, count, arguments);
    CALL(phantomdb_operation_check, operation, arguments, count);
}

phantomdb_error *bridge_check_request(const char *texts, const void *body, uint64_t body_length) {
    const char *of_line[2];
    unpack(texts, 2, of_line);
    CALL(phantomdb_request_check, of_line[0], of_line[1], body, body_length);
}

bridge_call *bridge_give_back(bridge_call *call) {
    if (call->pool == 0) return NULL;
    bridge_call *ended = NULL;
    collected = &ended;
    // It fails only if the pool is closed, and has it back already.
    phantomdb_pool_release(pool_of(call->pool), connection_of(call->connection), NULL);
    collected = NULL;
    return reversed(ended);
}

// Notes what a step has come to, and releases the connection if the request is over.
static bridge_call *note(int32_t code, phantomdb_result *result, const phantomdb_error *error,
                         bridge_call *call) {
    call->value = (uintptr_t)result;
    call->error = error_if(code, error);
    return call->step.state == PHANTOMDB_STEP_OVER ? bridge_give_back(call) : NULL;
}

static bool has_connection(bridge_call *call) {
    if (call->connection == 0) call->connection = bridge_take(call->pool);
    return call->connection != 0;
}

bridge_call *bridge_start(int32_t operation, const char *texts, uint64_t count, bridge_call *call) {
    if (!has_connection(call)) return NULL;
    const char *arguments[MOST_ARGUMENTS];
    count = unpack(texts, count, arguments);
    phantomdb_result *result = NULL;
    phantomdb_error error;
    int32_t code = phantomdb_connection_start(connection_of(call->connection), operation, arguments,
                                              count, &call->step, &result, &error);
    return note(code, result, &error, call);
}

bridge_call *bridge_start_request(const char *texts, const void *body, uint64_t body_length,
                                  bridge_call *call) {
    if (!has_connection(call)) return NULL;
    const char *of_line[2];
    unpack(texts, 2, of_line);
    phantomdb_result *result = NULL;
    phantomdb_error error;
    int32_t code =
        phantomdb_connection_start_request(connection_of(call->connection), of_line[0], of_line[1],
                                           body, body_length, &call->step, &result, &error);
    return note(code, result, &error, call);
}

bridge_call *bridge_resume(bridge_call *call) {
    phantomdb_result *result = NULL;
    phantomdb_error error;
    int32_t code =
        phantomdb_connection_resume(connection_of(call->connection), &call->step, &result, &error);
    return note(code, result, &error, call);
}

bridge_call *bridge_finish_here(bridge_call *call) {
    phantomdb_result *result = NULL;
    phantomdb_error error;
    int32_t code = phantomdb_connection_finish(connection_of(call->connection), &result, &error);
    call->step.state = PHANTOMDB_STEP_OVER;
    return note(code, result, &error, call);
}

phantomdb_error *bridge_finish(bridge_call *call) {
    CALL(phantomdb_connection_finish_async, connection_of(call->connection), on_response, call,
         &call->ticket);
}

static int change_blocking(int descriptor, bool blocks) {
    int flags = fcntl(descriptor, F_GETFL);
    return fcntl(descriptor, F_SETFL, blocks ? flags & ~O_NONBLOCK : flags | O_NONBLOCK);
}

static void on_socket_closed(uint64_t number, void *user_data) {
    (void)number;
    bridge_socket *socket = user_data;
    socket->next = atomic_load(&closed);
    while (!atomic_compare_exchange_weak(&closed, &socket->next, socket)) continue;
    // With others before it, a wake-up is on its way already.
    if (socket->next == NULL) eventfd_write(wake_descriptor, 1);
}

bridge_socket *bridge_closed_sockets(void) { return atomic_exchange(&closed, NULL); }

bridge_watched bridge_watch(const bridge_call *call, bridge_socket *socket) {
    bridge_watched watched = {0};
    phantomdb_error error;
    int32_t code = phantomdb_connection_watch_socket(connection_of(call->connection),
                                                     socket == NULL ? NULL : on_socket_closed,
                                                     socket, &watched.descriptor, &error);
    watched.error = error_if(code, &error);
    if (code == PHANTOMDB_OK) change_blocking(watched.descriptor, false);
    return watched;
}

void bridge_block(int descriptor) { change_blocking(descriptor, true); }

phantomdb_error *bridge_acquire_cancelled(uintptr_t pool) {
    CALL(phantomdb_pool_acquire_cancelled, pool_of(pool));
}

bridge_numbers bridge_status(uintptr_t pool) {
    bridge_numbers numbers;
    phantomdb_error error;
    phantomdb_status_init(&numbers.status, sizeof numbers.status);
    int32_t code = phantomdb_pool_status(pool_of(pool), &numbers.status, &error);
    numbers.error = error_if(code, &error);
    return numbers;
}

bridge_outcome bridge_stats(uintptr_t pool) {
    phantomdb_result *result = NULL;
    phantomdb_error error;
    int32_t code = phantomdb_pool_stats_json(pool_of(pool), &result, &error);
    return (bridge_outcome){.value = (uintptr_t)result, .error = error_if(code, &error)};
}

bridge_outcome bridge_metrics(uintptr_t pool) {
    phantomdb_result *result = NULL;
    phantomdb_error error;
    int32_t code = phantomdb_pool_metrics(pool_of(pool), &result, &error);
    return (bridge_outcome){.value = (uintptr_t)result, .error = error_if(code, &error)};
}

phantomdb_error *bridge_reset(uintptr_t pool) { CALL(phantomdb_pool_reset, pool_of(pool)); }

phantomdb_error *bridge_resize(uintptr_t pool, uint32_t min_connections,
                               uint32_t max_connections) {
    CALL(phantomdb_pool_resize, pool_of(pool), min_connections, max_connections);
}

phantomdb_error *bridge_set_token(uintptr_t pool, const char *token) {
    CALL(phantomdb_pool_set_token, pool_of(pool), token);
}

phantomdb_error *bridge_interrupt(uintptr_t connection) {
    CALL(phantomdb_connection_interrupt, connection_of(connection));
}

phantomdb_error *bridge_set_owner(uintptr_t connection, const char *owner) {
    CALL(phantomdb_connection_set_owner, connection_of(connection), owner);
}

bridge_text bridge_read_text(uintptr_t result) {
    bridge_text text = {0};
    phantomdb_error error;
    int32_t code = phantomdb_result_text(result_of(result), &text.text, &text.length, &error);
    text.error = error_if(code, &error);
    return text;
}

bridge_shape bridge_read_shape(uintptr_t handle) {
    phantomdb_result *result = result_of(handle);
    bridge_shape shape = {0};
    phantomdb_error error;
    int32_t code = phantomdb_result_row_count(result, &shape.row_count, &error);
    if (code == PHANTOMDB_OK) code = phantomdb_result_column_count(result, &shape.column_count, &error);
    if (code == PHANTOMDB_OK) {
        code = phantomdb_result_affected_rows(result, &shape.affected_rows, &error);
    }
    if (code == PHANTOMDB_OK) {
        code = phantomdb_result_reported_row_count(result, &shape.reported_rows, &error);
    }
    shape.error = error_if(code, &error);
    return shape;
}

phantomdb_error *bridge_read(uintptr_t handle, bridge_part part, bridge_chunk *chunk) {
    phantomdb_result *result = result_of(handle);
    phantomdb_error error;
    int32_t code;
    switch (part) {
    case BRIDGE_COLUMNS:
        code = phantomdb_result_read_columns(result, &chunk->position, chunk->values,
                                             BRIDGE_CHUNK_VALUES, &chunk->count, &error);
        break;
    case BRIDGE_CELLS:
        code = phantomdb_result_read_cells(result, &chunk->position, chunk->values,
                                           BRIDGE_CHUNK_VALUES, &chunk->count, &error);
        break;
    default:
        code = phantomdb_result_read_items(result, &chunk->position, chunk->values,
                                           BRIDGE_CHUNK_VALUES, &chunk->count, &error);
    }
    return error_if(code, &error);
}

bridge_count bridge_read_affected_rows(uintptr_t result) {
    bridge_count outcome = {0};
    phantomdb_error error;
    int32_t code = phantomdb_result_affected_rows(result_of(result), &outcome.count, &error);
    outcome.error = error_if(code, &error);
    return outcome;
}

void bridge_free_result(uintptr_t result) { phantomdb_result_free(result_of(result)); }

static void on_log(int32_t level, const char *message, void *user_data) {
    phantomdbGoLog(level, (char *)message, (uintptr_t)user_data);
}

void bridge_set_log(phantomdb_pool_options *options, uintptr_t log) {
    options->log = on_log;
    options->log_user_data = (void *)log;
}
