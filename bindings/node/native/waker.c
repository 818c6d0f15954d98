/* How the library's threads wake the event loop of an environment. */
#include "addon.h"

void waker_wake(void *user_data) {
    environment *state = user_data;
    if (pthread_equal(pthread_self(), state->thread) && state->is_looking) {
        state->has_found = true;
        return;
    }
    /* Under the lock, and only while the environment lives: the waker is gone with it. */
    pthread_mutex_lock(&state->lock);
    if (state->is_alive) napi_call_threadsafe_function(state->waker, NULL, napi_tsfn_nonblocking);
    pthread_mutex_unlock(&state->lock);
}

void waker_stop(environment *state) {
    pthread_mutex_lock(&state->lock);
    state->is_alive = false;
    pthread_mutex_unlock(&state->lock);
}
