/* Exceptions, which phantomdb.errors makes. */
#include <stdarg.h>
#include <stdio.h>

#include "native.h"

static PyObject *make;

PyObject *errors_set_factory(PyObject *module, PyObject *factory) {
    (void)module;
    Py_INCREF(factory);
    Py_XDECREF(make);
    make = factory;
    Py_RETURN_NONE;
}

PyObject *error_new(int32_t code, const char *message, int32_t http_status, int64_t retry_after_ms,
                    bool retriable) {
    if (make == NULL) {
        PyErr_SetString(PyExc_RuntimeError, message);
        return NULL;
    }
    return PyObject_CallFunction(make, "isiLO", (int)code, message, (int)http_status,
                                 (long long)retry_after_ms, retriable ? Py_True : Py_False);
}

static PyObject *raise_new(PyObject *error) {
    if (error == NULL) return NULL;
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
    return NULL;
}

PyObject *raise_error(const phantomdb_error *error) {
    return raise_new(error_new(error->code, error->message, error->http_status,
                               error->retry_after_ms, error->retriable));
}

PyObject *raise_code(int32_t code, const char *format, ...) {
    char message[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return raise_new(error_new(code, message, 0, 0, false));
}
