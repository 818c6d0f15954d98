#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addon.h"

static const char *refuse(environment *it, const char *name, const char *why) {
    memset(&it->error, 0, sizeof it->error);
    it->error.code = PHANTOMDB_ERR_INVALID_ARGUMENT;
    snprintf(it->error.message, sizeof it->error.message, "%s: %s", name, why);
    return NULL;
}

const char *text_of(napi_env env, environment *it, napi_value value, const char *name, char *room,
                    size_t size, char **heap) {
    size_t length = 0;
    *heap = NULL;
    if (napi_get_value_string_utf8(env, value, room, size, &length) != napi_ok) {
        return refuse(it, name, "is no string");
    }
    char *text = room;
    /* Cut perhaps, which may be at the beginning of a character of four bytes. */
    if (length + 4 >= size) {
        napi_get_value_string_utf8(env, value, NULL, 0, &length);
        text = *heap = malloc(length + 1);
        if (text == NULL) return refuse(it, name, "is too long for the memory that is left");
        napi_get_value_string_utf8(env, value, text, length + 1, &length);
    }
    if (memchr(text, '\0', length) != NULL) {
        free(*heap);
        *heap = NULL;
        return refuse(it, name, "has a NUL character, which can't be sent");
    }
    return text;
}

static bool is_ascii(const char *text, size_t length) {
    unsigned char all = 0;
    for (size_t i = 0; i < length; i++) all |= (unsigned char)text[i];
    return all < 0x80;
}

napi_value text_to(napi_env env, const char *text, size_t length) {
    napi_value value = NULL;
    /* V8 copies Latin-1 as it is, and half as fast again as UTF-8 that turns out to be ASCII. */
    if (is_ascii(text, length)) napi_create_string_latin1(env, text, length, &value);
    else napi_create_string_utf8(env, text, length, &value);
    return value;
}
