/* The agent for C's calls that do not wait: one thread, whose event loop watches its input and a
 * completion queue. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "things.h"

static phantomdb_completion_queue *queue;

/* The tickets of the calls by the numbers of their commands. A stale one is harmless. */
enum { TICKETS = 1 << 16 };
static phantomdb_ticket *tickets[TICKETS];

static phantomdb_ticket **ticket_of(int64_t id) { return &tickets[id % TICKETS]; }

/* Reports what a call has come to. */
static void finish(const phantomdb_completion *done) {
    cJSON *command = done->user_data;
    if (done->connection != NULL) keep_client(command, done->pool, done->connection);
    else if (done->result != NULL) report_result(command, done->result, &done->error);
    else report_outcome(command, &done->error);
}

static void take_completions(void) {
    phantomdb_completion done[16];
    uint64_t count = 0;
    do {
        phantomdb_completion_queue_take(queue, 0, done, 16, &count, NULL);
        for (uint64_t i = 0; i < count; i++) finish(&done[i]);
    } while (count > 0);
}

/* Starts what the command says; false if it is another kind of command. */
static bool start(cJSON *command) {
    const thing on = find(on_of(command));
    phantomdb_ticket **ticket = ticket_of(number_of(command, "id", 0));
    phantomdb_error error;
    int32_t code;
    phantomdb_completion_target target = {.queue = queue, .user_data = command};
    if (is(command, "acquire")) {
        const int64_t timeout = number_of(command, "timeout", PHANTOMDB_POOL_TIMEOUT);
        code = phantomdb_pool_acquire_async(on.pool, timeout, phantomdb_post_connection(), &target,
                                            ticket, &error);
    } else if (is(command, "run")) {
        const char *arguments[MOST_ARGUMENTS];
        uint64_t count;
        const int32_t operation = operation_of(command, arguments, &count);
        code = on.connection != NULL
                   ? phantomdb_connection_run_async(on.connection, operation, arguments, count,
                                                    phantomdb_post_result(), &target, ticket, &error)
                   : phantomdb_pool_run_async(on.pool, operation, arguments, count,
                                              phantomdb_post_result(), &target, ticket, &error);
    } else if (is(command, "request")) {
        const char *method = text_of(command, "method"), *path = text_of(command, "path");
        const char *body = text_of(command, "body");
        const uint64_t length = body == NULL ? 0 : strlen(body);
        code = on.connection != NULL
                   ? phantomdb_connection_request_async(on.connection, method, path, body, length,
                                                        phantomdb_post_result(), &target, ticket,
                                                        &error)
                   : phantomdb_pool_request_async(on.pool, method, path, body, length,
                                                  phantomdb_post_result(), &target, ticket, &error);
    } else if (is(command, "close")) {
        const int64_t timeout = number_of(command, "timeout", PHANTOMDB_POOL_TIMEOUT);
        code = phantomdb_pool_close_async(on.pool, timeout, phantomdb_post_close(), &target, &error);
    } else {
        return false;
    }
    if (code != PHANTOMDB_OK) report_error(command, &error);
    return true;
}

static void cancel(cJSON *command) {
    phantomdb_error error;
    phantomdb_cancel(*ticket_of(number_of(command, "call", 0)), &error);
    report_outcome(command, &error);
}

static void carry_out_any(cJSON *command) {
    if (is(command, "cancel")) {
        cancel(command);
    } else if (is(command, "end")) {
        end_all();
        take_completions();
        report_nothing(command);
    } else if (!start(command) && !carry_out(command)) {
        fprintf(stderr, "there is no command %s\n", text_of(command, "do"));
        abort();
    }
}

int main(void) {
    struct pollfd watched[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.events = POLLIN}};
    if (phantomdb_completion_queue_create(NULL, NULL, &queue, NULL) != PHANTOMDB_OK ||
        phantomdb_completion_queue_descriptor(queue, &watched[1].fd, NULL) != PHANTOMDB_OK) {
        abort();
    }
    for (;;) {
        poll(watched, 2, has_command() ? 0 : -1);
        if (watched[1].revents != 0) take_completions();
        if (!has_command() && watched[0].revents == 0) continue;
        cJSON *command = next_command();
        if (command == NULL) break;
        carry_out_any(command);
    }
    phantomdb_completion_queue_free(queue, NULL);
    return 0;
}
