/* The arguments of methods. */
#include "native.h"

PyObject *only_argument(PyObject *arguments, PyObject *named, const char *name) {
    Py_ssize_t by_place = PyTuple_Size(arguments);
    Py_ssize_t by_name = named != NULL ? PyDict_Size(named) : 0;
    if (by_place == 1 && by_name == 0) return PyTuple_GetItem(arguments, 0);
    PyObject *value = by_place == 0 && by_name == 1 ? PyDict_GetItemString(named, name) : NULL;
    if (value == NULL) PyErr_Format(PyExc_TypeError, "takes one argument, %s", name);
    return value;
}
