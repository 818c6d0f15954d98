/* What is asked, and the functions of the library that ask it. */
#include "native.h"

bool question_read_run(question *it, PyObject *arguments, Py_ssize_t first) {
    *it = (question){.is_request = false};
    if (PyTuple_Size(arguments) <= first) {
        PyErr_SetString(PyExc_TypeError, "an operation is missing");
        return false;
    }
    long operation = PyLong_AsLong(PyTuple_GetItem(arguments, first));
    if (operation == -1 && PyErr_Occurred()) return false;
    it->operation = (int32_t)operation;
    it->shape = shape_of_operation(it->operation);
    return texts_add_arguments(&it->all, it->operation, arguments, first + 1);
}

bool question_read_request(question *it, PyObject *arguments, Py_ssize_t first) {
    *it = (question){.is_request = true};
    if (PyTuple_Size(arguments) != first + 3) {
        PyErr_SetString(PyExc_TypeError, "a request takes a method, a path and a body");
        return false;
    }
    if (!texts_add(&it->all, PyTuple_GetItem(arguments, first), "method") ||
        !texts_add(&it->all, PyTuple_GetItem(arguments, first + 1), "path")) {
        return false;
    }
    PyObject *body = PyTuple_GetItem(arguments, first + 2);
    if (body == Py_None) return true;
    it->body = PyBytes_AsString(body);
    if (it->body == NULL) return false;
    it->length = (uint64_t)PyBytes_Size(body);
    return true;
}

void question_free(question *it) {
    texts_free(&it->all);
}

int32_t question_ask(const question *it, target on, phantomdb_result **result, phantomdb_error *error) {
    const char *const *texts = it->all.values;
    if (it->is_request) {
        return on.connection != NULL
                   ? phantomdb_connection_request(on.connection, texts[0], texts[1], it->body,
                                                  it->length, result, error)
                   : phantomdb_pool_request(on.pool, texts[0], texts[1], it->body, it->length, result,
                                            error);
    }
    return on.connection != NULL
               ? phantomdb_connection_run(on.connection, it->operation, texts, it->all.count, result,
                                          error)
               : phantomdb_pool_run(on.pool, it->operation, texts, it->all.count, result, error);
}

int32_t question_ask_async(const question *it, target on, phantomdb_result_callback callback,
                           void *user_data, phantomdb_ticket **ticket, phantomdb_error *error) {
    const char *const *texts = it->all.values;
    if (it->is_request) {
        return on.connection != NULL
                   ? phantomdb_connection_request_async(on.connection, texts[0], texts[1], it->body,
                                                        it->length, callback, user_data, ticket, error)
                   : phantomdb_pool_request_async(on.pool, texts[0], texts[1], it->body, it->length,
                                                  callback, user_data, ticket, error);
    }
    return on.connection != NULL
               ? phantomdb_connection_run_async(on.connection, it->operation, texts, it->all.count,
                                                callback, user_data, ticket, error)
               : phantomdb_pool_run_async(on.pool, it->operation, texts, it->all.count, callback,
                                          user_data, ticket, error);
}
