/* phantomdb._native: the functions of phantomdb.h that the package needs, in Python's stable ABI.
 *
 * It is initialised once per process, and so refused by subinterpreters, which would share what
 * belongs to the process: the main thread's signals, and the thread states of log callbacks. */
#include "native.h"

static PyMethodDef functions[] = {
    {"set_error_factory", errors_set_factory, METH_O, NULL},
    {"default_options", options_default, METH_NOARGS, NULL},
    {"end_logs", logs_end, METH_NOARGS, NULL},
    {"cancel", inbox_cancel, METH_O, NULL},
    {NULL, NULL, 0, NULL},
};

static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "phantomdb._native",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__native(void) {
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL) return NULL;
    logs_begin();
    if (waiters_begin() && tables_define(module) && connection_define(module) && pool_define(module) &&
        inbox_define(module)) {
        return module;
    }
    Py_DECREF(module);
    return NULL;
}
