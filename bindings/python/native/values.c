/* Results of the library as objects of Python. The library has read and checked the response; here its
 * values are made into objects, a chunk at a time, without recursion. */
#include <string.h>

#include "native.h"

/* How many arrays and objects the library lets be open at once, and how many digits Python reads in
 * a time that does not matter; integers of more become what keeps them exactly. */
enum { CHUNK = 256, MOST_OPEN = 128, MOST_DIGITS = 4300 };

/* A function of Python that does nothing. */
static PyObject *nothing;

bool values_begin(void) {
    PyObject *code = Py_CompileString("lambda: None", "<phantomdb>", Py_eval_input);
    PyObject *globals = code != NULL ? PyDict_New() : NULL;
    nothing = globals != NULL ? PyEval_EvalCode(code, globals, globals) : NULL;
    Py_XDECREF(globals);
    Py_XDECREF(code);
    return nothing != NULL;
}

/* After each full chunk: a large result must not keep other threads from running. Before a function of
 * Python the interpreter hands its lock to a thread that has waited for its switch interval, and runs
 * signal handlers, as it does in every program. To release the lock and take it again would not do: each
 * release begins the waiters' interval anew, and they lose the race for the lock, for they must wake up
 * first. False with an exception set. */
static bool let_others_run(void) {
    PyObject *none = PyObject_CallObject(nothing, NULL);
    Py_XDECREF(none);
    return none != NULL;
}

static PyObject *text_of(const phantomdb_value *it) {
    return PyUnicode_DecodeUTF8(it->text, (Py_ssize_t)it->length, "strict");
}

/* A number that neither int nor float holds, as a Decimal of the digits that were sent. One whose exponent
 * is too large for that too stays a text. */
static PyObject *exact_of(const phantomdb_value *it) {
    PyObject *text = text_of(it);
    PyObject *decimal = text != NULL ? PyImport_ImportModule("decimal") : NULL;
    PyObject *made = decimal != NULL ? PyObject_CallMethod(decimal, "Decimal", "O", text) : NULL;
    PyObject *is_finite = made != NULL ? PyObject_CallMethod(made, "is_finite", NULL) : NULL;
    bool is_exact = is_finite == Py_True;
    Py_XDECREF(is_finite);
    Py_XDECREF(decimal);
    if (!is_exact && text != NULL && !PyErr_ExceptionMatches(PyExc_MemoryError)) {
        PyErr_Clear();
        Py_XDECREF(made);
        return text;
    }
    Py_XDECREF(text);
    if (!is_exact) Py_CLEAR(made);
    return made;
}

static PyObject *big_integer_of(const phantomdb_value *it) {
    char digits[MOST_DIGITS + 2];
    uint64_t sign = it->length > 0 && it->text[0] == '-';
    if (it->length - sign > MOST_DIGITS) return exact_of(it);
    memcpy(digits, it->text, it->length);
    digits[it->length] = '\0';
    PyObject *made = PyLong_FromString(digits, NULL, 10);
    /* The program may have set a lower limit (sys.set_int_max_str_digits). */
    if (made != NULL || !PyErr_ExceptionMatches(PyExc_ValueError)) return made;
    PyErr_Clear();
    return exact_of(it);
}

static PyObject *scalar_of(const phantomdb_value *it) {
    switch (it->kind) {
    case PHANTOMDB_VALUE_NULL: Py_RETURN_NONE;
    case PHANTOMDB_VALUE_BOOL: return PyBool_FromLong(it->integer != 0);
    case PHANTOMDB_VALUE_INTEGER: return PyLong_FromLongLong(it->integer);
    case PHANTOMDB_VALUE_BIG_INTEGER: return big_integer_of(it);
    case PHANTOMDB_VALUE_DOUBLE: return PyFloat_FromDouble(it->number);
    case PHANTOMDB_VALUE_BIG_NUMBER: return exact_of(it);
    case PHANTOMDB_VALUE_STRING: return text_of(it);
    default: PyErr_Format(PyExc_SystemError, "a value of the unknown kind %d", (int)it->kind);
    }
    return NULL;
}

/* JSON on its way from tokens to an object. */
typedef struct builder {
    /* The innermost is the last. Borrowed: each belongs to the one before it. */
    PyObject *open[MOST_OPEN];
    int depth;
    /* Owned, as are the names of members, so that equal ones are one object. */
    PyObject *whole;
    PyObject *key;
    PyObject *names;
} builder;

/* Takes the reference to the value. */
static bool put(builder *it, PyObject *value) {
    bool is_put = false;
    if (value == NULL) return false;
    if (it->depth == 0) {
        Py_XDECREF(it->whole);
        it->whole = value;
        return true;
    }
    PyObject *into = it->open[it->depth - 1];
    if (!PyDict_Check(into)) {
        is_put = PyList_Append(into, value) == 0;
    } else if (it->key != NULL) {
        is_put = PyDict_SetItem(into, it->key, value) == 0;
    } else {
        PyErr_SetString(PyExc_SystemError, "a member without a name");
    }
    Py_CLEAR(it->key);
    Py_DECREF(value);
    return is_put;
}

static bool open_with(builder *it, PyObject *container) {
    if (container == NULL) return false;
    if (it->depth == MOST_OPEN) {
        Py_DECREF(container);
        PyErr_SetString(PyExc_SystemError, "JSON is nested too deeply");
        return false;
    }
    if (!put(it, container)) return false;
    it->open[it->depth++] = container;
    return true;
}

static bool set_key(builder *it, const phantomdb_value *token) {
    PyObject *key = text_of(token);
    if (key == NULL || (it->names == NULL && (it->names = PyDict_New()) == NULL)) {
        Py_XDECREF(key);
        return false;
    }
    PyObject *known = PyDict_GetItemWithError(it->names, key);
    if (known == NULL && (PyErr_Occurred() || PyDict_SetItem(it->names, key, key) < 0)) {
        Py_DECREF(key);
        return false;
    }
    if (known != NULL) {
        Py_INCREF(known);
        Py_DECREF(key);
        key = known;
    }
    Py_XDECREF(it->key);
    it->key = key;
    return true;
}

static bool take_token(builder *it, const phantomdb_value *token) {
    switch (token->kind) {
    case PHANTOMDB_VALUE_ARRAY: return open_with(it, PyList_New(0));
    case PHANTOMDB_VALUE_OBJECT: return open_with(it, PyDict_New());
    case PHANTOMDB_VALUE_KEY: return set_key(it, token);
    case PHANTOMDB_VALUE_END:
        if (it->depth > 0) it->depth--;
        return true;
    default: return put(it, scalar_of(token));
    }
}

/* Where strings with escapes are decoded to. */
typedef struct buffer {
    char *bytes;
    uint64_t size;
} buffer;

static bool buffer_grow(buffer *it, uint64_t needed) {
    uint64_t size = needed > 2 * it->size ? needed : 2 * it->size;
    if (size < 4096) size = 4096;
    char *bytes = PyMem_Realloc(it->bytes, size);
    if (bytes == NULL) {
        PyErr_NoMemory();
        return false;
    }
    it->bytes = bytes;
    it->size = size;
    return true;
}

static int32_t read_tokens(const phantomdb_result *result, uint64_t row, uint64_t column,
                           builder *into, buffer *decoded, phantomdb_error *error) {
    phantomdb_value tokens[CHUNK];
    uint64_t position = 0, count = 0;
    do {
        tokens[0].length = 0;
        int32_t code = phantomdb_result_read_json(result, row, column, &position, tokens, CHUNK, &count,
                                                  decoded->bytes, decoded->size, error);
        if (code == PHANTOMDB_ERR_INVALID_ARGUMENT && tokens[0].length > decoded->size) {
            count = 1;
            if (!buffer_grow(decoded, tokens[0].length)) return PHANTOMDB_OK;
            continue;
        }
        if (code != PHANTOMDB_OK) return code;
        for (uint64_t i = 0; i < count; i++) {
            if (!take_token(into, &tokens[i])) return PHANTOMDB_OK;
        }
        if (count == CHUNK && !let_others_run()) return PHANTOMDB_OK;
    } while (count > 0);
    return PHANTOMDB_OK;
}

static PyObject *whole_text_of(const phantomdb_result *result) {
    const char *text = "";
    uint64_t length = 0;
    phantomdb_error error;
    if (phantomdb_result_text(result, &text, &length, &error) != PHANTOMDB_OK) return raise_error(&error);
    return PyUnicode_DecodeUTF8(text, (Py_ssize_t)length, "strict");
}

/* Of a cell, or of the whole result; what is not JSON is given as its text. */
static PyObject *json_of(phantomdb_result *result, uint64_t row, uint64_t column, buffer *decoded) {
    builder into = {.depth = 0};
    phantomdb_error error;
    int32_t code = read_tokens(result, row, column, &into, decoded, &error);
    if (code == PHANTOMDB_ERR_TYPE) {
        Py_CLEAR(into.whole);
        into.whole = whole_text_of(result);
    } else if (code != PHANTOMDB_OK) {
        raise_error(&error);
    }
    if (PyErr_Occurred()) Py_CLEAR(into.whole);
    Py_XDECREF(into.key);
    Py_XDECREF(into.names);
    return into.whole;
}

typedef int32_t (*reader)(const phantomdb_result *, uint64_t *, phantomdb_value *, uint64_t, uint64_t *,
                          phantomdb_error *);

/* A list of the names of columns or of items. */
static PyObject *strings_of(const phantomdb_result *result, reader read) {
    phantomdb_value values[CHUNK];
    phantomdb_error error;
    uint64_t position = 0, count = 0;
    PyObject *list = PyList_New(0);
    if (list == NULL) return NULL;
    do {
        if (read(result, &position, values, CHUNK, &count, &error) != PHANTOMDB_OK) {
            Py_DECREF(list);
            return raise_error(&error);
        }
        for (uint64_t i = 0; i < count; i++) {
            PyObject *text = text_of(&values[i]);
            if (text == NULL || PyList_Append(list, text) < 0) {
                Py_XDECREF(text);
                Py_DECREF(list);
                return NULL;
            }
            Py_DECREF(text);
        }
        if (count == CHUNK && !let_others_run()) {
            Py_DECREF(list);
            return NULL;
        }
    } while (count > 0);
    return list;
}

/* Appends empty rows until there are so many. The last one is lent. */
static bool extend(PyObject *rows, uint64_t count, PyObject **last) {
    while ((uint64_t)PyList_Size(rows) < count) {
        *last = PyDict_New();
        if (*last == NULL) return false;
        bool is_added = PyList_Append(rows, *last) == 0;
        Py_DECREF(*last);
        if (!is_added) return false;
        /* Also of rows without cells, which no chunk has. */
        if (PyList_Size(rows) % CHUNK == 0 && !let_others_run()) return false;
    }
    return true;
}

static bool set_cell(phantomdb_result *result, PyObject *row, PyObject *names,
                     const phantomdb_value *cell, buffer *decoded) {
    PyObject *name = PyList_GetItem(names, (Py_ssize_t)cell->column);
    PyObject *value = cell->kind == PHANTOMDB_VALUE_JSON
                          ? json_of(result, cell->row, cell->column, decoded)
                          : scalar_of(cell);
    bool is_set = name != NULL && value != NULL && PyDict_SetItem(row, name, value) == 0;
    Py_XDECREF(value);
    return is_set;
}

/* Fills the rows; false with an exception set. */
static bool read_rows(phantomdb_result *result, PyObject *names, PyObject *rows, buffer *decoded) {
    phantomdb_value cells[CHUNK];
    phantomdb_error error;
    uint64_t position = 0, count = 0, rows_in_all = 0;
    PyObject *row = NULL;
    do {
        if (phantomdb_result_read_cells(result, &position, cells, CHUNK, &count, &error) != PHANTOMDB_OK) {
            raise_error(&error);
            return false;
        }
        for (uint64_t i = 0; i < count; i++) {
            if (!extend(rows, cells[i].row + 1, &row)) return false;
            if (!set_cell(result, row, names, &cells[i], decoded)) return false;
        }
        if (count == CHUNK && !let_others_run()) return false;
    } while (count > 0);
    /* The last rows may have no cells. */
    if (phantomdb_result_row_count(result, &rows_in_all, &error) != PHANTOMDB_OK) {
        raise_error(&error);
        return false;
    }
    return extend(rows, rows_in_all, &row);
}

static PyObject *rows_of(phantomdb_result *result, PyObject *names, buffer *decoded) {
    PyObject *rows = names != NULL ? PyList_New(0) : NULL;
    if (rows != NULL && !read_rows(result, names, rows, decoded)) Py_CLEAR(rows);
    return rows;
}

/* Under several names, of which NULL ends the list. Takes the reference to the value. */
static bool set_all(PyObject *into, const char *const *names, PyObject *value) {
    bool is_set = value != NULL;
    for (; is_set && *names != NULL; names++) is_set = PyDict_SetItemString(into, *names, value) == 0;
    Py_XDECREF(value);
    return is_set;
}

/* What a server that says no number of changed rows leaves out has no number here either; the name
 * of the public SDK is left out then, since its users ask for it with a default. */
static bool set_counts(const phantomdb_result *result, PyObject *into, Py_ssize_t rows) {
    static const char *const said[] = {"affectedRows", "affected_rows", NULL};
    static const char *const not_said[] = {"affectedRows", NULL};
    int64_t count = 0;
    if (phantomdb_result_reported_row_count(result, &count, NULL) != PHANTOMDB_OK) count = rows;
    if (!set_all(into, (const char *const[]){"rowCount", NULL}, PyLong_FromLongLong(count))) return false;
    if (phantomdb_result_affected_rows(result, &count, NULL) == PHANTOMDB_OK && count >= 0) {
        return set_all(into, said, PyLong_FromLongLong(count));
    }
    Py_INCREF(Py_None);
    return set_all(into, not_said, Py_None);
}

static PyObject *query_of(phantomdb_result *result, buffer *decoded) {
    static const char *const columns[] = {"columns", NULL};
    static const char *const all_rows[] = {"rows", "results", "records", NULL};
    PyObject *made = PyDict_New();
    PyObject *names = made != NULL ? strings_of(result, phantomdb_result_read_columns) : NULL;
    PyObject *rows = rows_of(result, names, decoded);
    Py_ssize_t count = rows != NULL ? PyList_Size(rows) : 0;
    bool is_made = made != NULL && set_all(made, columns, names);
    is_made = is_made ? set_all(made, all_rows, rows) : (Py_XDECREF(rows), false);
    if (!is_made || !set_counts(result, made, count)) Py_CLEAR(made);
    return made;
}

static PyObject *select_of(phantomdb_result *result, buffer *decoded) {
    PyObject *names = strings_of(result, phantomdb_result_read_columns);
    PyObject *rows = rows_of(result, names, decoded);
    Py_XDECREF(names);
    return rows;
}

static PyObject *of_shape(phantomdb_result *result, result_shape shape, buffer *decoded) {
    switch (shape) {
    case SHAPE_NAMES: return strings_of(result, phantomdb_result_read_items);
    case SHAPE_ROWS: return select_of(result, decoded);
    case SHAPE_QUERY: return query_of(result, decoded);
    case SHAPE_ANY: break;
    }
    return json_of(result, PHANTOMDB_WHOLE, PHANTOMDB_WHOLE, decoded);
}

PyObject *value_of_result(phantomdb_result *result, result_shape shape) {
    buffer decoded = {.size = 0};
    PyObject *made = of_shape(result, shape, &decoded);
    PyMem_Free(decoded.bytes);
    phantomdb_result_free(result);
    return made;
}

result_shape shape_of_operation(int32_t operation) {
    static const struct {
        const char *name;
        result_shape shape;
    } shapes[] = {
        {"list_databases", SHAPE_NAMES},
        {"list_tables", SHAPE_NAMES},
        {"select", SHAPE_ROWS},
        {"execute_query", SHAPE_QUERY},
    };
    uint64_t count = 0;
    const phantomdb_operation_info *table = phantomdb_operation_table(&count);
    for (uint64_t i = 0; i < count; i++) {
        if (table[i].operation != operation) continue;
        for (size_t j = 0; j < sizeof shapes / sizeof *shapes; j++) {
            if (strcmp(table[i].name, shapes[j].name) == 0) return shapes[j].shape;
        }
    }
    return SHAPE_ANY;
}
