/* The messages of pools' logs, which come on threads of the library. */
#include <stdlib.h>
#include <string.h>

#include "addon.h"

void on_log(int32_t level, const char *text, void *user_data) {
    pool_entry *entry = user_data;
    environment *state = entry->env;
    size_t size = strlen(text) + 1;
    log_line *line = malloc(sizeof *line + size);
    if (line == NULL) return;
    line->next = NULL;
    line->pool = entry->number;
    line->level = level;
    memcpy(line->text, text, size);
    pthread_mutex_lock(&state->lock);
    bool is_alive = state->is_alive, is_first = state->first_line == NULL;
    if (is_alive) {
        if (is_first) state->first_line = line;
        else state->last_line->next = line;
        state->last_line = line;
    }
    pthread_mutex_unlock(&state->lock);
    if (!is_alive) free(line);
    /* A take gets all lines, so the first one wakes it. */
    else if (is_first) waker_wake(state);
}

log_line *logs_take(environment *state) {
    if (state->first_line == NULL) return NULL;
    pthread_mutex_lock(&state->lock);
    log_line *first = state->first_line;
    state->first_line = state->last_line = NULL;
    pthread_mutex_unlock(&state->lock);
    return first;
}

void logs_free(log_line *first) {
    while (first != NULL) {
        log_line *next = first->next;
        free(first);
        first = next;
    }
}
