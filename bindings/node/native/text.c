#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uchar.h>

#include "addon.h"

static const char *refuse(environment *it, const char *name, const char *why) {
    memset(&it->error, 0, sizeof it->error);
    it->error.code = PHANTOMDB_ERR_INVALID_ARGUMENT;
    snprintf(it->error.message, sizeof it->error.message, "%s: %s", name, why);
    return NULL;
}

/* Node-API gives U+FFFD, in UTF-8, for half of a surrogate pair, as for U+FFFD itself. */
static bool has_replacement(const char *text, size_t length) {
    return memmem(text, length, "\xEF\xBF\xBD", 3) != NULL;
}

static bool is_unpaired(const char16_t *units, size_t length, size_t at) {
    if ((units[at] & 0xFC00) == 0xD800) return at + 1 == length || (units[at + 1] & 0xFC00) != 0xDC00;
    if ((units[at] & 0xFC00) == 0xDC00) return at == 0 || (units[at - 1] & 0xFC00) != 0xD800;
    return false;
}

/* NULL, or why the text can't be sent as it is. */
static const char *unpaired_surrogate(napi_env env, napi_value value) {
    size_t length = 0;
    const char *why = NULL;
    napi_get_value_string_utf16(env, value, NULL, 0, &length);
    char16_t *units = malloc((length + 1) * sizeof *units);
    if (units == NULL) return "is too long for the memory that is left";
    napi_get_value_string_utf16(env, value, units, length + 1, &length);
    for (size_t at = 0; why == NULL && at < length; at++) {
        if (is_unpaired(units, length, at)) why = "has an unpaired surrogate, which can't be sent";
    }
    free(units);
    return why;
}

const char *text_of(napi_env env, environment *it, napi_value value, const char *name, char *room,
                    size_t size, char **heap) {
    size_t length = 0;
    *heap = NULL;
    if (napi_get_value_string_utf8(env, value, room, size, &length) != napi_ok) {
        return refuse(it, name, "must be a string");
    }
    char *text = room;
    /* Cut perhaps, which may be at the beginning of a character of four bytes. */
    if (length + 4 >= size) {
        napi_get_value_string_utf8(env, value, NULL, 0, &length);
        text = *heap = malloc(length + 1);
        if (text == NULL) return refuse(it, name, "is too long for the memory that is left");
        napi_get_value_string_utf8(env, value, text, length + 1, &length);
    }
    const char *why = NULL;
    if (memchr(text, '\0', length) != NULL) why = "has a NUL character, which can't be sent";
    else if (has_replacement(text, length)) why = unpaired_surrogate(env, value);
    if (why != NULL) {
        free(*heap);
        *heap = NULL;
        return refuse(it, name, why);
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
