/* The options of a pool, from a dict. */
#include <stddef.h>
#include <string.h>

#include "native.h"

typedef enum option_type { COUNT, SIZE, TIME, FLAG, TEXT, VALIDATION } option_type;

typedef struct option {
    const char *name;
    option_type type;
    size_t offset;
} option;

#define OPTION(name, type, member) {name, type, offsetof(phantomdb_pool_options, member)}

/* All but `log`, which pool.c deals with. */
static const option options[] = {
    OPTION("base_url", TEXT, base_url),
    OPTION("token", TEXT, token),
    OPTION("min_connections", COUNT, min_connections),
    OPTION("max_connections", COUNT, max_connections),
    OPTION("acquire_timeout", TIME, acquire_timeout_ms),
    OPTION("idle_timeout", TIME, idle_timeout_ms),
    OPTION("max_lifetime", TIME, max_lifetime_ms),
    OPTION("validation", VALIDATION, validation),
    OPTION("validate_after", TIME, validate_after_ms),
    OPTION("validation_timeout", TIME, validation_timeout_ms),
    OPTION("max_waiters", COUNT, max_waiters),
    OPTION("max_connecting", COUNT, max_connecting),
    OPTION("request_timeout", TIME, request_timeout_ms),
    OPTION("connect_timeout", TIME, connect_timeout_ms),
    OPTION("close_timeout", TIME, close_timeout_ms),
    OPTION("leak_threshold", TIME, leak_threshold_ms),
    OPTION("preconnect", FLAG, preconnect),
    OPTION("tls_ca_file", TEXT, tls_ca_file),
    OPTION("tls_cert_file", TEXT, tls_cert_file),
    OPTION("tls_key_file", TEXT, tls_key_file),
    OPTION("max_response_bytes", SIZE, max_response_bytes),
};
enum { OPTIONS = sizeof options / sizeof *options };

static const char *const validations[] = {
    [PHANTOMDB_VALIDATION_SOCKET] = "socket",
    [PHANTOMDB_VALIDATION_PING] = "ping",
    [PHANTOMDB_VALIDATION_NONE] = "none",
};
enum { VALIDATIONS = sizeof validations / sizeof *validations };

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

static bool read_validation(const option *wanted, PyObject *value, int32_t *validation) {
    if (!PyUnicode_Check(value)) return refuse_type(wanted->name, "str", value);
    for (int32_t i = 0; i < VALIDATIONS; i++) {
        if (PyUnicode_CompareWithASCIIString(value, validations[i]) != 0) continue;
        *validation = i;
        return true;
    }
    raise_code(PHANTOMDB_ERR_INVALID_ARGUMENT, "%s: is none of 'socket', 'ping' and 'none'",
               wanted->name);
    return false;
}

static bool read_one(const option *wanted, PyObject *value, phantomdb_pool_options *into,
                     option_texts *held) {
    void *place = (char *)into + wanted->offset;
    unsigned long long number = 0;
    texts one = {.count = 0};
    switch (wanted->type) {
    case COUNT: return count_of(value, wanted->name, place);
    case SIZE:
        if (!read_number(wanted->name, value, UINT64_MAX, &number)) return false;
        *(uint64_t *)place = number;
        return true;
    case TIME: return milliseconds_of(value, wanted->name, place);
    case FLAG:
        if (!PyBool_Check(value)) return refuse_type(wanted->name, "bool", value);
        *(int32_t *)place = value == Py_True;
        return true;
    case VALIDATION: return read_validation(wanted, value, place);
    case TEXT:
        if (!texts_add(&one, value, wanted->name)) return false;
        held->holders[held->count++] = one.holders[0];
        *(const char **)place = one.values[0];
        return true;
    }
    return false;
}

bool options_read(PyObject *given, phantomdb_pool_options *into, option_texts *held) {
    held->count = 0;
    phantomdb_pool_options_init(into, sizeof *into);
    for (int i = 0; i < OPTIONS; i++) {
        PyObject *value = PyDict_GetItemString(given, options[i].name);
        /* None stands for the default. */
        if (value == NULL || value == Py_None) continue;
        if (!read_one(&options[i], value, into, held)) return false;
    }
    return true;
}

void option_texts_free(option_texts *held) {
    for (int i = 0; i < held->count; i++) Py_XDECREF(held->holders[i]);
}

static PyObject *value_of(const option *wanted, const phantomdb_pool_options *from) {
    const void *place = (const char *)from + wanted->offset;
    const char *text = NULL;
    switch (wanted->type) {
    case COUNT: return PyLong_FromUnsignedLong(*(const uint32_t *)place);
    case SIZE: return PyLong_FromUnsignedLongLong(*(const uint64_t *)place);
    case TIME: return PyFloat_FromDouble((double)*(const int64_t *)place / 1000);
    case FLAG: return PyBool_FromLong(*(const int32_t *)place);
    case VALIDATION: text = validations[*(const int32_t *)place]; break;
    case TEXT: text = *(const char *const *)place; break;
    }
    if (text != NULL) return PyUnicode_FromString(text);
    Py_RETURN_NONE;
}

PyObject *options_default(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
    phantomdb_pool_options defaults;
    phantomdb_pool_options_init(&defaults, sizeof defaults);
    PyObject *made = PyDict_New();
    for (int i = 0; made != NULL && i < OPTIONS; i++) {
        PyObject *value = value_of(&options[i], &defaults);
        if (value == NULL || PyDict_SetItemString(made, options[i].name, value) < 0) Py_CLEAR(made);
        Py_XDECREF(value);
    }
    return made;
}
