/* The agent for C's calls that do not wait: one thread, and callbacks that report. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "things.h"

/* A call under way: its command and, of an acquire, the pool. */
typedef struct call {
    cJSON *command;
    phantomdb_pool *pool;
} call;

/* The tickets of the calls by the numbers of their commands. A stale one is harmless. */
enum { TICKETS = 1 << 16 };
static phantomdb_ticket *tickets[TICKETS];

static phantomdb_ticket **ticket_of(int64_t id) { return &tickets[id % TICKETS]; }

static call *begin(cJSON *command, phantomdb_pool *pool) {
    call *it = malloc(sizeof *it);
    *it = (call){command, pool};
    return it;
}

/* Ends a call: gives its command. */
static cJSON *end(call *it) {
    cJSON *command = it->command;
    free(it);
    return command;
}

static void on_connection(phantomdb_connection *connection, const phantomdb_error *error,
                          void *user_data) {
    phantomdb_pool *pool = ((call *)user_data)->pool;
    cJSON *command = end(user_data);
    if (error->code == PHANTOMDB_OK) keep_client(command, pool, connection);
    else report_error(command, error);
}

static void on_result(phantomdb_result *result, const phantomdb_error *error, void *user_data) {
    report_result(end(user_data), result, error);
}

static void on_closed(const phantomdb_error *error, void *user_data) {
    report_outcome(end(user_data), error);
}

/* Starts what the command says; false if it is another kind of command. */
static bool start(cJSON *command) {
    const thing on = find(on_of(command));
    phantomdb_ticket **ticket = ticket_of(number_of(command, "id", 0));
    phantomdb_error error;
    int32_t code;
    call *it = begin(command, on.pool);
    if (is(command, "acquire")) {
        const int64_t timeout = number_of(command, "timeout", PHANTOMDB_POOL_TIMEOUT);
        code = phantomdb_pool_acquire_async(on.pool, timeout, on_connection, it, ticket, &error);
    } else if (is(command, "run")) {
        const char *arguments[MOST_ARGUMENTS];
        uint64_t count;
        const int32_t operation = operation_of(command, arguments, &count);
        code = on.connection != NULL
                   ? phantomdb_connection_run_async(on.connection, operation, arguments, count,
                                                    on_result, it, ticket, &error)
                   : phantomdb_pool_run_async(on.pool, operation, arguments, count, on_result, it,
                                              ticket, &error);
    } else if (is(command, "request")) {
        const char *method = text_of(command, "method"), *path = text_of(command, "path");
        const char *body = text_of(command, "body");
        const uint64_t length = body == NULL ? 0 : strlen(body);
        code = on.connection != NULL
                   ? phantomdb_connection_request_async(on.connection, method, path, body, length,
                                                        on_result, it, ticket, &error)
                   : phantomdb_pool_request_async(on.pool, method, path, body, length, on_result,
                                                  it, ticket, &error);
    } else if (is(command, "close")) {
        const int64_t timeout = number_of(command, "timeout", PHANTOMDB_POOL_TIMEOUT);
        code = phantomdb_pool_close_async(on.pool, timeout, on_closed, it, &error);
    } else {
        end(it);
        return false;
    }
    if (code != PHANTOMDB_OK) report_error(end(it), &error);
    return true;
}

static void cancel(cJSON *command) {
    phantomdb_error error;
    phantomdb_cancel(*ticket_of(number_of(command, "call", 0)), &error);
    report_outcome(command, &error);
}

int main(void) {
    cJSON *command;
    while ((command = next_command()) != NULL) {
        if (is(command, "cancel")) {
            cancel(command);
        } else if (is(command, "end")) {
            end_all();
            report_nothing(command);
        } else if (!start(command) && !carry_out(command)) {
            fprintf(stderr, "there is no command %s\n", text_of(command, "do"));
            abort();
        }
    }
    return 0;
}
