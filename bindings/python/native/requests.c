/* Operations and requests for callers that wait.
 *
 * The main thread waits by way of the asynchronous forms, so that a signal can end that; others
 * run the request themselves. */
#include "native.h"

static PyObject *answer_in_main_thread(const question *it, target on) {
    waiter waiter;
    /* Not the waiter's, which the callback may have filled before the call returns. */
    phantomdb_error error;
    PyObject *answer = NULL;
    waiter_begin(&waiter, on.pool);
    int32_t code = question_ask_async(it, on, wake_with_result, &waiter, &waiter.ticket, &error);
    if (code != PHANTOMDB_OK) {
        raise_error(&error);
    } else if (waiter_wait(&waiter)) {
        answer = waiter.result != NULL ? text_of_result(waiter.result) : raise_error(&waiter.error);
    }
    waiter_end(&waiter);
    return answer;
}

static PyObject *answer(const question *it, target on) {
    if (is_main_thread()) return answer_in_main_thread(it, on);
    phantomdb_error error;
    phantomdb_result *result = NULL;
    Py_BEGIN_ALLOW_THREADS
    question_ask(it, on, &result, &error);
    Py_END_ALLOW_THREADS
    return result != NULL ? text_of_result(result) : raise_error(&error);
}

PyObject *run(target on, PyObject *arguments) {
    question it;
    PyObject *text = question_read_run(&it, arguments, 0) ? answer(&it, on) : NULL;
    question_free(&it);
    return text;
}

PyObject *request(target on, PyObject *arguments) {
    question it;
    PyObject *text = question_read_request(&it, arguments, 0) ? answer(&it, on) : NULL;
    question_free(&it);
    return text;
}
