/* The state of one environment: the main thread of JavaScript, or a worker. */
#include <stdlib.h>

#include "addon.h"

/* All that live, for the end of the process. */
static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static environment *all;

environment *environment_of(napi_env env) {
    void *it = NULL;
    napi_get_instance_data(env, &it);
    return it;
}

void environment_release(environment *it) {
    if (--it->references > 0) return;
    pthread_mutex_destroy(&it->lock);
    free(it);
}

/* From now on nobody rings the bell. */
static void go_deaf(environment *it) {
    pthread_mutex_lock(&it->lock);
    it->is_alive = false;
    pthread_mutex_unlock(&it->lock);
}

/* process.exit in the main thread runs no clean-up hook, while threads of the library go on until
 * the very end of the process. */
static void at_exit(void) {
    pthread_mutex_lock(&all_lock);
    for (environment *it = all; it != NULL; it = it->next) go_deaf(it);
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

/* The environment comes to its end, on its thread. Its pools go with it: callers who would wait
 * for them are gone, so connections in use are cut. */
static void clean_up(void *data) {
    environment *it = data;
    leave_list(it);
    go_deaf(it);
    for (message *first = inbox_take(it); first != NULL;) {
        message *next = first->next;
        message_free(first);
        first = next;
    }
    for (uint32_t i = 0; i < it->clients.count; i++) {
        phantomdb_connection *connection = numbered_get(&it->clients, i);
        if (connection == NULL) continue;
        phantomdb_pool_release(numbered_owner(&it->clients, i), connection, NULL);
    }
    for (uint32_t i = 0; i < it->pools.count; i++) {
        pool_entry *entry = numbered_get(&it->pools, i);
        if (entry == NULL) continue;
        phantomdb_pool_close_timeout(entry->pool, 0, NULL);
        free(entry);
    }
    numbered_free(&it->pools);
    numbered_free(&it->clients);
    free(it->calls);
    environment_release(it);
}

static void on_bell(napi_env env, napi_value unused, void *context, void *data) {
    (void)unused;
    (void)data;
    if (env != NULL) inbox_tell(env, context);
}

static bool make_bell(napi_env env, environment *it) {
    napi_value name;
    return napi_create_string_utf8(env, "phantomdb", NAPI_AUTO_LENGTH, &name) == napi_ok &&
           napi_create_threadsafe_function(env, NULL, NULL, name, 0, 1, NULL, NULL, it, on_bell,
                                           &it->bell) == napi_ok &&
           napi_unref_threadsafe_function(env, it->bell) == napi_ok;
}

environment *environment_begin(napi_env env) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    environment *it = calloc(1, sizeof *it);
    if (it == NULL) return NULL;
    pthread_mutex_init(&it->lock, NULL);
    it->references = 1;
    it->is_alive = true;
    it->thread = pthread_self();
    if (!make_bell(env, it) || napi_set_instance_data(env, it, NULL, NULL) != napi_ok ||
        napi_add_env_cleanup_hook(env, clean_up, it) != napi_ok) {
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
