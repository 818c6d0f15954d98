/* An acquired connection: the base of the classes PhantomDB. */
#include "native.h"

#include <stddef.h>
#include <structmember.h>

PyTypeObject *connection_type;

connection_object *connection_new(pool_object *pool) {
    connection_object *it = (connection_object *)PyType_GenericAlloc(pool->client_type, 0);
    if (it == NULL) return NULL;
    Py_INCREF(pool);
    it->pool = pool;
    return it;
}

bool connection_is_live(const connection_object *it) {
    if (it->handle != NULL) return true;
    raise_code(PHANTOMDB_ERR_INVALID_HANDLE, "The client was released already");
    return false;
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

/* Of one that nobody released. */
static void connection_finalize(PyObject *self) {
    connection_object *it = (connection_object *)self;
    phantomdb_connection *handle = it->handle;
    it->handle = NULL;
    if (handle == NULL) return;
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    /* It fails in a child of the process that acquired it, where it is nobody's, and nothing is lost. */
    if (phantomdb_pool_release(it->pool->handle, handle, NULL) == PHANTOMDB_OK &&
        PyErr_ResourceWarning(self, 1, "a client of %R was never released", it->pool) < 0) {
        PyErr_WriteUnraisable(self);
    }
    PyErr_Restore(type, value, traceback);
}

static void connection_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    Py_XDECREF(((connection_object *)self)->pool);
    free_object(self);
    Py_DECREF(type);
}

static PyObject *connection_open(PyObject *self, PyObject *pool) {
    connection_object *it = (connection_object *)self;
    if (!PyObject_TypeCheck(pool, pool_type) || it->pool != NULL) {
        PyErr_SetString(PyExc_TypeError, "a client is opened once, with a pool");
        return NULL;
    }
    phantomdb_error error;
    if (phantomdb_pool_try_acquire(((pool_object *)pool)->handle, &it->handle, &error) != PHANTOMDB_OK) {
        return raise_error(&error);
    }
    Py_INCREF(pool);
    it->pool = (pool_object *)pool;
    it->owns_pool = true;
    Py_RETURN_NONE;
}

static target target_of(PyObject *self) {
    connection_object *it = (connection_object *)self;
    return (target){.pool = it->pool->handle, .connection = it->handle};
}

static PyObject *connection_run(PyObject *self, PyObject *arguments) {
    return connection_is_live((connection_object *)self) ? run(target_of(self), arguments) : NULL;
}

static PyObject *connection_request(PyObject *self, PyObject *arguments) {
    return connection_is_live((connection_object *)self) ? request(target_of(self), arguments) : NULL;
}

static PyObject *connection_set_owner(PyObject *self, PyObject *owner) {
    connection_object *it = (connection_object *)self;
    texts all = {.count = 0};
    phantomdb_error error;
    if (!connection_is_live(it) || !texts_add(&all, owner, "owner")) return NULL;
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

static PyMethodDef methods[] = {
    {"_open", connection_open, METH_O, NULL},
    {"_run", connection_run, METH_VARARGS, NULL},
    {"_request", connection_request, METH_VARARGS, NULL},
    {"set_owner", connection_set_owner, METH_O,
     "set_owner($self, owner, /)\n--\n\nNames who has the client, for the report of a leak "
     "(``leak_threshold``)."},
    {"interrupt", connection_interrupt, METH_NOARGS,
     "interrupt($self, /)\n--\n\nCuts the request that another thread has in flight on this client: "
     "it fails with\n``CancelledError``. With none in flight it does nothing."},
    {NULL, NULL, 0, NULL},
};

static PyMemberDef members[] = {
    {"pool", T_OBJECT, offsetof(connection_object, pool), READONLY, "The pool that it belongs to."},
    {"_owns_pool", T_BOOL, offsetof(connection_object, owns_pool), READONLY, NULL},
    {NULL, 0, 0, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"is_released", connection_is_released, NULL, "Whether it was given back.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_finalize, connection_finalize},
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
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = slots,
};

bool connection_define(PyObject *module) {
    connection_type = (PyTypeObject *)PyType_FromSpec(&spec);
    return connection_type != NULL &&
           PyModule_AddObject(module, "Connection", (PyObject *)connection_type) == 0;
}
