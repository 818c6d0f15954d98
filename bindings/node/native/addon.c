/* The addon: the functions of phantomdb.h that lib/ needs, on Node-API. */
#include "addon.h"

/* open(): the functions and tables for one copy of lib/, with a state of their own. */
static napi_value open_environment(napi_env env, napi_callback_info info) {
    (void)info;
    napi_value object;
    environment *it = environment_begin(env);
    if (it == NULL || napi_create_object(env, &object) != napi_ok ||
        !functions_define(env, it, object)) {
        napi_throw_error(env, NULL, "phantomdb: this environment could not be set up");
        return NULL;
    }
    tables_define(env, object);
    return object;
}

NAPI_MODULE_INIT() {
    napi_value open;
    napi_create_function(env, "open", NAPI_AUTO_LENGTH, open_environment, NULL, &open);
    napi_set_named_property(env, exports, "open", open);
    return exports;
}
