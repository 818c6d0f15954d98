/* The log of a pool: the library calls on_log on a thread of its own, which is lent to Python. It
 * knows the pool only until that is collected, so that a callback may lead back to its pool.
 *
 * At the end of the program Python would end such a thread in the midst of the library. So from then
 * on nobody is told any more. */
#include <stdlib.h>

#include "native.h"

struct log_target {
    /* Borrowed, and looked at only with the GIL; NULL once the pool is collected. */
    PyObject *pool;
};

static _Thread_local bool in_log;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned running;
static bool is_ended;

/* Threads that are not in the child may have held the lock. */
static void after_fork(void) {
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&changed, NULL);
    running = 0;
}

void logs_begin(void) {
    static bool is_registered;
    if (!is_registered) pthread_atfork(NULL, NULL, after_fork);
    is_registered = true;
    is_ended = false;
}

PyObject *logs_end(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
    Py_BEGIN_ALLOW_THREADS
    pthread_mutex_lock(&lock);
    is_ended = true;
    while (running > 0) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

static bool enter(void) {
    pthread_mutex_lock(&lock);
    bool may_run = !is_ended;
    if (may_run) running++;
    pthread_mutex_unlock(&lock);
    return may_run;
}

static void leave(void) {
    pthread_mutex_lock(&lock);
    running--;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

bool is_in_log(void) {
    return in_log;
}

log_target *log_target_new(PyObject *pool) {
    log_target *it = malloc(sizeof *it);
    if (it != NULL) it->pool = pool;
    else PyErr_NoMemory();
    return it;
}

void log_target_forget(log_target *it) {
    if (it != NULL) it->pool = NULL;
}

void log_target_free(log_target *it) {
    free(it);
}

static void tell(const log_target *it, int32_t level, const char *message) {
    PyObject *pool = it->pool;
    /* A pool whose last reference is gone may be on its way to be forgotten. */
    if (pool == NULL || Py_REFCNT(pool) == 0) return;
    Py_INCREF(pool);
    in_log = true;
    PyObject *done = PyObject_CallMethod(pool, "_tell", "is", (int)level, message);
    in_log = false;
    if (done == NULL) PyErr_WriteUnraisable(pool);
    Py_XDECREF(done);
    Py_DECREF(pool);
}

void on_log(int32_t level, const char *message, void *user_data) {
    if (!enter()) return;
    PyGILState_STATE state = PyGILState_Ensure();
    tell(user_data, level, message);
    PyGILState_Release(state);
    leave();
}
