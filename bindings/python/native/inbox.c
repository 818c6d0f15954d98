/* Where an event loop finds what its calls have come to. Threads of the library put letters in,
 * without the GIL, and ring an eventfd; the loop, which watches that, takes them out. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "native.h"

typedef struct letter letter;

typedef struct inbox {
    pthread_mutex_t lock;
    letter *first;
    letter *last;
    bool is_alive;
    int bell;
    /* Held by the object, and by each letter that is under way. */
    atomic_uint references;
} inbox;

struct letter {
    letter *next;
    inbox *to;
    phantomdb_pool *pool;
    /* The call's number, which Python chose. */
    unsigned long long id;
    phantomdb_connection *connection;
    phantomdb_result *result;
    result_shape shape;
    /* What Python is told, once it is made. */
    PyObject *content;
    int32_t code;
    int32_t http_status;
    int64_t retry_after_ms;
    bool retriable;
    char *message;
};

typedef struct inbox_object {
    PyObject_HEAD
    inbox *inbox;
    /* In a forked child, threads that are not there any more may hold the lock for ever. */
    pid_t process;
} inbox_object;

PyTypeObject *inbox_type;

static void inbox_let_go(inbox *it) {
    if (--it->references > 0) return;
    close(it->bell);
    pthread_mutex_destroy(&it->lock);
    free(it);
}

static letter *letter_new(inbox *to, phantomdb_pool *pool, unsigned long long id) {
    letter *it = calloc(1, sizeof *it);
    if (it == NULL) {
        PyErr_NoMemory();
        return NULL;
    }
    it->to = to;
    it->pool = pool;
    it->id = id;
    to->references++;
    return it;
}

static void letter_free(letter *it) {
    if (it->connection != NULL) phantomdb_pool_release(it->pool, it->connection, NULL);
    if (it->result != NULL) phantomdb_result_free(it->result);
    Py_XDECREF(it->content);
    inbox_let_go(it->to);
    free(it->message);
    free(it);
}

static void post(letter *it, const phantomdb_error *error) {
    inbox *to = it->to;
    it->code = error->code;
    if (error->code != PHANTOMDB_OK) {
        it->http_status = error->http_status;
        it->retry_after_ms = error->retry_after_ms;
        it->retriable = error->retriable;
        it->message = strdup(error->message);
    }
    pthread_mutex_lock(&to->lock);
    bool is_read = to->is_alive;
    if (is_read) {
        if (to->first == NULL) {
            to->first = it;
            eventfd_write(to->bell, 1);
        } else {
            to->last->next = it;
        }
        to->last = it;
    }
    pthread_mutex_unlock(&to->lock);
    if (!is_read) letter_free(it);
}

static void post_connection(phantomdb_connection *connection, const phantomdb_error *error, void *user_data) {
    letter *it = user_data;
    it->connection = connection;
    post(it, error);
}

static void post_result(phantomdb_result *result, const phantomdb_error *error, void *user_data) {
    letter *it = user_data;
    it->result = result;
    post(it, error);
}

static void post_closed(const phantomdb_error *error, void *user_data) {
    post(user_data, error);
}

static letter *take_all(inbox *it) {
    eventfd_t rings;
    pthread_mutex_lock(&it->lock);
    letter *first = it->first;
    it->first = it->last = NULL;
    /* Within the lock, or a letter that comes between the two would ring no more. */
    eventfd_read(it->bell, &rings);
    pthread_mutex_unlock(&it->lock);
    return first;
}

static PyObject *inbox_new(PyTypeObject *type, PyObject *arguments, PyObject *named) {
    (void)arguments;
    (void)named;
    inbox_object *self = (inbox_object *)PyType_GenericAlloc(type, 0);
    if (self == NULL) return NULL;
    inbox *it = calloc(1, sizeof *it);
    int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (it == NULL || bell < 0) {
        if (bell < 0) PyErr_SetFromErrno(PyExc_OSError);
        else PyErr_NoMemory();
        if (bell >= 0) close(bell);
        free(it);
        Py_DECREF(self);
        return NULL;
    }
    pthread_mutex_init(&it->lock, NULL);
    it->is_alive = true;
    it->bell = bell;
    it->references = 1;
    self->inbox = it;
    self->process = getpid();
    return (PyObject *)self;
}

static void inbox_dealloc(PyObject *object) {
    inbox_object *self = (inbox_object *)object;
    PyTypeObject *type = Py_TYPE(object);
    PyObject_GC_UnTrack(object);
    if (self->inbox != NULL && self->process == getpid()) {
        pthread_mutex_lock(&self->inbox->lock);
        self->inbox->is_alive = false;
        pthread_mutex_unlock(&self->inbox->lock);
        for (letter *it = take_all(self->inbox), *next; it != NULL; it = next) {
            next = it->next;
            letter_free(it);
        }
        inbox_let_go(self->inbox);
    }
    freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    free_object(object);
    Py_DECREF(type);
}

/* It holds nothing of Python's but its type. */
static int inbox_traverse(PyObject *self, visitproc visit, void *arg) {
    Py_VISIT(Py_TYPE(self));
    return 0;
}

static PyObject *inbox_fileno(PyObject *self, PyObject *unused) {
    (void)unused;
    return PyLong_FromLong(((inbox_object *)self)->inbox->bell);
}

/* What Python is told of a letter: a value, the number of a connection, an error or None. */
static PyObject *content_of(letter *it) {
    PyObject *made = Py_None;
    if (it->code != PHANTOMDB_OK) {
        return error_new(it->code, it->message != NULL ? it->message : "", it->http_status,
                         it->retry_after_ms, it->retriable);
    }
    if (it->result != NULL) {
        made = value_of_result(it->result, it->shape);
        it->result = NULL;
        return made;
    }
    if (it->connection != NULL) return PyLong_FromVoidPtr(it->connection);
    Py_INCREF(made);
    return made;
}

/* Appends (id, content). If memory is short, the letter stays as it is, for another time; what a call
 * has come to is at worst a MemoryError, but it ends. */
static bool deliver(letter *it, PyObject *list) {
    if (it->content == NULL) {
        it->content = content_of(it);
        if (it->content == NULL) {
            PyObject *type, *traceback;
            PyErr_Fetch(&type, &it->content, &traceback);
            PyErr_NormalizeException(&type, &it->content, &traceback);
            Py_XDECREF(type);
            Py_XDECREF(traceback);
        }
    }
    PyObject *pair = Py_BuildValue("(KO)", it->id, it->content);
    bool is_delivered = pair != NULL && PyList_Append(list, pair) == 0;
    Py_XDECREF(pair);
    if (!is_delivered) return false;
    /* From now on it is Python's, unless there was no memory for its number, of which Python is told. */
    if (PyLong_Check(it->content)) it->connection = NULL;
    letter_free(it);
    return true;
}

static void put_back(inbox *it, letter *first) {
    letter *last = first;
    while (last->next != NULL) last = last->next;
    pthread_mutex_lock(&it->lock);
    last->next = it->first;
    if (it->first == NULL) it->last = last;
    it->first = first;
    eventfd_write(it->bell, 1);
    pthread_mutex_unlock(&it->lock);
}

/* A list of (id, content). */
static PyObject *inbox_take(PyObject *self, PyObject *unused) {
    (void)unused;
    PyObject *list = PyList_New(0);
    if (list == NULL) return NULL;
    inbox *box = ((inbox_object *)self)->inbox;
    letter *it = take_all(box);
    for (letter *next; it != NULL; it = next) {
        next = it->next;
        if (deliver(it, list)) continue;
        put_back(box, it);
        if (PyList_Size(list) > 0) {
            PyErr_Clear();
            return list;
        }
        Py_DECREF(list);
        return NULL;
    }
    return list;
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

static PyObject *ticket_or(letter *it, int32_t code, phantomdb_ticket *const *ticket,
                           const phantomdb_error *error) {
    if (code == PHANTOMDB_OK) return PyLong_FromVoidPtr(*ticket);
    letter_free(it);
    return raise_error(error);
}

static PyObject *ask(PyObject *self, PyObject *arguments,
                     bool (*read)(question *, PyObject *, Py_ssize_t)) {
    target on;
    question it = {.is_request = false};
    if (PyTuple_Size(arguments) < 2 || !target_of(PyTuple_GetItem(arguments, 0), &on)) return NULL;
    unsigned long long id = PyLong_AsUnsignedLongLong(PyTuple_GetItem(arguments, 1));
    PyObject *given = NULL;
    letter *letter = NULL;
    if (!PyErr_Occurred() && read(&it, arguments, 2) &&
        (letter = letter_new(((inbox_object *)self)->inbox, on.pool, id)) != NULL) {
        phantomdb_error error;
        phantomdb_ticket *ticket = NULL;
        letter->shape = it.shape;
        int32_t code = question_ask_async(&it, on, post_result, letter, &ticket, &error);
        given = ticket_or(letter, code, &ticket, &error);
    }
    question_free(&it);
    return given;
}

/* run(target, id, operation, *texts) */
static PyObject *inbox_run(PyObject *self, PyObject *arguments) {
    return ask(self, arguments, question_read_run);
}

/* request(target, id, method, path, body) */
static PyObject *inbox_request(PyObject *self, PyObject *arguments) {
    return ask(self, arguments, question_read_request);
}

/* acquire(pool, id, timeout, owner): a client, if one is free; else a ticket. */
static PyObject *inbox_acquire(PyObject *self, PyObject *arguments) {
    pool_object *pool;
    unsigned long long id;
    PyObject *timeout, *owner;
    int64_t milliseconds;
    phantomdb_error error;
    if (!PyArg_ParseTuple(arguments, "O!KOO", pool_type, &pool, &id, &timeout, &owner) ||
        !timeout_of(timeout, &milliseconds)) {
        return NULL;
    }
    texts all = {.count = 0};
    if (owner != Py_None && !texts_add(&all, owner, "owner")) return NULL;
    PyObject *given = NULL;
    connection_object *client = connection_new(pool);
    letter *it = client != NULL
                     ? letter_new(((inbox_object *)self)->inbox, client->pool_handle, id)
                     : NULL;
    if (it != NULL) {
        phantomdb_ticket *ticket = NULL;
        int32_t code = phantomdb_pool_acquire_direct(client->pool_handle, milliseconds, post_connection, it,
                                                     &client->handle, &ticket, &error);
        if (client->handle != NULL) {
            letter_free(it);
            if (all.count > 0) phantomdb_connection_set_owner(client->handle, all.values[0], NULL);
            Py_INCREF(client);
            given = (PyObject *)client;
        } else {
            given = ticket_or(it, code, &ticket, &error);
        }
    }
    Py_XDECREF(client);
    texts_free(&all);
    return given;
}

/* close(pool, id, timeout) */
static PyObject *inbox_close(PyObject *self, PyObject *arguments) {
    pool_object *pool;
    unsigned long long id;
    PyObject *timeout;
    int64_t milliseconds;
    phantomdb_error error;
    if (!PyArg_ParseTuple(arguments, "O!KO", pool_type, &pool, &id, &timeout) ||
        !timeout_of(timeout, &milliseconds)) {
        return NULL;
    }
    phantomdb_pool *handle = pool_handle(pool);
    letter *it = handle != NULL ? letter_new(((inbox_object *)self)->inbox, handle, id) : NULL;
    if (it == NULL) return NULL;
    if (phantomdb_pool_close_async(handle, milliseconds, post_closed, it, &error) == PHANTOMDB_OK) {
        Py_RETURN_NONE;
    }
    letter_free(it);
    return raise_error(&error);
}

/* cancel(ticket): of a call that may be over already. */
PyObject *inbox_cancel(PyObject *module, PyObject *ticket) {
    (void)module;
    phantomdb_ticket *it = PyLong_AsVoidPtr(ticket);
    if (it == NULL && PyErr_Occurred()) return NULL;
    phantomdb_cancel(it, NULL);
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"fileno", inbox_fileno, METH_NOARGS, NULL},
    {"take", inbox_take, METH_NOARGS, NULL},
    {"run", inbox_run, METH_VARARGS, NULL},
    {"request", inbox_request, METH_VARARGS, NULL},
    {"acquire", inbox_acquire, METH_VARARGS, NULL},
    {"close", inbox_close, METH_VARARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyType_Slot slots[] = {
    {Py_tp_dealloc, inbox_dealloc},
    {Py_tp_traverse, inbox_traverse},
    {Py_tp_methods, methods},
    {Py_tp_new, inbox_new},
    {0, NULL},
};

static PyType_Spec spec = {
    .name = "phantomdb._native.Inbox",
    .basicsize = sizeof(inbox_object),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};

bool inbox_define(void) {
    inbox_type = (PyTypeObject *)PyType_FromSpec(&spec);
    return inbox_type != NULL;
}
