/* Texts that go in. */
#include <string.h>

#include "native.h"

PyObject *text_bytes(PyObject *value, const char *name) {
    if (!PyUnicode_Check(value)) {
        PyErr_Format(PyExc_TypeError, "%s: must be str, not %R", name, Py_TYPE(value));
        return NULL;
    }
    PyObject *bytes = PyUnicode_AsUTF8String(value);
    if (bytes == NULL) {
        if (!PyErr_ExceptionMatches(PyExc_UnicodeError)) return NULL;
        PyErr_Clear();
        return raise_code(PHANTOMDB_ERR_INVALID_ARGUMENT, "%s: is not valid Unicode", name);
    }
    if (strlen(PyBytes_AsString(bytes)) == (size_t)PyBytes_Size(bytes)) return bytes;
    Py_DECREF(bytes);
    return raise_code(PHANTOMDB_ERR_INVALID_ARGUMENT, "%s: contains a NUL character", name);
}

bool texts_add(texts *all, PyObject *value, const char *name) {
    if (all->count == MOST_TEXTS) {
        raise_code(PHANTOMDB_ERR_INVALID_ARGUMENT, "arguments: there are too many");
        return false;
    }
    uint64_t at = all->count;
    all->holders[at] = NULL;
    all->values[at] = NULL;
    if (value != Py_None) {
        PyObject *bytes = text_bytes(value, name);
        if (bytes == NULL) return false;
        all->holders[at] = bytes;
        all->values[at] = PyBytes_AsString(bytes);
    }
    all->count++;
    return true;
}

bool texts_add_arguments(texts *all, int32_t operation, PyObject *arguments, Py_ssize_t first) {
    uint64_t known = 0;
    const phantomdb_operation_info *info = phantomdb_operation_table(&known);
    const phantomdb_operation_info *end = info + known;
    while (info < end && info->operation != operation) info++;
    Py_ssize_t count = PyTuple_Size(arguments) - first;
    for (Py_ssize_t i = 0; i < count; i++) {
        const char *name = info < end && i < (Py_ssize_t)info->argument_count ? info->arguments[i]
                                                                              : "argument";
        if (!texts_add(all, PyTuple_GetItem(arguments, first + i), name)) return false;
    }
    return true;
}

void texts_free(texts *all) {
    for (uint64_t i = 0; i < all->count; i++) Py_XDECREF(all->holders[i]);
}
