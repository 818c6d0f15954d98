/* The handles in pools and connections, for the files of both and for others.
 *
 * Here and not in pool.c and connection.c, which would else use each other. */
#include "native.h"

PyTypeObject *pool_type;
PyTypeObject *connection_type;

phantomdb_pool *pool_handle(const pool_object *it) {
    if (it->handle != NULL) return it->handle;
    if (it->client_type != NULL) {
        raise_code(PHANTOMDB_ERR_CLOSED, "The pool is closed: it was collected as garbage");
    } else {
        raise_code(PHANTOMDB_ERR_INVALID_HANDLE,
                   "The pool was never opened: its __init__ did not run, or failed (a subclass must "
                   "call super().__init__())");
    }
    return NULL;
}

bool connection_is_live(const connection_object *it) {
    if (it->handle != NULL) return true;
    raise_code(PHANTOMDB_ERR_INVALID_HANDLE,
               it->pool_handle != NULL
                   ? "The client was released already"
                   : "The client was never opened: its __init__ did not run (a subclass must call "
                     "super().__init__())");
    return false;
}
