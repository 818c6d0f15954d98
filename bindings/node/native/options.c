/* The options of a pool, from an object of JavaScript. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "addon.h"

typedef enum option_type { COUNT, SIZE, TIME, FLAG, TEXT, VALIDATION } option_type;

typedef struct option {
    const char *name;
    option_type type;
    size_t offset;
} option;

#define OPTION(name, type, member) {name, type, offsetof(phantomdb_pool_options, member)}

/* All but `log`, which lib/pool.js deals with. */
static const option options[] = {
    OPTION("baseUrl", TEXT, base_url),
    OPTION("token", TEXT, token),
    OPTION("minConnections", COUNT, min_connections),
    OPTION("maxConnections", COUNT, max_connections),
    OPTION("acquireTimeout", TIME, acquire_timeout_ms),
    OPTION("idleTimeout", TIME, idle_timeout_ms),
    OPTION("maxLifetime", TIME, max_lifetime_ms),
    OPTION("validateAfter", TIME, validate_after_ms),
    OPTION("validation", VALIDATION, validation),
    OPTION("validationTimeout", TIME, validation_timeout_ms),
    OPTION("maxWaiters", COUNT, max_waiters),
    OPTION("maxConnecting", COUNT, max_connecting),
    OPTION("leakThreshold", TIME, leak_threshold_ms),
    OPTION("requestTimeout", TIME, request_timeout_ms),
    OPTION("connectTimeout", TIME, connect_timeout_ms),
    OPTION("closeTimeout", TIME, close_timeout_ms),
    OPTION("preconnect", FLAG, preconnect),
    OPTION("tlsCaFile", TEXT, tls_ca_file),
    OPTION("tlsCertFile", TEXT, tls_cert_file),
    OPTION("tlsKeyFile", TEXT, tls_key_file),
    OPTION("maxResponseBytes", SIZE, max_response_bytes),
};
enum { OPTIONS = sizeof options / sizeof *options };

static bool refuse(environment *it, const char *name, const char *why) {
    memset(&it->error, 0, sizeof it->error);
    it->error.code = PHANTOMDB_ERR_INVALID_ARGUMENT;
    snprintf(it->error.message, sizeof it->error.message, "%s: %s", name, why);
    return false;
}

static bool read_number(napi_env env, environment *it, const option *wanted, napi_value value,
                        double most, double *number) {
    if (napi_get_value_double(env, value, number) != napi_ok) {
        return refuse(it, wanted->name, "is no number");
    }
    /* A part of a millisecond is as good as a whole one; of a connection it is nonsense. */
    if (wanted->type == TIME) *number = ceil(*number);
    if (!(*number >= 0) || *number > most || *number != floor(*number)) {
        return refuse(it, wanted->name, wanted->type == TIME
                                            ? "is no time in milliseconds between 0 and 365 days"
                                            : "is no whole number, or out of range");
    }
    return true;
}

static bool read_validation(napi_env env, environment *it, const option *wanted, napi_value value,
                            int32_t *validation) {
    static const char *const names[] = {
        [PHANTOMDB_VALIDATION_SOCKET] = "socket",
        [PHANTOMDB_VALIDATION_PING] = "ping",
        [PHANTOMDB_VALIDATION_NONE] = "none",
    };
    char given[16] = "";
    size_t length;
    napi_get_value_string_utf8(env, value, given, sizeof given, &length);
    for (int32_t i = 0; i <= PHANTOMDB_VALIDATION_NONE; i++) {
        if (strcmp(given, names[i]) != 0) continue;
        *validation = i;
        return true;
    }
    return refuse(it, wanted->name, "is none of 'socket', 'ping' and 'none'");
}

static bool read_one(napi_env env, environment *it, const option *wanted, napi_value value,
                     phantomdb_pool_options *into, char **text) {
    void *place = (char *)into + wanted->offset;
    double number = 0;
    bool flag = false;
    char *heap = NULL;
    switch (wanted->type) {
    case COUNT:
        if (!read_number(env, it, wanted, value, UINT32_MAX, &number)) return false;
        *(uint32_t *)place = (uint32_t)number;
        return true;
    case SIZE:
        if (!read_number(env, it, wanted, value, 9007199254740991.0, &number)) return false;
        *(uint64_t *)place = (uint64_t)number;
        return true;
    case TIME:
        if (!read_number(env, it, wanted, value, 365.0 * 24 * 60 * 60 * 1000, &number)) return false;
        *(int64_t *)place = (int64_t)number;
        return true;
    case FLAG:
        if (napi_get_value_bool(env, value, &flag) != napi_ok) {
            return refuse(it, wanted->name, "is neither true nor false");
        }
        *(int32_t *)place = flag;
        return true;
    case VALIDATION: return read_validation(env, it, wanted, value, place);
    case TEXT:
        /* No room on the stack, so that it is on the heap. */
        if (text_of(env, it, value, wanted->name, NULL, 0, &heap) == NULL) return false;
        *(const char **)place = *text = heap;
        return true;
    }
    return false;
}

bool options_read(napi_env env, environment *it, napi_value object, phantomdb_pool_options *into,
                  char **texts) {
    phantomdb_pool_options_init(into, sizeof *into);
    for (int i = 0; i < OPTIONS; i++) {
        napi_value value;
        napi_valuetype type;
        if (napi_get_named_property(env, object, options[i].name, &value) != napi_ok ||
            napi_typeof(env, value, &type) != napi_ok) {
            return refuse(it, "options", "could not be read");
        }
        /* As if it were not there. */
        if (type == napi_undefined || type == napi_null) continue;
        if (!read_one(env, it, &options[i], value, into, texts)) return false;
        if (*texts != NULL) texts++;
    }
    return true;
}

napi_value options_table(napi_env env) {
    napi_value table, name;
    napi_create_array(env, &table);
    for (uint32_t i = 0; i < OPTIONS; i++) {
        napi_create_string_utf8(env, options[i].name, NAPI_AUTO_LENGTH, &name);
        napi_set_element(env, table, i, name);
    }
    return table;
}

napi_value options_defaults(napi_env env) {
    phantomdb_pool_options defaults;
    phantomdb_pool_options_init(&defaults, sizeof defaults);
    napi_value object, value;
    napi_create_object(env, &object);
    for (int i = 0; i < OPTIONS; i++) {
        const void *place = (const char *)&defaults + options[i].offset;
        const char *text;
        switch (options[i].type) {
        case COUNT: napi_create_double(env, *(const uint32_t *)place, &value); break;
        case TIME: napi_create_double(env, (double)*(const int64_t *)place, &value); break;
        case TEXT:
            text = *(const char *const *)place;
            if (text == NULL) continue;
            napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
            break;
        default: continue;
        }
        napi_set_named_property(env, object, options[i].name, value);
    }
    return object;
}
