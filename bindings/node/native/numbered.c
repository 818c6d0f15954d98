#include <stdlib.h>

#include "addon.h"

static bool grow(numbered *list) {
    uint32_t capacity = list->capacity ? 2 * list->capacity : 16;
    void **things = realloc(list->things, capacity * sizeof *things);
    if (things == NULL) return false;
    list->things = things;
    void **owners = realloc(list->owners, capacity * sizeof *owners);
    if (owners == NULL) return false;
    list->owners = owners;
    uint32_t *free = realloc(list->free, capacity * sizeof *free);
    if (free == NULL) return false;
    list->free = free;
    list->capacity = capacity;
    return true;
}

bool numbered_put(numbered *list, void *thing, void *owner, uint32_t *number) {
    if (list->free_count > 0) {
        *number = list->free[--list->free_count];
    } else {
        if (list->count == list->capacity && !grow(list)) return false;
        *number = list->count++;
    }
    list->things[*number] = thing;
    list->owners[*number] = owner;
    return true;
}

void *numbered_get(const numbered *list, uint32_t number) {
    return number < list->count ? list->things[number] : NULL;
}

void *numbered_owner(const numbered *list, uint32_t number) {
    return list->owners[number];
}

void numbered_drop(numbered *list, uint32_t number) {
    list->things[number] = NULL;
    list->free[list->free_count++] = number;
}

void numbered_free(numbered *list) {
    free(list->things);
    free(list->owners);
    free(list->free);
    *list = (numbered){0};
}
