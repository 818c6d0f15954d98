/* Seconds, as Python has them, and milliseconds, as the library has them. */
#include <math.h>

#include "native.h"

bool milliseconds_of(PyObject *seconds, const char *name, int64_t *milliseconds) {
    static const double most = 365.0 * 24 * 60 * 60 * 1000;
    double given = PyFloat_AsDouble(seconds);
    if (given == -1 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_TypeError)) {
            PyErr_Clear();
            PyErr_Format(PyExc_TypeError, "%s: must be a number of seconds, not %R", name,
                         Py_TYPE(seconds));
            return false;
        }
        /* An int that no float holds is out of range, as others are. */
        if (!PyErr_ExceptionMatches(PyExc_OverflowError)) return false;
        PyErr_Clear();
        given = HUGE_VAL;
    }
    /* A part of a millisecond counts as a whole one: 0 has a meaning of its own. Not so what only
     * the binary fraction adds. */
    double time = ceil(given * 1000 - 1e-6);
    if (!(given >= 0) || !(time <= most)) {
        raise_code(PHANTOMDB_ERR_INVALID_ARGUMENT,
                   "%s: must be a time in seconds between 0 and 365 days", name);
        return false;
    }
    *milliseconds = given > 0 && time < 1 ? 1 : (int64_t)time;
    return true;
}

bool timeout_of(PyObject *seconds, int64_t *milliseconds) {
    *milliseconds = PHANTOMDB_POOL_TIMEOUT;
    return seconds == Py_None || milliseconds_of(seconds, "timeout", milliseconds);
}
