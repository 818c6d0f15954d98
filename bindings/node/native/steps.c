/* Requests that go step by step on JavaScript's thread, which its event loop goes on with when their sockets are
 * ready: no other thread takes part. What takes a thread or a while is left to the library: to open a socket, to
 * receive and read a large response, what another request follows on the same connection, and what is released. */
#include <stdlib.h>

#include "addon.h"

bool client_put(environment *state, phantomdb_connection *connection, phantomdb_pool *pool,
                uint32_t *number) {
    if (!numbered_put(&state->clients, connection, pool, number)) return false;
    if (*number >= state->uses_capacity) {
        uint32_t capacity = state->clients.capacity;
        client_use *uses = realloc(state->uses, capacity * sizeof *uses);
        if (uses == NULL) {
            numbered_drop(&state->clients, *number);
            return false;
        }
        for (uint32_t i = state->uses_capacity; i < capacity; i++) uses[i] = (client_use){.serial = 0};
        state->uses = uses;
        state->uses_capacity = capacity;
    }
    client_use *use = &state->uses[*number];
    *use = (client_use){.serial = use->serial + 1};
    return true;
}

void client_drop(environment *state, uint32_t number) {
    state->uses[number].serial++;
    numbered_drop(&state->clients, number);
}

/* Gives back what a request on a pool had for itself. */
static void release_own(environment *state, uint32_t number) {
    phantomdb_connection *connection = numbered_get(&state->clients, number);
    phantomdb_pool *pool = numbered_owner(&state->clients, number);
    client_drop(state, number);
    phantomdb_pool_release(pool, connection, NULL);
}

/* Room for the outcome of one more request, so that there always is. */
static bool reserve(environment *state) {
    if (state->over_count + state->stepping < state->over_capacity) return true;
    uint32_t capacity = state->over_capacity ? 2 * state->over_capacity : 16;
    phantomdb_completion *over = realloc(state->over, capacity * sizeof *over);
    if (over == NULL) return false;
    state->over = over;
    state->over_capacity = capacity;
    return true;
}

/* The request does not go step by step any more. */
static client_use *stop(environment *state, uint32_t id) {
    call *it = &state->calls[id];
    client_use *use = &state->uses[it->client];
    it->is_step = false;
    use->step = 0;
    state->stepping--;
    return use;
}

/* `error` is NULL if it went well. */
static void end(environment *state, uint32_t id, phantomdb_result *result, const phantomdb_error *error) {
    phantomdb_completion *done = &state->over[state->over_count++];
    done->user_data = (void *)(uintptr_t)id;
    done->connection = NULL;
    done->pool = NULL;
    done->result = result;
    if (error != NULL) {
        done->error = *error;
    } else {
        /* What is looked at of an error that is none. */
        done->error.code = PHANTOMDB_OK;
        done->error.http_status = 0;
        done->error.retry_after_ms = 0;
        done->error.retriable = false;
    }
    waker_wake(state);
}

/* The library goes on with it. */
static void leave(environment *state, uint32_t id) {
    call *it = &state->calls[id];
    uint32_t client = it->client;
    phantomdb_connection *connection = numbered_get(&state->clients, client);
    phantomdb_completion_target to;
    watcher_forget(state, id);
    client_use *use = stop(state, id);
    /* There is room for it since the call began. */
    call_prepare(state, id, &to);
    int32_t code = phantomdb_connection_finish_async(connection, phantomdb_post_result(), &to,
                                                     it->is_cancellable ? &it->ticket : NULL,
                                                     &state->error);
    if (code != PHANTOMDB_OK) {
        phantomdb_step step;
        phantomdb_result *result = NULL;
        end(state, id, NULL, &state->error);
        /* Nobody goes on with it. */
        phantomdb_connection_interrupt(connection, NULL);
        phantomdb_connection_resume_unread(connection, &step, &result, NULL);
        if (result != NULL) phantomdb_result_free(result);
    }
    if (use->is_own) release_own(state, client);
}

static void go_on(environment *state, uint32_t id, int32_t code, const phantomdb_step *step,
                  phantomdb_result *result) {
    if (code == PHANTOMDB_OK && step->state != PHANTOMDB_STEP_OVER) {
        /* What has more to do at once is large. */
        bool waits = step->state == PHANTOMDB_STEP_WAITS && step->events != 0;
        if (!waits || !watcher_wait(state, id, step)) leave(state, id);
        return;
    }
    uint32_t client = state->calls[id].client;
    client_use *use = stop(state, id);
    end(state, id, result, code != PHANTOMDB_OK ? &state->error : NULL);
    if (use->is_own) release_own(state, client);
}

void steps_resume(environment *state, uint32_t id) {
    phantomdb_connection *connection = numbered_get(&state->clients, state->calls[id].client);
    phantomdb_step step;
    phantomdb_result *result = NULL;
    int32_t code = phantomdb_connection_resume_unread(connection, &step, &result, &state->error);
    go_on(state, id, code, &step, result);
}

void steps_leave_client(environment *state, uint32_t client) {
    uint32_t step = state->uses[client].step;
    if (step != 0) leave(state, step - 1);
}

/* Counts a call among those of its client. */
static void count(environment *state, uint32_t id, uint32_t client) {
    call *it = &state->calls[id];
    client_use *use = &state->uses[client];
    it->has_client = true;
    it->client = client;
    it->serial = use->serial;
    use->pending++;
}

void steps_count_end(environment *state, uint32_t id) {
    const call *it = &state->calls[id];
    if (!it->has_client) return;
    client_use *use = &state->uses[it->client];
    if (use->serial == it->serial) use->pending--;
}

static int32_t ask_library(napi_env env, environment *state, const question *what, uint32_t id) {
    phantomdb_completion_target to;
    if (!call_prepare(state, id, &to)) return PHANTOMDB_ERR_OVERLOADED;
    phantomdb_ticket *made = NULL, **ticket = what->is_cancellable ? &made : NULL;
    phantomdb_result_callback post = phantomdb_post_result();
    const char *const *texts = what->texts;
    int32_t code;
    if (what->connection != NULL) {
        code = what->is_request
                   ? phantomdb_connection_request_async(what->connection, texts[0], texts[1], texts[2],
                                                        what->length, post, &to, ticket, &state->error)
                   : phantomdb_connection_run_async(what->connection, what->operation, texts,
                                                    what->count, post, &to, ticket, &state->error);
    } else {
        code = what->is_request
                   ? phantomdb_pool_request_async(what->pool, texts[0], texts[1], texts[2], what->length,
                                                  post, &to, ticket, &state->error)
                   : phantomdb_pool_run_async(what->pool, what->operation, texts, what->count, post, &to,
                                              ticket, &state->error);
    }
    if (code != PHANTOMDB_OK) return code;
    call_begin(env, state, id, what->pool, made);
    if (what->connection != NULL) count(state, id, what->client);
    return code;
}

static int32_t start(napi_env env, environment *state, const question *what, uint32_t id, bool is_own) {
    phantomdb_step step;
    phantomdb_result *result = NULL;
    phantomdb_completion_target unused;
    const char *const *texts = what->texts;
    if (!call_prepare(state, id, &unused)) return PHANTOMDB_ERR_OVERLOADED;
    int32_t code = what->is_request
                       ? phantomdb_connection_start_request(what->connection, texts[0], texts[1], texts[2],
                                                            what->length, &step, &result, &state->error)
                       : phantomdb_connection_start(what->connection, what->operation, texts, what->count,
                                                    &step, &result, &state->error);
    if (code != PHANTOMDB_OK) return code;
    call_begin(env, state, id, what->pool, NULL);
    count(state, id, what->client);
    state->calls[id].is_step = true;
    state->calls[id].is_cancellable = what->is_cancellable;
    state->uses[what->client].step = id + 1;
    state->uses[what->client].is_own = is_own;
    state->stepping++;
    go_on(state, id, code, &step, result);
    return code;
}

/* A request on a pool that has a connection free. */
static int32_t start_on_pool(napi_env env, environment *state, question *what, uint32_t id) {
    int32_t code = phantomdb_pool_acquire_direct(what->pool, PHANTOMDB_POOL_TIMEOUT, NULL, NULL,
                                                 &what->connection, NULL, &state->error);
    if (code != PHANTOMDB_OK) return code;
    if (what->connection == NULL) return ask_library(env, state, what, id);
    if (!client_put(state, what->connection, what->pool, &what->client)) {
        phantomdb_pool_release(what->pool, what->connection, NULL);
        what->connection = NULL;
        return ask_library(env, state, what, id);
    }
    code = start(env, state, what, id, true);
    if (code != PHANTOMDB_OK) release_own(state, what->client);
    return code;
}

int32_t steps_ask(napi_env env, environment *state, question *what, uint32_t id) {
    if (what->connection != NULL && state->uses[what->client].pending > 0) {
        /* It follows those that are under way. */
        steps_leave_client(state, what->client);
        return ask_library(env, state, what, id);
    }
    if (!watcher_begin(env, state) || !reserve(state)) return ask_library(env, state, what, id);
    if (what->connection == NULL) return start_on_pool(env, state, what, id);
    int32_t code = start(env, state, what, id, false);
    return code == PHANTOMDB_ERR_BUSY ? ask_library(env, state, what, id) : code;
}
