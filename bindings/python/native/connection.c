/* An acquired connection: the base of the classes PhantomDB. */
#include "native.h"

#include <stddef.h>
#include <structmember.h>

static void bind(connection_object *it, pool_object *pool) {
    Py_INCREF(pool);
    it->pool = pool;
    it->pool_handle = pool->handle;
}

connection_object *connection_new(pool_object *pool) {
    if (pool_handle(pool) == NULL) return NULL;
    connection_object *it = (connection_object *)PyType_GenericAlloc(pool->client_type, 0);
    if (it != NULL) bind(it, pool);
    return it;
}

phantomdb_connection *connection_take(PyObject *client, const pool_object *pool) {
    if (!PyObject_TypeCheck(client, connection_type)) {
        PyErr_Format(PyExc_TypeError, "connection: must be a client of this pool, not %R",
                     Py_TYPE(client));
        return NULL;
    }
    connection_object *it = (connection_object *)client;
    if (!connection_is_live(it)) return NULL;
    if (it->pool != pool) {
        raise_code(PHANTOMDB_ERR_INVALID_HANDLE,
                   "The client belongs to another pool: release it there");
        return NULL;
    }
    phantomdb_connection *handle = it->handle;
    it->handle = NULL;
    return handle;
}

/* Gives back what nobody released; whether there was anything. It fails in a child of the process
 * that acquired it, where it is nobody's, and nothing is lost. */
static bool give_back(connection_object *it) {
    phantomdb_connection *handle = it->handle;
    it->handle = NULL;
    return handle != NULL && phantomdb_pool_release(it->pool_handle, handle, NULL) == PHANTOMDB_OK;
}

static void connection_finalize(PyObject *self) {
    connection_object *it = (connection_object *)self;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (give_back(it) &&
        PyErr_ResourceWarning(self, 1, "a client of %R was never released", it->pool) < 0) {
        PyErr_WriteUnraisable(self);
    }
    PyErr_Restore(type, value, traceback);
}

static int connection_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((connection_object *)self)->pool);
    return 0;
}

static int connection_clear(PyObject *self) {
    connection_object *it = (connection_object *)self;
    give_back(it);
    Py_CLEAR(it->pool);
    return 0;
}

/* A subclass may have a __del__ that does not call ours; then the connection is still there. */
static void connection_dealloc(PyObject *self) {
    connection_object *it = (connection_object *)self;
    PyTypeObject *type = Py_TYPE(self);
    freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    PyObject_GC_UnTrack(self);
    PyObject *raised, *value, *traceback;
    PyErr_Fetch(&raised, &value, &traceback);
    if (give_back(it) &&
        PyErr_WarnFormat(PyExc_ResourceWarning, 1, "a client of %R was never released", it->pool) < 0) {
        PyErr_WriteUnraisable((PyObject *)type);
    }
    PyErr_Restore(raised, value, traceback);
    Py_CLEAR(it->pool);
    free_object(self);
    Py_DECREF(type);
}

static PyObject *connection_open(PyObject *self, PyObject *pool) {
    connection_object *it = (connection_object *)self;
    if (!PyObject_TypeCheck(pool, pool_type) || it->pool_handle != NULL) {
        PyErr_SetString(PyExc_TypeError, "a client is opened once, with a pool");
        return NULL;
    }
    phantomdb_error error;
    phantomdb_pool *handle = pool_handle((pool_object *)pool);
    if (handle == NULL) return NULL;
    if (phantomdb_pool_try_acquire(handle, &it->handle, &error) != PHANTOMDB_OK) {
        return raise_error(&error);
    }
    bind(it, (pool_object *)pool);
    it->owns_pool = true;
    Py_RETURN_NONE;
}

static target target_of(PyObject *self) {
    connection_object *it = (connection_object *)self;
    return (target){.pool = it->pool_handle, .connection = it->handle};
}

static PyObject *connection_run(PyObject *self, PyObject *arguments) {
    return connection_is_live((connection_object *)self) ? run(target_of(self), arguments) : NULL;
}

static PyObject *connection_request(PyObject *self, PyObject *arguments) {
    return connection_is_live((connection_object *)self) ? request(target_of(self), arguments) : NULL;
}

static PyObject *connection_set_owner(PyObject *self, PyObject *arguments, PyObject *named) {
    connection_object *it = (connection_object *)self;
    texts all = {.count = 0};
    phantomdb_error error;
    PyObject *owner = only_argument(arguments, named, "owner");
    if (owner == NULL || !connection_is_live(it) || !texts_add(&all, owner, "owner")) return NULL;
    int32_t code = phantomdb_connection_set_owner(it->handle, all.values[0], &error);
    texts_free(&all);
    if (code != PHANTOMDB_OK) return raise_error(&error);
    Py_RETURN_NONE;
}

static PyObject *connection_interrupt(PyObject *self, PyObject *unused) {
    (void)unused;
    connection_object *it = (connection_object *)self;
    phantomdb_error error;
    if (!connection_is_live(it)) return NULL;
    if (phantomdb_connection_interrupt(it->handle, &error) != PHANTOMDB_OK) return raise_error(&error);
    Py_RETURN_NONE;
}

static PyObject *connection_is_released(PyObject *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(((connection_object *)self)->handle == NULL);
}

static PyObject *connection_pool(PyObject *self, void *unused) {
    (void)unused;
    connection_object *it = (connection_object *)self;
    PyObject *pool = it->pool != NULL ? (PyObject *)it->pool : Py_None;
    if (it->pool_handle == NULL && !connection_is_live(it)) return NULL;
    Py_INCREF(pool);
    return pool;
}

static PyMethodDef methods[] = {
    {"_open", connection_open, METH_O, NULL},
    {"_run", connection_run, METH_VARARGS, NULL},
    {"_request", connection_request, METH_VARARGS, NULL},
    {"set_owner", (PyCFunction)(void (*)(void))connection_set_owner, METH_VARARGS | METH_KEYWORDS,
     "set_owner($self, /, owner)\n--\n\nNames the user of the client, for the report of a leak "
     "(``leak_threshold``)."},
    {"interrupt", connection_interrupt, METH_NOARGS,
     "interrupt($self, /)\n--\n\nCuts the request that another thread has in flight on this client: "
     "it fails with\n``CancelledError``. With none in flight it does nothing."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"_owns_pool", T_BOOL, offsetof(connection_object, owns_pool), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"pool", connection_pool, NULL, "The pool that the client belongs to.", NULL},
    {"is_released", connection_is_released, NULL, "Whether the client has been released.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_finalize, connection_finalize},
    {Py_tp_traverse, connection_traverse},
    {Py_tp_clear, connection_clear},
    {Py_tp_dealloc, connection_dealloc},
    {Py_tp_methods, methods},
    {Py_tp_members, members},
    {Py_tp_getset, properties},
    {Py_tp_new, PyType_GenericNew},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "phantomdb._native.Connection",
    .basicsize = sizeof(connection_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

bool connection_define(void) {
    connection_type = (PyTypeObject *)PyType_FromSpec(&spec);
    return connection_type != NULL;
}
