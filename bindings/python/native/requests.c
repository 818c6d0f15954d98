/* Operations and requests for callers that wait.
 *
 * The main thread waits by way of the asynchronous forms, so that a signal can end that; others
 * run the request themselves. */
#include "native.h"

static PyObject *ask_in_main_thread(const question *it, target on) {
    waiter waiter;
    /* Not the waiter's, which the callback may have filled before the call returns. */
    phantomdb_error error;
    PyObject *value = NULL;
    waiter_begin(&waiter, on.pool);
    int32_t code = question_ask_async(it, on, wake_with_result, &waiter, &waiter.ticket, &error);
    if (code != PHANTOMDB_OK) {
        raise_error(&error);
    } else if (waiter_wait(&waiter)) {
        value = waiter.result != NULL ? value_of_result(waiter.result, it->shape)
                                      : raise_error(&waiter.error);
    }
    waiter_end(&waiter);
    return value;
}

static PyObject *ask(const question *it, target on) {
    if (is_main_thread()) return ask_in_main_thread(it, on);
    phantomdb_error error;
    phantomdb_result *result = NULL;
    Py_BEGIN_ALLOW_THREADS
    question_ask(it, on, &result, &error);
    Py_END_ALLOW_THREADS
    return result != NULL ? value_of_result(result, it->shape) : raise_error(&error);
}

PyObject *run(target on, PyObject *arguments) {
    question it;
    PyObject *value = question_read_run(&it, arguments, 0) ? ask(&it, on) : NULL;
    question_free(&it);
    return value;
}

PyObject *request(target on, PyObject *arguments) {
    question it;
    PyObject *value = question_read_request(&it, arguments, 0) ? ask(&it, on) : NULL;
    question_free(&it);
    return value;
}
