/* The agent for C: calls that wait, each on a thread of its own. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "things.h"

/* In the place of a time that a command does not have. */
#define NO_TIMEOUT INT64_MIN

static void acquire(cJSON *command) {
    phantomdb_pool *pool = find(on_of(command)).pool;
    const int64_t timeout = number_of(command, "timeout", NO_TIMEOUT);
    phantomdb_error error;
    phantomdb_connection *connection;
    const int32_t code = timeout == NO_TIMEOUT
                             ? phantomdb_pool_acquire(pool, &connection, &error)
                             : phantomdb_pool_acquire_timeout(pool, timeout, &connection, &error);
    if (code == PHANTOMDB_OK) keep_client(command, pool, connection);
    else report_error(command, &error);
}

static void run(cJSON *command) {
    const thing on = find(on_of(command));
    const char *arguments[MOST_ARGUMENTS];
    uint64_t count;
    const int32_t operation = operation_of(command, arguments, &count);
    phantomdb_error error;
    phantomdb_result *result;
    if (on.connection != NULL) {
        phantomdb_connection_run(on.connection, operation, arguments, count, &result, &error);
    } else {
        phantomdb_pool_run(on.pool, operation, arguments, count, &result, &error);
    }
    report_result(command, result, &error);
}

static void request(cJSON *command) {
    const thing on = find(on_of(command));
    const char *method = text_of(command, "method"), *path = text_of(command, "path");
    const char *body = text_of(command, "body");
    const uint64_t length = body == NULL ? 0 : strlen(body);
    phantomdb_error error;
    phantomdb_result *result;
    if (on.connection != NULL) {
        phantomdb_connection_request(on.connection, method, path, body, length, &result, &error);
    } else {
        phantomdb_pool_request(on.pool, method, path, body, length, &result, &error);
    }
    report_result(command, result, &error);
}

static void close_pool(cJSON *command) {
    phantomdb_pool *pool = find(on_of(command)).pool;
    const int64_t timeout = number_of(command, "timeout", NO_TIMEOUT);
    phantomdb_error error;
    if (timeout == NO_TIMEOUT) phantomdb_pool_close(pool, &error);
    else phantomdb_pool_close_timeout(pool, timeout, &error);
    report_outcome(command, &error);
}

static void *work(void *argument) {
    cJSON *command = argument;
    if (is(command, "acquire")) {
        acquire(command);
    } else if (is(command, "run")) {
        run(command);
    } else if (is(command, "request")) {
        request(command);
    } else if (is(command, "close")) {
        close_pool(command);
    } else if (is(command, "end")) {
        end_all();
        report_nothing(command);
    } else if (!carry_out(command)) {
        fprintf(stderr, "there is no command %s\n", text_of(command, "do"));
        abort();
    }
    return NULL;
}

int main(void) {
    cJSON *command;
    while ((command = next_command()) != NULL) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, command) != 0) abort();
        pthread_detach(thread);
    }
    return 0;
}
