/* phantomdb._native: the functions of phantomdb.h that the package needs, in Python's stable ABI.
 *
 * It belongs to the main interpreter: signals are handled there alone, and a thread of the library
 * that calls a log back gets a thread state of it. Its types, and the exceptions that it raises, are
 * made once; if it is imported again, the new module has the same ones. */
#include "native.h"

static PyMethodDef functions[] = {
    {"register_errors", errors_register, METH_VARARGS, NULL},
    {"default_options", options_default, METH_NOARGS, NULL},
    {"end_logs", logs_end, METH_NOARGS, NULL},
    {"cancel", cancel_ticket, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static bool is_begun;

/* A program may end its Python and start another, for which nothing of the first is of use. */
static void on_python_end(void) {
    is_begun = false;
    errors_forget();
}

static bool begin(void) {
    if (is_begun) return true;
    if (!waiters_begin() || !values_begin()) return false;
    if (!connection_define() || !pool_define() || !completion_queue_define()) return false;
    logs_begin();
    if (Py_AtExit(on_python_end) < 0) {
        PyErr_SetString(PyExc_ImportError, "phantomdb: Python could not register an exit function");
        return false;
    }
    is_begun = true;
    return true;
}

static bool add_type(PyObject *module, const char *name, PyTypeObject *type) {
    return PyObject_SetAttrString(module, name, (PyObject *)type) == 0;
}

static int execute(PyObject *module) {
    /* The main interpreter's number is 0. Before anything that interpreters would share. */
    if (PyInterpreterState_GetID(PyInterpreterState_Get()) != 0) {
        PyErr_SetString(PyExc_ImportError,
                        "phantomdb can be imported in the main interpreter of a process only, not in a "
                        "subinterpreter; under mod_wsgi, set WSGIApplicationGroup %{GLOBAL}");
        return -1;
    }
    bool is_made = begin() && tables_define(module) &&
                   add_type(module, "Connection", connection_type) &&
                   add_type(module, "Pool", pool_type) &&
                   add_type(module, "CompletionQueue", completion_queue_type);
    return is_made ? 0 : -1;
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, execute},
    {0, NULL},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "phantomdb._native",
    .m_methods = functions,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__native(void) {
    return PyModuleDef_Init(&definition);
}
