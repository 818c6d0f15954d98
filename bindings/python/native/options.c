/* The options of a pool, from a dict: which there are, the table of the library says. */
#include <stdio.h>
#include <string.h>

#include "native.h"

/* Whether an option can be read here. One that a newer library has, and phantomdb.h did not, can't. */
static bool is_known(const phantomdb_option_info *option) {
    return option->type <= PHANTOMDB_OPTION_FILE &&
           option->offset + option->size <= sizeof(phantomdb_pool_options);
}

static bool refuse_type(const char *name, const char *wanted, PyObject *value) {
    PyErr_Format(PyExc_TypeError, "%s: must be %s, not %R", name, wanted, Py_TYPE(value));
    return false;
}

static bool read_number(const char *name, PyObject *value, unsigned long long most,
                        unsigned long long *number) {
    if (!PyIndex_Check(value)) return refuse_type(name, "int", value);
    PyObject *whole = PyNumber_Index(value);
    if (whole == NULL) return false;
    *number = PyLong_AsUnsignedLongLong(whole);
    Py_DECREF(whole);
    bool is_outside = *number == (unsigned long long)-1 && PyErr_Occurred();
    PyErr_Clear();
    if (!is_outside && *number <= most) return true;
    raise_code(PHANTOMDB_ERR_INVALID_ARGUMENT, "%s: is out of range", name);
    return false;
}

bool count_of(PyObject *value, const char *name, uint32_t *count) {
    unsigned long long number;
    if (!read_number(name, value, UINT32_MAX, &number)) return false;
    *count = (uint32_t)number;
    return true;
}

static bool read_choice(const phantomdb_option_info *option, PyObject *value, int32_t *number) {
    if (!PyUnicode_Check(value)) return refuse_type(option->name, "str", value);
    char names[256] = "";
    for (uint32_t i = 0; i < option->choice_count; i++) {
        const char *name = option->choices[i];
        if (PyUnicode_CompareWithASCIIString(value, name) == 0) {
            *number = (int32_t)i;
            return true;
        }
        size_t end = strlen(names);
        snprintf(names + end, sizeof names - end, "%s'%s'", i == 0 ? "" : ", ", name);
    }
    raise_code(PHANTOMDB_ERR_INVALID_ARGUMENT, "%s: must be one of %s", option->name, names);
    return false;
}

/* A text, or the path of a file. What has it is added to the list `held`. */
static bool read_text(const phantomdb_option_info *option, PyObject *value, const char **text,
                      PyObject *held) {
    PyObject *path = NULL;
    if (option->type == PHANTOMDB_OPTION_FILE) {
        path = PyOS_FSPath(value);
        if (path == NULL) return false;
        value = path;
    }
    PyObject *bytes = text_bytes(value, option->name);
    Py_XDECREF(path);
    if (bytes == NULL) return false;
    *text = PyBytes_AsString(bytes);
    bool is_held = PyList_Append(held, bytes) == 0;
    Py_DECREF(bytes);
    return is_held;
}

static bool read_option(const phantomdb_option_info *option, PyObject *value, void *member,
                        PyObject *held) {
    unsigned long long number;
    switch (option->type) {
    case PHANTOMDB_OPTION_COUNT: return count_of(value, option->name, member);
    case PHANTOMDB_OPTION_SIZE:
        if (!read_number(option->name, value, UINT64_MAX, &number)) return false;
        *(uint64_t *)member = number;
        return true;
    case PHANTOMDB_OPTION_TIME: return milliseconds_of(value, option->name, member);
    case PHANTOMDB_OPTION_FLAG:
        if (!PyBool_Check(value)) return refuse_type(option->name, "bool", value);
        *(int32_t *)member = value == Py_True;
        return true;
    case PHANTOMDB_OPTION_CHOICE: return read_choice(option, value, member);
    default: return read_text(option, value, member, held);
    }
}

PyObject *options_read(PyObject *given, phantomdb_pool_options *into) {
    uint64_t count = 0;
    const phantomdb_option_info *table = phantomdb_option_table(&count);
    PyObject *held = PyList_New(0);
    phantomdb_pool_options_init(into, sizeof *into);
    for (uint64_t i = 0; held != NULL && i < count; i++) {
        if (!is_known(&table[i])) continue;
        PyObject *value = PyDict_GetItemString(given, table[i].name);
        /* None stands for the default. */
        if (value == NULL || value == Py_None) continue;
        if (!read_option(&table[i], value, (char *)into + table[i].offset, held)) Py_CLEAR(held);
    }
    return held;
}

static PyObject *default_of(const phantomdb_option_info *option) {
    int64_t number = option->default_number;
    const char *text = option->default_text;
    switch (option->type) {
    case PHANTOMDB_OPTION_TIME: return PyFloat_FromDouble((double)number / 1000);
    case PHANTOMDB_OPTION_FLAG: return PyBool_FromLong((long)number);
    case PHANTOMDB_OPTION_CHOICE: text = option->choices[number]; break;
    case PHANTOMDB_OPTION_COUNT:
    case PHANTOMDB_OPTION_SIZE: return PyLong_FromLongLong(number);
    }
    if (text != NULL) return PyUnicode_FromString(text);
    Py_RETURN_NONE;
}

PyObject *options_default(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
    uint64_t count = 0;
    const phantomdb_option_info *table = phantomdb_option_table(&count);
    PyObject *made = PyDict_New();
    for (uint64_t i = 0; made != NULL && i < count; i++) {
        if (!is_known(&table[i])) continue;
        PyObject *value = default_of(&table[i]);
        if (value == NULL || PyDict_SetItemString(made, table[i].name, value) < 0) Py_CLEAR(made);
        Py_XDECREF(value);
    }
    return made;
}
