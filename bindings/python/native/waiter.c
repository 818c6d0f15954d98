/* How a thread waits for the outcome of an asynchronous call, with the GIL released.
 *
 * The main thread must notice signals meanwhile, because Python runs their handlers there: Ctrl-C
 * would else wait for the response. A signal that comes just before a system call would not
 * interrupt that, so while it waits it has a file descriptor to which Python's own handler writes
 * (signal.set_wakeup_fd). */
#define _GNU_SOURCE
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "native.h"

/* For so long the main thread just waits: most requests are over before, and Ctrl-C can wait as long. */
enum { SHORT_WAIT_NS = 2000000 };

typedef enum thread_kind { UNKNOWN, MAIN, OTHER } thread_kind;

static _Thread_local thread_kind this_thread;
static pthread_condattr_t monotonic;
static PyObject *set_wakeup_fd;
/* Whether this thread wakes waiters later, and whom. */
static _Thread_local bool is_release;
static _Thread_local waiter *to_wake;

/* The thread that forks is the main thread of the child. */
static void after_fork(void) {
    this_thread = UNKNOWN;
}

bool waiters_begin(void) {
    static bool is_registered;
    PyObject *signal = PyImport_ImportModule("signal");
    if (signal == NULL) return false;
    set_wakeup_fd = PyObject_GetAttrString(signal, "set_wakeup_fd");
    Py_DECREF(signal);
    if (!is_registered) {
        pthread_condattr_init(&monotonic);
        pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
        pthread_atfork(NULL, NULL, after_fork);
        is_registered = true;
    }
    return set_wakeup_fd != NULL;
}

/* Python itself is asked where it handles signals: `threading` may have been replaced, and tell the
 * number of a greenlet. For a descriptor that is none, set_wakeup_fd changes nothing, and raises a
 * ValueError in any thread but the main one, and an OSError there. */
static thread_kind ask_python(void) {
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    Py_XDECREF(PyObject_CallFunction(set_wakeup_fd, "i", INT_MAX));
    thread_kind kind = PyErr_ExceptionMatches(PyExc_ValueError) ? OTHER : MAIN;
    PyErr_Clear();
    PyErr_Restore(type, value, traceback);
    return kind;
}

bool is_main_thread(void) {
    if (this_thread == UNKNOWN) this_thread = ask_python();
    return this_thread == MAIN;
}

void waiter_begin(waiter *it, phantomdb_pool *pool) {
    pthread_mutex_init(&it->lock, NULL);
    pthread_cond_init(&it->changed, &monotonic);
    it->is_done = false;
    it->wake_descriptor = -1;
    it->pool = pool;
    it->ticket = NULL;
    it->connection = NULL;
    it->result = NULL;
    it->error.code = PHANTOMDB_OK;
}

void waiter_end(waiter *it) {
    pthread_cond_destroy(&it->changed);
    pthread_mutex_destroy(&it->lock);
}

static void wake(waiter *it) {
    pthread_mutex_lock(&it->lock);
    it->is_done = true;
    if (it->wake_descriptor >= 0) eventfd_write(it->wake_descriptor, 1);
    pthread_cond_signal(&it->changed);
    pthread_mutex_unlock(&it->lock);
}

static void end_wait(waiter *it, const phantomdb_error *error) {
    if (error->code != PHANTOMDB_OK) it->error = *error;
    if (is_release) {
        it->next = to_wake;
        to_wake = it;
    } else {
        wake(it);
    }
}

void release_begin(void) {
    is_release = true;
}

void release_end(void) {
    waiter *first = to_wake;
    is_release = false;
    to_wake = NULL;
    if (first == NULL) return;
    Py_BEGIN_ALLOW_THREADS
    while (first != NULL) {
        /* Once it is woken it may be gone. */
        waiter *next = first->next;
        wake(first);
        first = next;
    }
    /* Or this thread has the GIL again before they run. */
    sched_yield();
    Py_END_ALLOW_THREADS
}

void wake_with_connection(phantomdb_connection *connection, const phantomdb_error *error, void *user_data) {
    waiter *it = user_data;
    it->connection = connection;
    end_wait(it, error);
}

void wake_with_result(phantomdb_result *result, const phantomdb_error *error, void *user_data) {
    waiter *it = user_data;
    it->result = result;
    end_wait(it, error);
}

void wake_closed(const phantomdb_error *error, void *user_data) {
    end_wait(user_data, error);
}

static void wait_for_ever(waiter *it) {
    Py_BEGIN_ALLOW_THREADS
    /* The thread that gets the GIL now runs before this one sleeps, and may be the one that serves it. */
    sched_yield();
    pthread_mutex_lock(&it->lock);
    while (!it->is_done) pthread_cond_wait(&it->changed, &it->lock);
    pthread_mutex_unlock(&it->lock);
    Py_END_ALLOW_THREADS
}

static bool wait_a_moment(waiter *it) {
    bool is_done;
    Py_BEGIN_ALLOW_THREADS
    struct timespec end;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_nsec += SHORT_WAIT_NS;
    if (end.tv_nsec >= 1000000000) {
        end.tv_nsec -= 1000000000;
        end.tv_sec++;
    }
    pthread_mutex_lock(&it->lock);
    int status = 0;
    while (!it->is_done && status == 0) status = pthread_cond_timedwait(&it->changed, &it->lock, &end);
    is_done = it->is_done;
    pthread_mutex_unlock(&it->lock);
    Py_END_ALLOW_THREADS
    return is_done;
}

static bool set_wake_descriptor(waiter *it, int wake_descriptor) {
    pthread_mutex_lock(&it->lock);
    it->wake_descriptor = wake_descriptor;
    bool is_done = it->is_done;
    pthread_mutex_unlock(&it->lock);
    return is_done;
}

/* Makes Python write to this descriptor; gives the one it wrote to before. */
static int swap_wakeup_fd(int fd) {
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    PyObject *previous = PyObject_CallFunction(set_wakeup_fd, "i", fd);
    int number = previous != NULL ? (int)PyLong_AsLong(previous) : -1;
    Py_XDECREF(previous);
    /* It fails for a descriptor that its owner has closed, whom nothing is lost by then. */
    PyErr_Clear();
    PyErr_Restore(type, value, traceback);
    return number;
}

/* Passes the signals on to the descriptor that was set before, asyncio's for example. */
static void forward(int from, int to) {
    char numbers[64];
    ssize_t count;
    while ((count = read(from, numbers, sizeof numbers)) > 0) {
        if (to >= 0 && write(to, numbers, (size_t)count) < 0) return;
    }
}

/* Whether it is done; false if a signal handler has raised. */
static bool wait_with_signals(waiter *it, int wake_descriptor, int signals, int other) {
    bool is_done = set_wake_descriptor(it, wake_descriptor);
    while (!is_done) {
        /* Those that came before the descriptor was set. */
        if (PyErr_CheckSignals() < 0) break;
        struct pollfd events[] = {{.fd = wake_descriptor, .events = POLLIN},
                                  {.fd = signals, .events = POLLIN}};
        Py_BEGIN_ALLOW_THREADS
        poll(events, 2, -1);
        Py_END_ALLOW_THREADS
        if (events[1].revents != 0) forward(signals, other);
        is_done = events[0].revents != 0;
    }
    set_wake_descriptor(it, -1);
    return is_done;
}

static bool wait_in_main_thread(waiter *it) {
    int wake_descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int pipes[2] = {-1, -1};
    bool is_done = false;
    if (wake_descriptor < 0 || pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0) {
        PyErr_SetFromErrno(PyExc_OSError);
    } else {
        int other = swap_wakeup_fd(pipes[1]);
        is_done = wait_with_signals(it, wake_descriptor, pipes[0], other);
        int ours = swap_wakeup_fd(other);
        /* A signal handler may have set its own meanwhile. */
        if (ours != pipes[1]) swap_wakeup_fd(ours);
        forward(pipes[0], other);
    }
    if (wake_descriptor >= 0) close(wake_descriptor);
    if (pipes[0] >= 0) close(pipes[0]);
    if (pipes[1] >= 0) close(pipes[1]);
    return is_done;
}

/* Ends the call, and gives back what it brought. */
static void give_up(waiter *it) {
    if (it->ticket != NULL) {
        phantomdb_cancel(it->ticket, NULL);
    } else {
        Py_BEGIN_ALLOW_THREADS
        phantomdb_pool_close_timeout(it->pool, 0, NULL);
        Py_END_ALLOW_THREADS
    }
    wait_for_ever(it);
    if (it->connection != NULL) phantomdb_pool_release(it->pool, it->connection, NULL);
    if (it->result != NULL) phantomdb_result_free(it->result);
}

bool waiter_wait(waiter *it) {
    if (!is_main_thread()) {
        wait_for_ever(it);
        return true;
    }
    if (wait_a_moment(it) || wait_in_main_thread(it)) return true;
    give_up(it);
    return false;
}
