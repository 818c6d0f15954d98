#include "shelf.h"

#include <stdlib.h>

shelf *shelf_new(int capacity) {
    shelf *self = calloc(1, sizeof *self + (size_t)capacity * sizeof *self->things);
    if (!self) abort();
    pthread_mutex_init(&self->lock, NULL);
    pthread_cond_init(&self->filled, NULL);
    return self;
}

void *shelf_take(shelf *self) {
    pthread_mutex_lock(&self->lock);
    while (self->count == 0) pthread_cond_wait(&self->filled, &self->lock);
    void *thing = self->things[--self->count];
    pthread_mutex_unlock(&self->lock);
    return thing;
}

void shelf_put(shelf *self, void *thing) {
    pthread_mutex_lock(&self->lock);
    self->things[self->count++] = thing;
    pthread_mutex_unlock(&self->lock);
    pthread_cond_signal(&self->filled);
}
