/* The calls of JavaScript that are under way. */
#include <stdlib.h>
#include <string.h>

#include "addon.h"

bool call_prepare(environment *state, uint32_t id, phantomdb_completion_target *target) {
    *target = (phantomdb_completion_target){.queue = state->queue, .user_data = (void *)(uintptr_t)id};
    if (id < state->calls_capacity) return true;
    uint32_t capacity = state->calls_capacity ? 2 * state->calls_capacity : 64;
    while (capacity <= id) capacity *= 2;
    call *calls = realloc(state->calls, capacity * sizeof *calls);
    if (calls == NULL) {
        no_memory(state, "a call");
        return false;
    }
    memset(calls + state->calls_capacity, 0, (capacity - state->calls_capacity) * sizeof *calls);
    state->calls = calls;
    state->calls_capacity = capacity;
    return true;
}

void call_begin(napi_env env, environment *state, uint32_t id, phantomdb_pool *pool,
                phantomdb_ticket *ticket) {
    state->calls[id] = (call){.pool = pool, .ticket = ticket};
    /* A call that is under way keeps the process alive, and who waits for it; a pool does not. */
    if (state->open_calls++ == 0) {
        napi_ref_threadsafe_function(env, state->waker);
        napi_reference_ref(env, state->settle, NULL);
    }
}

void call_end(napi_env env, environment *state, uint32_t id) {
    steps_count_end(state, id);
    state->calls[id] = (call){.pool = NULL};
    if (--state->open_calls == 0) {
        napi_unref_threadsafe_function(env, state->waker);
        napi_reference_unref(env, state->settle, NULL);
    }
}
