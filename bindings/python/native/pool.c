/* A pool: the base of the classes of phantomdb.pool and phantomdb.aio. */
#include "native.h"

static pool_object *pool_of(PyObject *self) {
    return (pool_object *)self;
}

static PyObject *none_or(int32_t code, const phantomdb_error *error) {
    if (code != PHANTOMDB_OK) return raise_error(error);
    Py_RETURN_NONE;
}

/* What has been read of the options may have run code of Python, which may have opened it. */
static PyObject *create(pool_object *it, phantomdb_pool_options *options, PyTypeObject *client_type,
                        bool logs) {
    if (it->client_type != NULL) {
        PyErr_SetString(PyExc_TypeError, "a pool is opened once: its __init__ has run already");
        return NULL;
    }
    log_target *log = NULL;
    if (logs) {
        log = log_target_new((PyObject *)it);
        if (log == NULL) return NULL;
        options->log = on_log;
        options->log_user_data = log;
    }
    phantomdb_error error;
    if (phantomdb_pool_create(options, &it->handle, &error) != PHANTOMDB_OK) {
        log_target_free(log);
        return raise_error(&error);
    }
    it->log = log;
    Py_INCREF(client_type);
    it->client_type = client_type;
    Py_RETURN_NONE;
}

/* _open(client_type, options, logs) */
static PyObject *pool_open(PyObject *self, PyObject *arguments) {
    pool_object *it = pool_of(self);
    PyObject *client_type, *given;
    int logs;
    if (!PyArg_ParseTuple(arguments, "O!O!p", &PyType_Type, &client_type, &PyDict_Type, &given, &logs)) {
        return NULL;
    }
    if (!PyType_IsSubtype((PyTypeObject *)client_type, connection_type)) {
        PyErr_SetString(PyExc_TypeError, "a pool needs a type of clients");
        return NULL;
    }
    phantomdb_pool_options options;
    PyObject *held = options_read(given, &options);
    if (held == NULL) return NULL;
    PyObject *done = create(it, &options, (PyTypeObject *)client_type, logs);
    Py_DECREF(held);
    return done;
}

/* Waits, if it must, for what `direct` has not brought at once. */
static bool acquire_handle(pool_object *it, int64_t timeout, phantomdb_connection **connection) {
    phantomdb_error error;
    if (is_in_log()) {
        int32_t code = timeout == PHANTOMDB_POOL_TIMEOUT
                           ? phantomdb_pool_acquire(it->handle, connection, &error)
                           : phantomdb_pool_acquire_timeout(it->handle, timeout, connection, &error);
        if (code != PHANTOMDB_OK) raise_error(&error);
        return code == PHANTOMDB_OK;
    }
    waiter waiter;
    waiter_begin(&waiter, it->handle);
    int32_t code = phantomdb_pool_acquire_direct(it->handle, timeout, wake_with_connection, &waiter,
                                                 connection, &waiter.ticket, &error);
    if (code != PHANTOMDB_OK) {
        raise_error(&error);
    } else if (*connection == NULL && waiter_wait(&waiter)) {
        *connection = waiter.connection;
        if (*connection == NULL) raise_error(&waiter.error);
    }
    waiter_end(&waiter);
    return *connection != NULL;
}

/* _acquire(timeout, owner) */
static PyObject *pool_acquire(PyObject *self, PyObject *arguments) {
    pool_object *it = pool_of(self);
    PyObject *timeout = PyTuple_GetItem(arguments, 0);
    PyObject *owner = PyTuple_GetItem(arguments, 1);
    int64_t milliseconds;
    if (timeout == NULL || owner == NULL || !timeout_of(timeout, &milliseconds)) return NULL;
    texts all = {.count = 0};
    if (owner != Py_None && !texts_add(&all, owner, "owner")) return NULL;
    connection_object *client = connection_new(it);
    if (client != NULL && !acquire_handle(it, milliseconds, &client->handle)) Py_CLEAR(client);
    if (client != NULL && all.count > 0) {
        phantomdb_connection_set_owner(client->handle, all.values[0], NULL);
    }
    texts_free(&all);
    return (PyObject *)client;
}

static PyObject *pool_try_acquire(PyObject *self, PyObject *unused) {
    (void)unused;
    phantomdb_error error;
    connection_object *client = connection_new(pool_of(self));
    if (client != NULL &&
        phantomdb_pool_try_acquire(client->pool_handle, &client->handle, &error) != PHANTOMDB_OK) {
        Py_DECREF(client);
        return raise_error(&error);
    }
    return (PyObject *)client;
}

static PyObject *give_back(PyObject *self, PyObject *client,
                           int32_t (*how)(phantomdb_pool *, phantomdb_connection *, phantomdb_error *)) {
    phantomdb_error error;
    phantomdb_pool *pool = client != NULL ? pool_handle(pool_of(self)) : NULL;
    phantomdb_connection *handle = pool != NULL ? connection_take(client, pool_of(self)) : NULL;
    if (handle == NULL) return NULL;
    release_begin();
    int32_t code = how(pool, handle, &error);
    release_end();
    /* A closed pool took it back itself; to complain in a `finally` would hide what was raised. */
    return none_or(code == PHANTOMDB_ERR_CLOSED ? PHANTOMDB_OK : code, &error);
}

static PyObject *pool_release(PyObject *self, PyObject *arguments, PyObject *named) {
    return give_back(self, only_argument(arguments, named, "connection"), phantomdb_pool_release);
}

static PyObject *pool_discard(PyObject *self, PyObject *arguments, PyObject *named) {
    return give_back(self, only_argument(arguments, named, "connection"), phantomdb_pool_discard);
}

static PyObject *pool_run(PyObject *self, PyObject *arguments) {
    phantomdb_pool *pool = pool_handle(pool_of(self));
    return pool != NULL ? run((target){.pool = pool}, arguments) : NULL;
}

static PyObject *pool_request(PyObject *self, PyObject *arguments) {
    phantomdb_pool *pool = pool_handle(pool_of(self));
    return pool != NULL ? request((target){.pool = pool}, arguments) : NULL;
}

static bool read_status(PyObject *self, phantomdb_status *status) {
    phantomdb_error error;
    phantomdb_pool *pool = pool_handle(pool_of(self));
    if (pool == NULL) return false;
    phantomdb_status_init(status, sizeof *status);
    if (phantomdb_pool_status(pool, status, &error) == PHANTOMDB_OK) return true;
    raise_error(&error);
    return false;
}

static PyObject *pool_get_status(PyObject *self, PyObject *unused) {
    (void)unused;
    phantomdb_status it;
    if (!read_status(self, &it)) return NULL;
    return Py_BuildValue("{sIsIsIsI}", "available", it.available, "used", it.used, "min", it.min, "max",
                         it.max);
}

static PyObject *pool_status(PyObject *self, PyObject *unused) {
    (void)unused;
    phantomdb_status it;
    if (!read_status(self, &it)) return NULL;
    return Py_BuildValue("{sIsIsIsIsIsI}", "available", it.available, "used", it.used, "pending",
                         it.pending, "total", it.total, "min", it.min, "max", it.max);
}

/* Of statistics, which are JSON, or a text. */
static PyObject *value_from(PyObject *self,
                            int32_t (*read)(phantomdb_pool *, phantomdb_result **, phantomdb_error *)) {
    phantomdb_error error;
    phantomdb_result *result = NULL;
    phantomdb_pool *pool = pool_handle(pool_of(self));
    if (pool == NULL) return NULL;
    if (read(pool, &result, &error) != PHANTOMDB_OK) return raise_error(&error);
    return value_of_result(result, SHAPE_ANY);
}

static PyObject *pool_stats(PyObject *self, PyObject *unused) {
    (void)unused;
    return value_from(self, phantomdb_pool_stats_json);
}

static PyObject *pool_metrics(PyObject *self, PyObject *unused) {
    (void)unused;
    return value_from(self, phantomdb_pool_metrics);
}

static PyObject *pool_reset(PyObject *self, PyObject *unused) {
    (void)unused;
    phantomdb_error error;
    phantomdb_pool *pool = pool_handle(pool_of(self));
    return pool != NULL ? none_or(phantomdb_pool_reset(pool, &error), &error) : NULL;
}

static PyObject *pool_resize(PyObject *self, PyObject *arguments, PyObject *named) {
    static char *names[] = {"min_connections", "max_connections", NULL};
    PyObject *counts[2];
    uint32_t numbers[2];
    phantomdb_error error;
    if (!PyArg_ParseTupleAndKeywords(arguments, named, "OO:resize", names, &counts[0], &counts[1])) {
        return NULL;
    }
    for (int i = 0; i < 2; i++) {
        if (!count_of(counts[i], names[i], &numbers[i])) return NULL;
    }
    phantomdb_pool *pool = pool_handle(pool_of(self));
    if (pool == NULL) return NULL;
    return none_or(phantomdb_pool_resize(pool, numbers[0], numbers[1], &error), &error);
}

static PyObject *pool_set_token(PyObject *self, PyObject *arguments, PyObject *named) {
    texts all = {.count = 0};
    phantomdb_error error;
    PyObject *token = only_argument(arguments, named, "token");
    phantomdb_pool *pool = token != NULL ? pool_handle(pool_of(self)) : NULL;
    if (pool == NULL || !texts_add(&all, token, "token")) return NULL;
    int32_t code = phantomdb_pool_set_token(pool, all.values[0], &error);
    texts_free(&all);
    return none_or(code, &error);
}

static PyObject *close_waiting(phantomdb_pool *pool, int64_t timeout) {
    int32_t code;
    phantomdb_error error;
    Py_BEGIN_ALLOW_THREADS
    code = timeout == PHANTOMDB_POOL_TIMEOUT ? phantomdb_pool_close(pool, &error)
                                             : phantomdb_pool_close_timeout(pool, timeout, &error);
    Py_END_ALLOW_THREADS
    return none_or(code, &error);
}

static PyObject *close_in_main_thread(phantomdb_pool *pool, int64_t timeout) {
    waiter waiter;
    phantomdb_error error;
    PyObject *done = NULL;
    waiter_begin(&waiter, pool);
    if (phantomdb_pool_close_async(pool, timeout, wake_closed, &waiter, &error) != PHANTOMDB_OK) {
        raise_error(&error);
    } else if (waiter_wait(&waiter)) {
        done = none_or(waiter.error.code, &waiter.error);
    }
    waiter_end(&waiter);
    return done;
}

/* _close(timeout) */
static PyObject *pool_close(PyObject *self, PyObject *timeout) {
    int64_t milliseconds;
    phantomdb_pool *pool = pool_handle(pool_of(self));
    if (pool == NULL || !timeout_of(timeout, &milliseconds)) return NULL;
    return is_main_thread() ? close_in_main_thread(pool, milliseconds)
                            : close_waiting(pool, milliseconds);
}

static void on_forgotten_closed(const phantomdb_error *error, void *user_data) {
    (void)error;
    log_target_free(user_data);
}

static bool is_closed(phantomdb_pool *pool) {
    phantomdb_status status;
    phantomdb_status_init(&status, sizeof status);
    return phantomdb_pool_status(pool, &status, NULL) == PHANTOMDB_ERR_CLOSED;
}

/* Of a pool that is collected, closed or not. None of its clients is left, so there is nothing to
 * wait for; the thread may be in its log callback, where nothing may wait. It may come a second time:
 * a subclass may have a __del__ that does not call ours. */
static void pool_finalize(PyObject *self) {
    pool_object *it = pool_of(self);
    if (it->handle == NULL) return;
    log_target *log = it->log;
    it->log = NULL;
    log_target_forget(log);
    /* Should no thread be had for it, it stays open, and the log is not freed either. A close may
     * still be under way, and the log in use. */
    if (log != NULL || !is_closed(it->handle)) {
        phantomdb_pool_close_async(it->handle, 0, on_forgotten_closed, log, NULL);
    }
    it->handle = NULL;
}

static int pool_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(pool_of(self)->client_type);
    return 0;
}

static int pool_clear(PyObject *self) {
    pool_finalize(self);
    Py_CLEAR(pool_of(self)->client_type);
    return 0;
}

static void pool_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    PyObject_GC_UnTrack(self);
    pool_clear(self);
    free_object(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"_open", pool_open, METH_VARARGS, NULL},
    {"_acquire", pool_acquire, METH_VARARGS, NULL},
    {"_run", pool_run, METH_VARARGS, NULL},
    {"_request", pool_request, METH_VARARGS, NULL},
    {"_stats", pool_stats, METH_NOARGS, NULL},
    {"_close", pool_close, METH_O, NULL},
    {"_try_acquire", pool_try_acquire, METH_NOARGS, NULL},
    {"release", (PyCFunction)(void (*)(void))pool_release, METH_VARARGS | METH_KEYWORDS,
     "release($self, /, connection)\n--\n\nGives a client back. Never waits. A transaction that is "
     "still open on it is rolled back."},
    {"discard", (PyCFunction)(void (*)(void))pool_discard, METH_VARARGS | METH_KEYWORDS,
     "discard($self, /, connection)\n--\n\nGives a client back whose connection is to be closed "
     "instead of reused."},
    {"get_status", pool_get_status, METH_NOARGS,
     "get_status($self, /)\n--\n\nThe current numbers: available, used, min, max."},
    {"status", pool_status, METH_NOARGS,
     "status($self, /)\n--\n\nAll current numbers: available, used, pending, total, min, max."},
    {"metrics", pool_metrics, METH_NOARGS,
     "metrics($self, /)\n--\n\nStatus and statistics as OpenMetrics text, for Prometheus and its "
     "like."},
    {"reset", pool_reset, METH_NOARGS,
     "reset($self, /)\n--\n\nRetires every connection that is open now: idle ones at once, others "
     "when they are\nreleased. For a server that moved, or certificates that changed."},
    {"resize", (PyCFunction)(void (*)(void))pool_resize, METH_VARARGS | METH_KEYWORDS,
     "resize($self, /, min_connections, max_connections)\n--\n\nChanges the limits while the pool is "
     "in use."},
    {"set_token", (PyCFunction)(void (*)(void))pool_set_token, METH_VARARGS | METH_KEYWORDS,
     "set_token($self, /, token)\n--\n\nChanges the bearer token; None sends none. Every request "
     "that starts afterwards uses it."},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_finalize, pool_finalize},
    {Py_tp_traverse, pool_traverse},
    {Py_tp_clear, pool_clear},
    {Py_tp_dealloc, pool_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_new, PyType_GenericNew},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "phantomdb._native.Pool",
    .basicsize = sizeof(pool_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

bool pool_define(void) {
    pool_type = (PyTypeObject *)PyType_FromSpec(&spec);
    return pool_type != NULL;
}
