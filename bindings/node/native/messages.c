/* What JavaScript is told: the outcomes of its calls, from the library's completion queue, and the
 * messages of its pools' logs. */
#include <stdlib.h>
#include <string.h>

#include "addon.h"

/* How many completions are taken at once. */
enum { TAKEN = 16 };

/* Messages that JavaScript is told at once. Their numbers are in the array that it sees. */
typedef struct batch {
    uint32_t count;
    /* NULL as long as none has a text. */
    napi_value texts;
} batch;

static int32_t *add(napi_env env, environment *state, batch *to, message_kind kind, uint32_t id,
                    const char *text) {
    int32_t *numbers = state->numbers + to->count * NUMBERS;
    memset(numbers, 0, NUMBERS * sizeof *numbers);
    numbers[0] = (int32_t)kind;
    numbers[1] = (int32_t)id;
    napi_value value = text != NULL ? text_to(env, text, strlen(text)) : NULL;
    if (value != NULL && to->texts == NULL) napi_create_array(env, &to->texts);
    if (value != NULL) napi_set_element(env, to->texts, to->count, value);
    to->count++;
    return numbers;
}

/* Puts what a call brought under a number, if it brought anything. False: no memory is left. */
static bool keep(environment *state, const phantomdb_completion *done, phantomdb_pool *pool,
                 uint32_t *number) {
    if (done->connection != NULL) {
        if (client_put(state, done->connection, pool, number)) return true;
        phantomdb_pool_release(pool, done->connection, NULL);
        return false;
    }
    if (done->result == NULL) return true;
    reading *made = reading_new(done->result);
    if (made == NULL) {
        phantomdb_result_free(done->result);
        return false;
    }
    if (numbered_put(&state->readings, made, NULL, number)) return true;
    reading_free(made);
    return false;
}

static message_kind kind_of(const phantomdb_completion *done) {
    if (done->result != NULL) return MESSAGE_RESULT;
    return done->connection != NULL ? MESSAGE_CONNECTION : MESSAGE_OUTCOME;
}

static void add_completion(napi_env env, environment *state, batch *to,
                           const phantomdb_completion *done) {
    const phantomdb_error *error = &done->error;
    uint32_t id = (uint32_t)(uintptr_t)done->user_data;
    const char *text = error->code != PHANTOMDB_OK ? error->message : NULL;
    int32_t *numbers = add(env, state, to, kind_of(done), id, text);
    error_show(error, numbers);
    if (!keep(state, done, state->calls[id].pool, (uint32_t *)&numbers[3])) {
        numbers[2] = PHANTOMDB_ERR_OVERLOADED;
    }
    call_end(env, state, id);
}

static void add_lines(napi_env env, environment *state, batch *to, log_line **lines) {
    while (*lines != NULL && to->count < BATCH) {
        log_line *line = *lines;
        *lines = line->next;
        add(env, state, to, MESSAGE_LOG, line->pool, line->text)[2] = line->level;
        free(line);
    }
}

static uint64_t take(environment *state, phantomdb_completion *done, uint64_t most) {
    uint64_t count = 0;
    phantomdb_completion_queue_take(state->queue, 0, done, most, &count, NULL);
    return count;
}

/* False once the queue is empty, which a take that gets fewer than it asks for shows: the next completion
 * wakes the loop then. */
static bool add_completions(napi_env env, environment *state, batch *to) {
    phantomdb_completion done[TAKEN];
    while (to->count < BATCH) {
        uint32_t room = BATCH - to->count;
        uint64_t most = room < TAKEN ? room : TAKEN, count = take(state, done, most);
        for (uint64_t i = 0; i < count; i++) add_completion(env, state, to, &done[i]);
        if (count < most) return false;
    }
    return true;
}

/* Of requests that went step by step. True: there are more. */
static bool add_over(napi_env env, environment *state, batch *to) {
    while (state->over_told < state->over_count && to->count < BATCH) {
        add_completion(env, state, to, &state->over[state->over_told++]);
    }
    if (state->over_told < state->over_count) return true;
    state->over_told = state->over_count = 0;
    return false;
}

/* JavaScript has come to its end, and nobody asks for the rest any more. */
static void drop_all(environment *state, log_line *lines) {
    phantomdb_completion done;
    logs_free(lines);
    while (take(state, &done, 1) > 0) {
        if (done.connection != NULL) phantomdb_pool_release(done.pool, done.connection, NULL);
        if (done.result != NULL) phantomdb_result_free(done.result);
    }
}

/* Tells of the next BATCH messages, and says whether there may be more. */
static bool tell_some(napi_env env, environment *state, log_line **lines, bool *is_over) {
    napi_handle_scope scope;
    napi_value settle = NULL, global, arguments[2];
    batch some = {.count = 0};
    if (napi_open_handle_scope(env, &scope) != napi_ok) return *is_over = true;
    /* Before a call ends, which may be the last one that keeps it. */
    napi_get_reference_value(env, state->settle, &settle);
    if (settle == NULL) {
        napi_close_handle_scope(env, scope);
        return *is_over = true;
    }
    add_lines(env, state, &some, lines);
    bool has_more = add_over(env, state, &some) || add_completions(env, state, &some);
    if (some.count > 0) {
        napi_get_global(env, &global);
        napi_create_uint32(env, some.count, &arguments[0]);
        arguments[1] = some.texts;
        napi_call_function(env, global, settle, some.texts != NULL ? 2 : 1, arguments, NULL);
    }
    napi_close_handle_scope(env, scope);
    napi_is_exception_pending(env, is_over);
    return has_more;
}

void messages_deliver(napi_env env, environment *state) {
    bool is_over = false;
    state->has_found = false;
    log_line *lines = logs_take(state);
    while (tell_some(env, state, &lines, &is_over) && !is_over) continue;
    if (is_over) drop_all(state, lines);
}
