/* The tables of the library, from which Python takes its constants. */
#include "native.h"

static PyObject *codes(void) {
    uint64_t count = 0;
    const phantomdb_code_info *table = phantomdb_code_table(&count);
    PyObject *list = PyList_New(0);
    for (uint64_t i = 0; list != NULL && i < count; i++) {
        PyObject *entry = Py_BuildValue("(iss)", (int)table[i].code, table[i].name, table[i].text);
        if (entry == NULL || PyList_Append(list, entry) < 0) Py_CLEAR(list);
        Py_XDECREF(entry);
    }
    return list;
}

static PyObject *names(const phantomdb_operation_info *info) {
    PyObject *list = PyList_New(0);
    for (uint32_t i = 0; list != NULL && i < info->argument_count; i++) {
        PyObject *name = PyUnicode_FromString(info->arguments[i]);
        if (name == NULL || PyList_Append(list, name) < 0) Py_CLEAR(list);
        Py_XDECREF(name);
    }
    return list;
}

static PyObject *operations(void) {
    uint64_t count = 0;
    const phantomdb_operation_info *table = phantomdb_operation_table(&count);
    PyObject *list = PyList_New(0);
    for (uint64_t i = 0; list != NULL && i < count; i++) {
        PyObject *entry = Py_BuildValue("(isIN)", (int)table[i].operation, table[i].name,
                                        (unsigned int)table[i].required_count, names(&table[i]));
        if (entry == NULL || PyList_Append(list, entry) < 0) Py_CLEAR(list);
        Py_XDECREF(entry);
    }
    return list;
}

/* Takes the reference to the value. */
static bool add(PyObject *module, const char *name, PyObject *value) {
    if (value == NULL) return false;
    bool is_added = PyObject_SetAttrString(module, name, value) == 0;
    Py_DECREF(value);
    return is_added;
}

bool tables_define(PyObject *module) {
    return add(module, "codes", codes()) && add(module, "operations", operations()) &&
           add(module, "version", PyUnicode_FromString(phantomdb_version())) &&
           add(module, "abi_version", PyLong_FromUnsignedLong(phantomdb_abi_version())) &&
           add(module, "LOG_WARNING", PyLong_FromLong(PHANTOMDB_LOG_WARNING)) &&
           add(module, "INVALID_ARGUMENT", PyLong_FromLong(PHANTOMDB_ERR_INVALID_ARGUMENT));
}
