/* What the files of the extension share. */
#ifndef PHANTOMDB_PYTHON_NATIVE_H
#define PHANTOMDB_PYTHON_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <phantomdb.h>
#include <pthread.h>
#include <stdbool.h>

/* A pool; phantomdb._pool makes the classes of it that people see. */
typedef struct pool_object {
    PyObject_HEAD
    /* NULL before it is opened, and after it was collected. */
    phantomdb_pool *handle;
    /* What `acquire` makes instances of; never NULL while there is a handle. */
    PyTypeObject *client_type;
    struct log_target *log;
} pool_object;

/* An acquired connection: the base of PhantomDB. */
typedef struct connection_object {
    PyObject_HEAD
    /* NULL after the release. */
    phantomdb_connection *handle;
    /* The pool's handle, to which the connection is given back even if the pool is collected first. */
    phantomdb_pool *pool_handle;
    pool_object *pool;
    bool owns_pool;
} connection_object;

/* errors.c: each sets a Python exception and returns NULL. */
PyObject *raise_error(const phantomdb_error *error);
PyObject *raise_code(int32_t code, const char *format, ...);
/* The exception itself. */
PyObject *error_new(int32_t code, const char *message, int32_t http_status, int64_t retry_after_ms,
                    bool retriable);
PyObject *errors_register(PyObject *module, PyObject *arguments);
void errors_forget(void);

/* texts.c: arguments of Python as texts of C. */
enum { MOST_TEXTS = 4 };
typedef struct texts {
    const char *values[MOST_TEXTS];
    PyObject *holders[MOST_TEXTS];
    uint64_t count;
} texts;
/* A str as bytes of UTF-8 without a NUL; NULL with an exception set. */
PyObject *text_bytes(PyObject *value, const char *name);
/* Adds a str, or NULL for None. */
bool texts_add(texts *all, PyObject *value, const char *name);
/* Adds the arguments of an operation. */
bool texts_add_arguments(texts *all, int32_t operation, PyObject *arguments, Py_ssize_t first);
void texts_free(texts *all);

/* values.c: results as objects of Python. */
bool values_begin(void);
typedef enum result_shape {
    /* JSON of any shape, or a text that is not JSON. */
    SHAPE_ANY,
    SHAPE_NAMES,
    /* A list of dicts. */
    SHAPE_ROWS,
    /* A dict with rows and what is known of them. */
    SHAPE_QUERY,
} result_shape;
result_shape shape_of_operation(int32_t operation);
/* Frees the result. NULL with an exception set. */
PyObject *value_of_result(phantomdb_result *result, result_shape shape);

/* arguments.c: the only argument of a method, by place or by name. Borrowed; NULL with an exception
 * set. */
PyObject *only_argument(PyObject *arguments, PyObject *named, const char *name);

/* times.c: seconds of Python as milliseconds. None is the pool's own time. */
bool milliseconds_of(PyObject *seconds, const char *name, int64_t *milliseconds);
bool timeout_of(PyObject *seconds, int64_t *milliseconds);

/* options.c */
/* Gives what holds the texts of the options; NULL with an exception set. */
PyObject *options_read(PyObject *given, phantomdb_pool_options *into);
/* A number of connections. */
bool count_of(PyObject *value, const char *name, uint32_t *count);
PyObject *options_default(PyObject *module, PyObject *unused);

/* log.c */
typedef struct log_target log_target;
void logs_begin(void);
/* Returns when no log callback runs, nor will. */
PyObject *logs_end(PyObject *module, PyObject *unused);
log_target *log_target_new(PyObject *pool);
/* Its pool is collected, and must be told of nothing any more; with the GIL. */
void log_target_forget(log_target *it);
/* Once the library does not know it any more; any thread may do it. NULL is fine. */
void log_target_free(log_target *it);
void on_log(int32_t level, const char *message, void *user_data);
/* Whether this thread is in a pool's log callback, where nothing may wait. */
bool is_in_log(void);

/* waiter.c: an asynchronous call of the library that one thread waits for. */
typedef struct waiter {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_done;
    /* Rung when it is done, if not -1. */
    int wake_descriptor;
    phantomdb_pool *pool;
    /* NULL for a close. */
    phantomdb_ticket *ticket;
    phantomdb_connection *connection;
    phantomdb_result *result;
    phantomdb_error error;
    /* In the list of those that a release wakes. */
    struct waiter *next;
} waiter;
bool waiters_begin(void);
void waiter_begin(waiter *it, phantomdb_pool *pool);
void waiter_end(waiter *it);
/* Waits until the callback has run. False, with a Python exception set, if a signal ended the wait;
 * then the call is cancelled, and what it brought is given back. */
bool waiter_wait(waiter *it);
bool is_main_thread(void);
/* Around a release: who gets the connection is woken when this thread has released the GIL, and not
 * while it has it, only to wait again. */
void release_begin(void);
void release_end(void);
void wake_with_connection(phantomdb_connection *connection, const phantomdb_error *error, void *user_data);
void wake_with_result(phantomdb_result *result, const phantomdb_error *error, void *user_data);
void wake_closed(const phantomdb_error *error, void *user_data);

/* question.c: what is asked of a pool or of a connection: an operation with its arguments, or a
 * method, a path and a body. */
typedef struct target {
    phantomdb_pool *pool;
    /* NULL if the pool itself is asked. */
    phantomdb_connection *connection;
} target;
typedef struct question {
    bool is_request;
    int32_t operation;
    result_shape shape;
    texts all;
    const char *body;
    uint64_t length;
} question;
/* From arguments[first] on: the operation's number and its arguments; method, path and body. What
 * they lend must live as long as the tuple. */
bool question_read_run(question *it, PyObject *arguments, Py_ssize_t first);
bool question_read_request(question *it, PyObject *arguments, Py_ssize_t first);
void question_free(question *it);
int32_t question_ask(const question *it, target on, phantomdb_result **result, phantomdb_error *error);
int32_t question_ask_async(const question *it, target on, phantomdb_result_callback callback,
                           void *user_data, phantomdb_ticket **ticket, phantomdb_error *error);

/* requests.c: the same for callers that wait. */
PyObject *run(target on, PyObject *arguments);
PyObject *request(target on, PyObject *arguments);

/* handles.c: of pools and connections, which pool.c and connection.c define. */
extern PyTypeObject *pool_type;
extern PyTypeObject *connection_type;
/* NULL, with an exception set, of one that was never opened or is collected already. */
phantomdb_pool *pool_handle(const pool_object *it);
/* False, with an exception set, of one that was never opened or is released already. */
bool connection_is_live(const connection_object *it);

/* connection.c */
bool connection_define(void);
/* Of a pool that is open; NULL with an exception set. */
connection_object *connection_new(pool_object *pool);
/* Takes the handle out, to be given back to this pool; NULL with an exception set if there is none. */
phantomdb_connection *connection_take(PyObject *client, const pool_object *pool);

/* pool.c */
bool pool_define(void);

/* completion_queue.c */
extern PyTypeObject *completion_queue_type;
bool completion_queue_define(void);
PyObject *cancel_ticket(PyObject *module, PyObject *ticket);

/* tables.c */
bool tables_define(PyObject *module);

#endif
