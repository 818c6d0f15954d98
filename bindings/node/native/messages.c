/* How the library's threads reach JavaScript: they put messages in, and use a waker that wakes its
 * event loop. */
#include <stdlib.h>
#include <string.h>

#include "addon.h"

void messages_put(message *it) {
    environment *env = it->env;
    pthread_mutex_lock(&env->lock);
    if (!env->is_alive) {
        pthread_mutex_unlock(&env->lock);
        message_free(it);
        return;
    }
    it->next = NULL;
    if (env->last != NULL) env->last->next = it;
    else env->first = it;
    env->last = it;
    if (pthread_equal(pthread_self(), env->thread) && env->is_looking) {
        env->has_found = true;
    } else if (!env->has_rung) {
        /* Under the lock, and only while the environment lives: the waker is gone with it. */
        env->has_rung = true;
        napi_call_threadsafe_function(env->waker, NULL, napi_tsfn_nonblocking);
    }
    pthread_mutex_unlock(&env->lock);
}

message *messages_take(environment *it) {
    pthread_mutex_lock(&it->lock);
    message *first = it->first;
    it->first = it->last = NULL;
    it->has_rung = false;
    pthread_mutex_unlock(&it->lock);
    it->has_found = false;
    return first;
}

static int32_t clamped(int64_t number) {
    return number > INT32_MAX ? INT32_MAX : (int32_t)number;
}

/* Puts what a message brought under a number, if it brought anything. False: no memory is left. */
static bool keep(environment *it, message *told, uint32_t *number) {
    if (told->connection != NULL) {
        if (!numbered_put(&it->clients, told->connection, told->pool, number)) return false;
        told->connection = NULL;
    } else if (told->result != NULL) {
        reading *made = reading_new(told->result);
        if (made == NULL) return false;
        told->result = NULL;
        if (!numbered_put(&it->readings, made, NULL, number)) {
            reading_free(made);
            return false;
        }
    }
    return true;
}

/* Writes what JavaScript is told of one message, and gives its text. */
static napi_value write(napi_env env, environment *it, message *told, int32_t *numbers) {
    uint32_t number = (uint32_t)told->http_status;
    numbers[0] = (int32_t)told->kind;
    numbers[1] = (int32_t)told->id;
    numbers[2] = keep(it, told, &number) ? told->code : PHANTOMDB_ERR_OVERLOADED;
    numbers[3] = (int32_t)number;
    numbers[4] = clamped(told->retry_after_ms);
    numbers[5] = told->retriable;
    return told->text != NULL ? text_to(env, told->text, strlen(told->text)) : NULL;
}

/* Tells of the first BATCH messages, and gives the rest. */
static message *tell_some(napi_env env, environment *it, message *first) {
    napi_handle_scope scope;
    napi_value texts, settle, global, arguments[2];
    if (napi_open_handle_scope(env, &scope) != napi_ok) return first;
    /* Before a call ends, which may be the last one that keeps it. */
    settle = NULL;
    napi_get_reference_value(env, it->settle, &settle);
    if (settle == NULL) {
        napi_close_handle_scope(env, scope);
        return first;
    }
    napi_create_array(env, &texts);
    uint32_t count = 0;
    while (first != NULL && count < BATCH) {
        message *told = first;
        first = told->next;
        napi_value text = write(env, it, told, it->numbers + count * NUMBERS);
        if (text != NULL) napi_set_element(env, texts, count, text);
        if (told->kind != MESSAGE_LOG) call_end(env, told);
        else message_free(told);
        count++;
    }
    napi_get_global(env, &global);
    napi_create_uint32(env, count, &arguments[0]);
    arguments[1] = texts;
    napi_call_function(env, global, settle, 2, arguments, NULL);
    napi_close_handle_scope(env, scope);
    return first;
}

void messages_deliver(napi_env env, environment *it) {
    message *first = messages_take(it);
    while (first != NULL) {
        bool is_pending = false;
        message *rest = tell_some(env, it, first);
        napi_is_exception_pending(env, &is_pending);
        if (rest == first || is_pending) {
            /* JavaScript has come to its end; nobody asks for the rest any more. */
            for (first = rest; first != NULL; first = rest) {
                rest = first->next;
                message_free(first);
            }
            return;
        }
        first = rest;
    }
}
