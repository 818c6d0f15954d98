/* The state of one environment, from the first evaluation of a copy of lib/ until nothing of the copy
 * can be reached any more, or its thread of JavaScript ends. */
#include <stdlib.h>

#include "addon.h"

/* All that live, for the end of the process. */
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static environment *all;

void environment_hold(environment *it) {
    it->references++;
}

void environment_release(environment *it) {
    if (--it->references > 0) return;
    pthread_mutex_destroy(&it->lock);
    free(it);
}

void pool_entry_free(pool_entry *entry) {
    if (entry == NULL) return;
    environment_release(entry->env);
    free(entry);
}

/* process.exit in the main thread runs no clean-up hook, while threads of the library go on until
 * the very end of the process. */
static void at_exit(void) {
    pthread_mutex_lock(&all_lock);
    for (environment *it = all; it != NULL; it = it->next) waker_stop(it);
    pthread_mutex_unlock(&all_lock);
}

static void register_exit(void) {
    atexit(at_exit);
}

static void leave_list(environment *it) {
    pthread_mutex_lock(&all_lock);
    environment **place = &all;
    while (*place != it) place = &(*place)->next;
    *place = it->next;
    pthread_mutex_unlock(&all_lock);
}

/* The first part of an environment's end, on its thread: nobody is told of anything any more, and the
 * clients are given back. */
static void finish(environment *it) {
    it->is_over = true;
    leave_list(it);
    waker_stop(it);
    watcher_end(it->watcher);
    logs_free(logs_take(it));
    /* With what is in it, and what calls that are under way will bring. */
    phantomdb_completion_queue_free(it->queue, NULL);
    for (uint32_t i = 0; i < it->clients.count; i++) {
        phantomdb_connection *connection = numbered_get(&it->clients, i);
        if (connection == NULL) continue;
        phantomdb_pool_release(numbered_owner(&it->clients, i), connection, NULL);
    }
    numbered_free(&it->clients);
    for (uint32_t i = 0; i < it->readings.count; i++) {
        reading *left = numbered_get(&it->readings, i);
        if (left != NULL) reading_free(left);
    }
    numbered_free(&it->readings);
    for (uint32_t i = it->over_told; i < it->over_count; i++) {
        if (it->over[i].result != NULL) phantomdb_result_free(it->over[i].result);
    }
    free(it->over);
    free(it->uses);
    free(it->calls);
}

/* The thread of JavaScript ends. The pools end with it, before anything that they need does: callers
 * who would wait for them are gone, so connections in use are cut. */
static void clean_up(void *data) {
    environment *it = data;
    finish(it);
    for (uint32_t i = 0; i < it->pools.count; i++) {
        pool_entry *entry = numbered_get(&it->pools, i);
        if (entry == NULL) continue;
        phantomdb_pool_close_timeout(entry->pool, 0, NULL);
        pool_entry_free(entry);
    }
    numbered_free(&it->pools);
    environment_release(it);
}

static void on_abandoned_closed(const phantomdb_error *error, void *user_data) {
    (void)error;
    pool_entry_free(user_data);
}

/* Nothing of a copy of lib/ can be reached any more, so no call of it is under way. The thread goes on, and
 * must not wait for the pools. */
static void abandon(napi_env env, environment *it) {
    finish(it);
    for (uint32_t i = 0; i < it->pools.count; i++) {
        pool_entry *entry = numbered_get(&it->pools, i);
        if (entry == NULL) continue;
        phantomdb_error error;
        int32_t code = phantomdb_pool_close_async(entry->pool, 0, on_abandoned_closed, entry, &error);
        /* Without a thread for it, the pool stays open to the end of the process, and uses its entry. */
        if (code == PHANTOMDB_ERR_CLOSED || code == PHANTOMDB_ERR_INVALID_HANDLE) pool_entry_free(entry);
    }
    numbered_free(&it->pools);
    napi_remove_env_cleanup_hook(env, clean_up, it);
    napi_delete_reference(env, it->settle);
    napi_delete_reference(env, it->buffer);
    napi_release_threadsafe_function(it->waker, napi_tsfn_release);
    environment_release(it);
}

static void on_function_gone(napi_env env, void *data, void *unused) {
    (void)unused;
    environment *it = data;
    if (--it->functions == 0 && !it->is_over) abandon(env, it);
    environment_release(it);
}

bool environment_define(napi_env env, environment *it, napi_value object, const char *name,
                        napi_callback function) {
    napi_value made;
    if (napi_create_function(env, name, NAPI_AUTO_LENGTH, function, it, &made) != napi_ok ||
        napi_add_finalizer(env, made, it, on_function_gone, NULL, NULL) != napi_ok) {
        return false;
    }
    environment_hold(it);
    it->functions++;
    return napi_set_named_property(env, object, name, made) == napi_ok;
}

static void on_wake(napi_env env, napi_value unused, void *context, void *data) {
    (void)unused;
    (void)data;
    if (env != NULL) messages_deliver(env, context);
}

/* The waker may be gone before the clean-up hook has run, and after: runtimes differ. */
static void on_waker_gone(napi_env env, void *data, void *context) {
    (void)env;
    (void)data;
    waker_stop(context);
    environment_release(context);
}

/* hasRef(): whether the waker keeps the process alive. Tools that look for open handles ask for it. */
static napi_value has_ref(napi_env env, napi_callback_info info) {
    napi_value value;
    void *it;
    napi_get_cb_info(env, info, NULL, NULL, NULL, &it);
    napi_get_boolean(env, ((environment *)it)->open_calls > 0, &value);
    return value;
}

static void on_has_ref_gone(napi_env env, void *data, void *unused) {
    (void)env;
    (void)unused;
    environment_release(data);
}

bool environment_describe(napi_env env, environment *it, napi_value *name, napi_value *resource) {
    napi_value function;
    if (napi_create_string_utf8(env, "phantomdb", NAPI_AUTO_LENGTH, name) != napi_ok ||
        napi_create_object(env, resource) != napi_ok ||
        napi_create_function(env, "hasRef", NAPI_AUTO_LENGTH, has_ref, it, &function) != napi_ok ||
        napi_add_finalizer(env, function, it, on_has_ref_gone, NULL, NULL) != napi_ok) {
        return false;
    }
    environment_hold(it);
    return napi_set_named_property(env, *resource, "hasRef", function) == napi_ok;
}

static bool make_waker(napi_env env, environment *it) {
    napi_value name, resource;
    if (!environment_describe(env, it, &name, &resource) ||
        napi_create_threadsafe_function(env, NULL, resource, name, 0, 1, NULL, on_waker_gone, it,
                                        on_wake, &it->waker) != napi_ok) {
        return false;
    }
    environment_hold(it);
    return napi_unref_threadsafe_function(env, it->waker) == napi_ok;
}

environment *environment_begin(napi_env env) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    environment *it = calloc(1, sizeof *it);
    if (it == NULL) return NULL;
    pthread_mutex_init(&it->lock, NULL);
    it->references = 1;
    it->is_alive = true;
    it->thread = pthread_self();
    if (phantomdb_completion_queue_create(waker_wake, it, &it->queue, NULL) != PHANTOMDB_OK ||
        !make_waker(env, it) || napi_add_env_cleanup_hook(env, clean_up, it) != napi_ok) {
        phantomdb_completion_queue_free(it->queue, NULL);
        environment_release(it);
        return NULL;
    }
    pthread_once(&once, register_exit);
    pthread_mutex_lock(&all_lock);
    it->next = all;
    all = it;
    pthread_mutex_unlock(&all_lock);
    return it;
}
