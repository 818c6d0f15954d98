/* The calls of JavaScript, and the callbacks that end them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addon.h"

static message *message_new(environment *it, message_kind kind, uint32_t id, phantomdb_pool *pool) {
    message *made = calloc(1, sizeof *made);
    if (made == NULL) return NULL;
    made->env = it;
    made->kind = kind;
    made->id = id;
    made->pool = pool;
    environment_hold(it);
    return made;
}

void no_memory(environment *it, const char *what) {
    memset(&it->error, 0, sizeof it->error);
    it->error.code = PHANTOMDB_ERR_OVERLOADED;
    snprintf(it->error.message, sizeof it->error.message, "No memory is left for %s", what);
}

void message_free(message *it) {
    if (it->result != NULL) phantomdb_result_free(it->result);
    if (it->connection != NULL) phantomdb_pool_release(it->pool, it->connection, NULL);
    free(it->text);
    environment_release(it->env);
    free(it);
}

static bool has_room(environment *it, uint32_t id) {
    if (id < it->calls_capacity) return true;
    uint32_t capacity = it->calls_capacity ? 2 * it->calls_capacity : 64;
    while (capacity <= id) capacity *= 2;
    message **calls = realloc(it->calls, capacity * sizeof *calls);
    if (calls == NULL) return false;
    memset(calls + it->calls_capacity, 0, (capacity - it->calls_capacity) * sizeof *calls);
    it->calls = calls;
    it->calls_capacity = capacity;
    return true;
}

message *call_begin(napi_env env, environment *it, message_kind kind, uint32_t id,
                    phantomdb_pool *pool) {
    message *call = has_room(it, id) ? message_new(it, kind, id, pool) : NULL;
    if (call == NULL) {
        no_memory(it, "a call");
        return NULL;
    }
    it->calls[id] = call;
    /* A call that is under way keeps the process alive, and who waits for it; a pool does not. */
    if (it->open_calls++ == 0) {
        napi_ref_threadsafe_function(env, it->waker);
        napi_reference_ref(env, it->settle, NULL);
    }
    return call;
}

void call_end(napi_env env, message *call) {
    environment *it = call->env;
    it->calls[call->id] = NULL;
    if (--it->open_calls == 0) {
        napi_unref_threadsafe_function(env, it->waker);
        napi_reference_unref(env, it->settle, NULL);
    }
    message_free(call);
}

static void put_with(message *it, const phantomdb_error *error) {
    it->code = error->code;
    if (error->code != PHANTOMDB_OK) {
        it->http_status = error->http_status;
        it->retry_after_ms = error->retry_after_ms;
        it->retriable = error->retriable;
        it->text = strdup(error->message);
    }
    messages_put(it);
}

void on_connection(phantomdb_connection *connection, const phantomdb_error *error, void *user_data) {
    message *it = user_data;
    it->connection = connection;
    put_with(it, error);
}

void on_result(phantomdb_result *result, const phantomdb_error *error, void *user_data) {
    message *it = user_data;
    it->result = result;
    put_with(it, error);
}

void on_closed(const phantomdb_error *error, void *user_data) {
    put_with(user_data, error);
}

void on_log(int32_t level, const char *text, void *user_data) {
    pool_entry *entry = user_data;
    message *it = message_new(entry->env, MESSAGE_LOG, entry->number, entry->pool);
    if (it == NULL) return;
    it->code = level;
    it->text = strdup(text);
    messages_put(it);
}
