/* The least that a pool can be: things on a shelf, and a condition variable for who finds none. */
#ifndef SHELF_H
#define SHELF_H

#include <pthread.h>

typedef struct shelf {
    pthread_mutex_t lock;
    pthread_cond_t filled;
    int count;
    void *things[];
} shelf;

shelf *shelf_new(int capacity);
void *shelf_take(shelf *self);
void shelf_put(shelf *self, void *thing);

#endif
