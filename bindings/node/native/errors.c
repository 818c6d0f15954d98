/* Errors: those that the addon finds itself, and what JavaScript sees of any. */
#include <stdio.h>
#include <string.h>

#include "addon.h"

void no_memory(environment *state, const char *what) {
    memset(&state->error, 0, sizeof state->error);
    state->error.code = PHANTOMDB_ERR_OVERLOADED;
    snprintf(state->error.message, sizeof state->error.message, "There is not enough memory for %s", what);
}

void error_show(const phantomdb_error *error, int32_t *numbers) {
    int64_t wait = error->retry_after_ms;
    numbers[2] = error->code;
    numbers[3] = error->http_status;
    numbers[4] = wait > INT32_MAX ? INT32_MAX : (int32_t)wait;
    numbers[5] = error->retriable;
}

int32_t too_long(napi_env env, environment *state) {
    napi_value exception;
    bool is_pending = false;
    napi_is_exception_pending(env, &is_pending);
    if (is_pending) napi_get_and_clear_last_exception(env, &exception);
    memset(&state->error, 0, sizeof state->error);
    state->error.code = PHANTOMDB_ERR_TOO_LARGE;
    strcpy(state->error.message, "A text of the response is longer than a string of JavaScript can be");
    return state->error.code;
}
