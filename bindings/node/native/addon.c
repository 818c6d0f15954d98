/* The addon: the functions of phantomdb.h that lib/ needs, on Node-API, with one state for each
 * environment that loads it. */
#include "addon.h"

NAPI_MODULE_INIT() {
    if (environment_begin(env) == NULL) {
        napi_throw_error(env, NULL, "phantomdb: this environment could not be set up");
        return NULL;
    }
    tables_define(env, exports);
    functions_define(env, exports);
    return exports;
}
