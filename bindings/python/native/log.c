/* The log of a pool: the library calls on_log on a thread of its own, which is lent to Python. It
 * knows the pool weakly, so that one whose callback leads back to it can be collected. */
#include "native.h"

struct log_target {
    PyObject *pool;
};

static _Thread_local bool in_log;

bool is_in_log(void) {
    return in_log;
}

log_target *log_target_new(PyObject *pool) {
    log_target *it = PyMem_Malloc(sizeof *it);
    if (it == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    it->pool = PyWeakref_NewRef(pool, NULL);
    if (it->pool != NULL) return it;
    PyMem_Free(it);
    return NULL;
}

void log_target_free(log_target *it) {
    if (it == NULL) return;
    Py_DECREF(it->pool);
    PyMem_Free(it);
}

void on_log(int32_t level, const char *message, void *user_data) {
    const log_target *it = user_data;
    PyGILState_STATE state = PyGILState_Ensure();
    PyObject *pool = PyWeakref_GetObject(it->pool);
    if (pool != NULL && pool != Py_None) {
        Py_INCREF(pool);
        in_log = true;
        PyObject *done = PyObject_CallMethod(pool, "_tell", "is", (int)level, message);
        in_log = false;
        if (done == NULL) PyErr_WriteUnraisable(pool);
        Py_XDECREF(done);
        Py_DECREF(pool);
    }
    PyGILState_Release(state);
}
