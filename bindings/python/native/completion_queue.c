/* The completion queue of an event loop: it passes the outcomes of calls, as objects of Python, to
 * their receivers. Those have set_result and set_exception, as futures do. */
#include "native.h"

/* A call that is not over. */
typedef struct call {
    struct call *previous;
    struct call *next;
    /* NULL once the queue is garbage. */
    PyObject *receiver;
    /* The pool of an acquire; otherwise NULL. */
    pool_object *pool;
    result_shape shape;
} call;

/* What a receiver is to be told: a value, a client, an exception or None. */
typedef struct outcome {
    /* NULL if there is none. */
    PyObject *receiver;
    PyObject *content;
} outcome;

typedef struct queue_object {
    PyObject_HEAD
    phantomdb_completion_queue *handle;
    int32_t descriptor;
    call *calls;
    Py_ssize_t call_count;
    /* What there was no memory to tell, for another time. */
    outcome kept;
    /* A list of what receivers refused, for the caller of `take`. */
    PyObject *refused;
} queue_object;

PyTypeObject *completion_queue_type;

static PyObject *set_result, *set_exception;

/* Notes a call before it begins, since it may be over at once. */
static call *call_begin(queue_object *self, PyObject *receiver, pool_object *pool, result_shape shape) {
    call *it = PyMem_Malloc(sizeof *it);
    if (it == NULL) return (call *)PyErr_NoMemory();
    *it = (call){.next = self->calls, .receiver = receiver, .pool = pool, .shape = shape};
    Py_INCREF(receiver);
    Py_XINCREF(pool);
    if (it->next != NULL) it->next->previous = it;
    self->calls = it;
    self->call_count++;
    return it;
}

static void call_end(queue_object *self, call *it) {
    if (it->next != NULL) it->next->previous = it->previous;
    if (it->previous != NULL) it->previous->next = it->next;
    else self->calls = it->next;
    self->call_count--;
    PyObject *receiver = it->receiver;
    pool_object *pool = it->pool;
    PyMem_Free(it);
    Py_XDECREF(receiver);
    Py_XDECREF(pool);
}

static phantomdb_completion_target target_for(const queue_object *self, call *it) {
    return (phantomdb_completion_target){.queue = self->handle, .user_data = it};
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

static int queue_traverse(PyObject *object, visitproc visit, void *arg) {
    queue_object *self = (queue_object *)object;
    Py_VISIT(Py_TYPE(object));
    Py_VISIT(self->kept.receiver);
    Py_VISIT(self->kept.content);
    Py_VISIT(self->refused);
    for (call *it = self->calls; it != NULL; it = it->next) {
        Py_VISIT(it->receiver);
        Py_VISIT(it->pool);
    }
    return 0;
}

/* The calls stay, since the library may still name them. */
static int queue_clear(PyObject *object) {
    queue_object *self = (queue_object *)object;
    Py_CLEAR(self->kept.receiver);
    Py_CLEAR(self->kept.content);
    Py_CLEAR(self->refused);
    for (call *it = self->calls; it != NULL; it = it->next) Py_CLEAR(it->receiver);
    return 0;
}

static void queue_dealloc(PyObject *object) {
    queue_object *self = (queue_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    /* It fails in a forked child, whose parent has it. From here on the library names no call. */
    phantomdb_completion_queue_free(self->handle, NULL);
    queue_clear(object);
    while (self->calls != NULL) call_end(self, self->calls);
    freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    free_object(object);
    Py_DECREF(type);
}

static PyObject *queue_fileno(PyObject *self, PyObject *unused) {
    (void)unused;
    return PyLong_FromLong(((queue_object *)self)->descriptor);
}

/* How many calls are not over. */
static Py_ssize_t queue_length(PyObject *self) {
    return ((queue_object *)self)->call_count;
}

static PyObject *client_of(phantomdb_completion *done, pool_object *pool) {
    connection_object *client = connection_new(pool);
    if (client != NULL) client->handle = done->connection;
    else phantomdb_pool_release(done->pool, done->connection, NULL);
    return (PyObject *)client;
}

/* Takes the result or the connection. What can't be made is an exception too. */
static PyObject *content_of(phantomdb_completion *done, const call *it) {
    const phantomdb_error *error = &done->error;
    PyObject *made = NULL;
    if (error->code != PHANTOMDB_OK) {
        made = error_new(error->code, error->message, error->http_status, error->retry_after_ms,
                         error->retriable);
    } else if (done->result != NULL) {
        made = value_of_result(done->result, it->shape);
    } else if (done->connection != NULL) {
        made = client_of(done, it->pool);
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

/* The next, which may be one that was kept; without a receiver if there is none. */
static outcome next_of(queue_object *self) {
    outcome next = self->kept;
    self->kept = (outcome){.receiver = NULL};
    while (next.receiver == NULL) {
        /* One at a time: a take that gets fewer than it asks for resets the descriptor, which has to
         * stay readable until all are told. */
        phantomdb_completion done;
        uint64_t count = 0;
        phantomdb_completion_queue_take(self->handle, 0, &done, 1, &count, NULL);
        if (count == 0) return next;
        call *it = done.user_data;
        next = (outcome){.receiver = it->receiver, .content = content_of(&done, it)};
        it->receiver = NULL;
        call_end(self, it);
        /* Of a queue that is garbage. */
        if (next.receiver == NULL) Py_CLEAR(next.content);
    }
    return next;
}

static bool refuse(queue_object *self, const outcome *it) {
    if (self->refused == NULL) self->refused = PyList_New(0);
    PyObject *pair = self->refused != NULL ? PyTuple_Pack(2, it->receiver, it->content) : NULL;
    bool is_noted = pair != NULL && PyList_Append(self->refused, pair) == 0;
    Py_XDECREF(pair);
    return is_noted;
}

/* Whether the receiver knows it, or has refused it. If not, which is for lack of memory or because a
 * signal handler has raised, it is kept for another time; with an exception set. */
static bool tell(queue_object *self, outcome it) {
    PyObject *name = PyExceptionInstance_Check(it.content) ? set_exception : set_result;
    PyObject *told = PyObject_CallMethodObjArgs(it.receiver, name, it.content, NULL);
    bool is_over = told != NULL;
    Py_XDECREF(told);
    if (!is_over && PyErr_ExceptionMatches(PyExc_Exception) &&
        !PyErr_ExceptionMatches(PyExc_MemoryError)) {
        PyErr_Clear();
        is_over = refuse(self, &it);
    }
    /* If another thread has kept one meanwhile, which no loop does, that is lost. */
    outcome rest = is_over ? it : self->kept;
    if (!is_over) self->kept = it;
    Py_XDECREF(rest.receiver);
    Py_XDECREF(rest.content);
    return is_over;
}

/* take(): tells all receivers of calls that are over. Gives (receiver, content) for each that refused. */
static PyObject *queue_take(PyObject *object, PyObject *unused) {
    (void)unused;
    queue_object *self = (queue_object *)object;
    for (;;) {
        /* Until nothing is left, or the descriptor stays readable. */
        outcome next = next_of(self);
        if (next.receiver == NULL) break;
        if (!tell(self, next)) return NULL;
    }
    PyObject *refused = self->refused;
    self->refused = NULL;
    return refused != NULL ? refused : PyTuple_New(0);
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

/* Gives the ticket of a call that has begun. Without memory for it nobody could cancel the call. */
static PyObject *ticket_or(queue_object *self, call *it, int32_t code, phantomdb_ticket *ticket,
                           const phantomdb_error *error) {
    if (code != PHANTOMDB_OK) {
        call_end(self, it);
        return raise_error(error);
    }
    PyObject *number = PyLong_FromVoidPtr(ticket);
    if (number == NULL) phantomdb_cancel(ticket, NULL);
    return number;
}

static PyObject *ask(PyObject *object, PyObject *arguments,
                     bool (*read)(question *, PyObject *, Py_ssize_t)) {
    target on;
    queue_object *self = (queue_object *)object;
    question asked = {.is_request = false};
    if (PyTuple_Size(arguments) < 2) {
        PyErr_SetString(PyExc_TypeError, "a receiver and a target are missing");
        return NULL;
    }
    if (!target_of(PyTuple_GetItem(arguments, 1), &on)) return NULL;
    PyObject *given = NULL;
    call *it = NULL;
    if (read(&asked, arguments, 2)) {
        it = call_begin(self, PyTuple_GetItem(arguments, 0), NULL, asked.shape);
    }
    if (it != NULL) {
        phantomdb_error error;
        phantomdb_ticket *ticket = NULL;
        phantomdb_completion_target to = target_for(self, it);
        int32_t code = question_ask_async(&asked, on, phantomdb_post_result(), &to, &ticket, &error);
        given = ticket_or(self, it, code, ticket, &error);
    }
    question_free(&asked);
    return given;
}

/* run(receiver, target, operation, *texts) */
static PyObject *queue_run(PyObject *self, PyObject *arguments) {
    return ask(self, arguments, question_read_run);
}

/* request(receiver, target, method, path, body) */
static PyObject *queue_request(PyObject *self, PyObject *arguments) {
    return ask(self, arguments, question_read_request);
}

/* A client, if one is free; else a ticket. */
static PyObject *acquire(queue_object *self, PyObject *receiver, pool_object *pool, int64_t timeout,
                         const char *owner) {
    connection_object *client = connection_new(pool);
    call *it = client != NULL ? call_begin(self, receiver, pool, SHAPE_ANY) : NULL;
    PyObject *given = NULL;
    if (it != NULL) {
        phantomdb_error error;
        phantomdb_ticket *ticket = NULL;
        phantomdb_completion_target to = target_for(self, it);
        int32_t code = phantomdb_pool_acquire_direct(client->pool_handle, timeout,
                                                     phantomdb_post_connection(), &to, &client->handle,
                                                     &ticket, &error);
        if (client->handle != NULL) {
            call_end(self, it);
            if (owner != NULL) phantomdb_connection_set_owner(client->handle, owner, NULL);
            return (PyObject *)client;
        }
        given = ticket_or(self, it, code, ticket, &error);
    }
    Py_XDECREF(client);
    return given;
}

/* acquire(receiver, pool, timeout, owner) */
static PyObject *queue_acquire(PyObject *self, PyObject *arguments) {
    PyObject *receiver, *pool, *timeout, *owner;
    int64_t milliseconds;
    if (!PyArg_ParseTuple(arguments, "OO!OO", &receiver, pool_type, &pool, &timeout, &owner) ||
        !timeout_of(timeout, &milliseconds)) {
        return NULL;
    }
    texts all = {.count = 0};
    if (owner != Py_None && !texts_add(&all, owner, "owner")) return NULL;
    PyObject *given = acquire((queue_object *)self, receiver, (pool_object *)pool, milliseconds,
                              all.count > 0 ? all.values[0] : NULL);
    texts_free(&all);
    return given;
}

/* close(receiver, pool, timeout) */
static PyObject *queue_close(PyObject *object, PyObject *arguments) {
    queue_object *self = (queue_object *)object;
    PyObject *receiver, *pool, *timeout;
    int64_t milliseconds;
    if (!PyArg_ParseTuple(arguments, "OO!O", &receiver, pool_type, &pool, &timeout) ||
        !timeout_of(timeout, &milliseconds)) {
        return NULL;
    }
    phantomdb_pool *handle = pool_handle((pool_object *)pool);
    call *it = handle != NULL ? call_begin(self, receiver, NULL, SHAPE_ANY) : NULL;
    if (it == NULL) return NULL;
    phantomdb_error error;
    phantomdb_completion_target to = target_for(self, it);
    int32_t code = phantomdb_pool_close_async(handle, milliseconds, phantomdb_post_close(), &to, &error);
    if (code != PHANTOMDB_OK) {
        call_end(self, it);
        return raise_error(&error);
    }
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
    {Py_tp_clear, queue_clear},
    {Py_sq_length, queue_length},
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
    set_result = PyUnicode_InternFromString("set_result");
    set_exception = PyUnicode_InternFromString("set_exception");
    return completion_queue_type != NULL && set_result != NULL && set_exception != NULL;
}
