/* Exceptions, which phantomdb.errors makes.
 *
 * That module may be executed more than once: it is reloaded, or forgotten and imported again. Its
 * first classes stay the ones that are raised, and every copy of the module gets them, so that an
 * `except` clause catches whichever copy it took its class from. */
#include <stdarg.h>
#include <stdio.h>

#include "native.h"

static PyObject *classes;
static PyObject *make;

/* register_errors(classes, factory): the classes that were registered first. */
PyObject *errors_register(PyObject *module, PyObject *arguments) {
    (void)module;
    PyObject *given, *factory;
    if (!PyArg_ParseTuple(arguments, "O!O", &PyDict_Type, &given, &factory)) return NULL;
    if (classes == NULL) {
        classes = PyDict_Copy(given);
        if (classes == NULL) return NULL;
        Py_INCREF(factory);
        make = factory;
    }
    return PyDict_Copy(classes);
}

void errors_forget(void) {
    classes = make = NULL;
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
