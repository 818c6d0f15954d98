/* The completion queue of an event loop: what its calls have come to, as objects of Python. */
#include "native.h"

/* A completion that Python is about to be told. */
typedef struct delivery {
    unsigned long long id;
    /* NULL if there is none. */
    PyObject *content;
    /* Of an acquire that succeeded. */
    phantomdb_pool *pool;
    phantomdb_connection *connection;
} delivery;

typedef struct queue_object {
    PyObject_HEAD
    phantomdb_completion_queue *handle;
    int32_t descriptor;
    /* What there was no memory for, for another time. */
    delivery kept;
} queue_object;

PyTypeObject *completion_queue_type;

/* What goes with a call: the number that Python chose, and the shape of its result. */
static phantomdb_completion_target target_for(PyObject *self, unsigned long long id,
                                              result_shape shape) {
    return (phantomdb_completion_target){.queue = ((queue_object *)self)->handle,
                                         .user_data = (void *)((uintptr_t)id << SHAPE_BITS | shape)};
}

static unsigned long long id_of(const phantomdb_completion *done) {
    return (uintptr_t)done->user_data >> SHAPE_BITS;
}

static result_shape shape_of(const phantomdb_completion *done) {
    return (result_shape)((uintptr_t)done->user_data & ((1 << SHAPE_BITS) - 1));
}

static void drop(delivery *it) {
    if (it->connection != NULL) phantomdb_pool_release(it->pool, it->connection, NULL);
    Py_CLEAR(it->content);
}

static PyObject *queue_new(PyTypeObject *type, PyObject *arguments, PyObject *named) {
    (void)arguments;
    (void)named;
    queue_object *self = (queue_object *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    phantomdb_error error;
    if (phantomdb_completion_queue_create(NULL, NULL, &self->handle, &error) != PHANTOMDB_OK ||
        phantomdb_completion_queue_descriptor(self->handle, &self->descriptor, &error) != PHANTOMDB_OK) {
        Py_DECREF(self);
        return raise_error(&error);
    }
    return (PyObject *)self;
}

static void queue_dealloc(PyObject *self) {
    PyTypeObject *type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    drop(&((queue_object *)self)->kept);
    /* It fails in a forked child, whose parent has it. */
    phantomdb_completion_queue_free(((queue_object *)self)->handle, NULL);
    freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    free_object(self);
    Py_DECREF(type);
}

static int queue_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(((queue_object *)self)->kept.content);
    return 0;
}

static PyObject *queue_fileno(PyObject *self, PyObject *unused) {
    (void)unused;
    return PyLong_FromLong(((queue_object *)self)->descriptor);
}

/* What Python is told: a value, the number of a connection, an error or None. Takes the result. */
static PyObject *content_of(phantomdb_completion *done) {
    const phantomdb_error *error = &done->error;
    PyObject *made = NULL;
    if (error->code != PHANTOMDB_OK) {
        made = error_new(error->code, error->message, error->http_status, error->retry_after_ms,
                         error->retriable);
    } else if (done->result != NULL) {
        made = value_of_result(done->result, shape_of(done));
        done->result = NULL;
    } else if (done->connection != NULL) {
        made = PyLong_FromVoidPtr(done->connection);
    } else {
        Py_INCREF(made = Py_None);
    }
    if (made != NULL) return made;
    PyObject *type, *traceback;
    PyErr_Fetch(&type, &made, &traceback);
    PyErr_NormalizeException(&type, &made, &traceback);
    Py_XDECREF(type);
    Py_XDECREF(traceback);
    return made;
}

/* The next, which may be one that was kept; without content if there is none. */
static delivery next_of(queue_object *self) {
    delivery next = self->kept;
    self->kept = (delivery){.content = NULL};
    phantomdb_completion done;
    uint64_t count = 0;
    if (next.content != NULL ||
        phantomdb_completion_queue_take(self->handle, 0, &done, 1, &count, NULL) != PHANTOMDB_OK ||
        count == 0) {
        return next;
    }
    next = (delivery){.id = id_of(&done),
                      .content = content_of(&done),
                      .pool = done.pool,
                      .connection = done.connection};
    if (next.connection != NULL && !PyLong_Check(next.content)) {
        /* There was no memory for its number, of which Python is told. */
        phantomdb_pool_release(next.pool, next.connection, NULL);
        next.connection = NULL;
    }
    return next;
}

/* Appends (id, content). If memory is short, keeps it for another time; what a call has come to is at
 * worst a MemoryError, but it ends. */
static bool deliver(queue_object *self, delivery *it, PyObject *list) {
    PyObject *pair = Py_BuildValue("(KO)", it->id, it->content);
    bool is_delivered = pair != NULL && PyList_Append(list, pair) == 0;
    Py_XDECREF(pair);
    if (is_delivered) {
        Py_DECREF(it->content);
        return true;
    }
    /* Taken meanwhile by another thread, which Python does not do with a loop's queue. */
    if (self->kept.content != NULL) drop(&self->kept);
    self->kept = *it;
    return false;
}

/* A list of (id, content). */
static PyObject *queue_take(PyObject *object, PyObject *unused) {
    (void)unused;
    queue_object *self = (queue_object *)object;
    PyObject *list = PyList_New(0);
    if (list == NULL) return NULL;
    for (;;) {
        /* Until nothing is left, or the descriptor stays readable. */
        delivery next = next_of(self);
        if (next.content == NULL) return list;
        if (deliver(self, &next, list)) continue;
        if (PyList_Size(list) > 0) {
            PyErr_Clear();
            return list;
        }
        Py_DECREF(list);
        return NULL;
    }
}

static bool target_of(PyObject *object, target *on) {
    if (PyObject_TypeCheck(object, pool_type)) {
        *on = (target){.pool = pool_handle((pool_object *)object)};
        return on->pool != NULL;
    }
    if (!PyObject_TypeCheck(object, connection_type)) {
        PyErr_SetString(PyExc_TypeError, "a pool or a client is asked");
        return false;
    }
    connection_object *client = (connection_object *)object;
    if (!connection_is_live(client)) return false;
    *on = (target){.pool = client->pool_handle, .connection = client->handle};
    return true;
}

static PyObject *ticket_or(int32_t code, phantomdb_ticket *ticket, const phantomdb_error *error) {
    return code == PHANTOMDB_OK ? PyLong_FromVoidPtr(ticket) : raise_error(error);
}

static PyObject *ask(PyObject *self, PyObject *arguments,
                     bool (*read)(question *, PyObject *, Py_ssize_t)) {
    target on;
    question it = {.is_request = false};
    if (PyTuple_Size(arguments) < 2 || !target_of(PyTuple_GetItem(arguments, 0), &on)) return NULL;
    unsigned long long id = PyLong_AsUnsignedLongLong(PyTuple_GetItem(arguments, 1));
    PyObject *given = NULL;
    if (!PyErr_Occurred() && read(&it, arguments, 2)) {
        phantomdb_error error;
        phantomdb_ticket *ticket = NULL;
        phantomdb_completion_target to = target_for(self, id, it.shape);
        int32_t code = question_ask_async(&it, on, phantomdb_post_result(), &to, &ticket, &error);
        given = ticket_or(code, ticket, &error);
    }
    question_free(&it);
    return given;
}

/* run(target, id, operation, *texts) */
static PyObject *queue_run(PyObject *self, PyObject *arguments) {
    return ask(self, arguments, question_read_run);
}

/* request(target, id, method, path, body) */
static PyObject *queue_request(PyObject *self, PyObject *arguments) {
    return ask(self, arguments, question_read_request);
}

/* acquire(pool, id, timeout, owner): a client, if one is free; else a ticket. */
static PyObject *queue_acquire(PyObject *self, PyObject *arguments) {
    pool_object *pool;
    unsigned long long id;
    PyObject *timeout, *owner;
    int64_t milliseconds;
    if (!PyArg_ParseTuple(arguments, "O!KOO", pool_type, &pool, &id, &timeout, &owner) ||
        !timeout_of(timeout, &milliseconds)) {
        return NULL;
    }
    texts all = {.count = 0};
    if (owner != Py_None && !texts_add(&all, owner, "owner")) return NULL;
    PyObject *given = NULL;
    connection_object *client = connection_new(pool);
    if (client != NULL) {
        phantomdb_error error;
        phantomdb_ticket *ticket = NULL;
        phantomdb_completion_target to = target_for(self, id, SHAPE_ANY);
        int32_t code = phantomdb_pool_acquire_direct(client->pool_handle, milliseconds,
                                                     phantomdb_post_connection(), &to, &client->handle,
                                                     &ticket, &error);
        if (client->handle != NULL) {
            if (all.count > 0) phantomdb_connection_set_owner(client->handle, all.values[0], NULL);
            Py_INCREF(client);
            given = (PyObject *)client;
        } else {
            given = ticket_or(code, ticket, &error);
        }
    }
    Py_XDECREF(client);
    texts_free(&all);
    return given;
}

/* close(pool, id, timeout) */
static PyObject *queue_close(PyObject *self, PyObject *arguments) {
    pool_object *pool;
    unsigned long long id;
    PyObject *timeout;
    int64_t milliseconds;
    if (!PyArg_ParseTuple(arguments, "O!KO", pool_type, &pool, &id, &timeout) ||
        !timeout_of(timeout, &milliseconds)) {
        return NULL;
    }
    phantomdb_pool *handle = pool_handle(pool);
    if (handle == NULL) return NULL;
    phantomdb_error error;
    phantomdb_completion_target to = target_for(self, id, SHAPE_ANY);
    int32_t code = phantomdb_pool_close_async(handle, milliseconds, phantomdb_post_close(), &to, &error);
    if (code != PHANTOMDB_OK) return raise_error(&error);
    Py_RETURN_NONE;
}

/* cancel(ticket): of a call that may be over already. */
PyObject *cancel_ticket(PyObject *module, PyObject *ticket) {
    (void)module;
    phantomdb_ticket *it = PyLong_AsVoidPtr(ticket);
    if (it == NULL && PyErr_Occurred()) return NULL;
    phantomdb_cancel(it, NULL);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"fileno", queue_fileno, METH_NOARGS, NULL},
    {"take", queue_take, METH_NOARGS, NULL},
    {"run", queue_run, METH_VARARGS, NULL},
    {"request", queue_request, METH_VARARGS, NULL},
    {"acquire", queue_acquire, METH_VARARGS, NULL},
    {"close", queue_close, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, queue_dealloc},
    {Py_tp_traverse, queue_traverse},
    {Py_tp_methods, methods},
    {Py_tp_new, queue_new},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "phantomdb._native.CompletionQueue",
    .basicsize = sizeof(queue_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

bool completion_queue_define(void) {
    completion_queue_type = (PyTypeObject *)PyType_FromSpec(&spec);
    return completion_queue_type != NULL;
}
