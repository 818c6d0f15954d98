/* The options of a pool, from an array of JavaScript: which there are, the table of the library says. */
#include <stdlib.h>
#include <string.h>

#include "addon.h"

bool option_is_known(const phantomdb_option_info *option) {
    return option->type <= PHANTOMDB_OPTION_LOG &&
           option->offset + option->size <= sizeof(phantomdb_pool_options);
}

static bool is_text(const phantomdb_option_info *option) {
    return option->type == PHANTOMDB_OPTION_TEXT || option->type == PHANTOMDB_OPTION_FILE;
}

/* lib/options.js has made sure that a number is one, and fits. */
static void set_number(napi_env env, const phantomdb_option_info *option, napi_value value, void *member) {
    double number = 0;
    napi_get_value_double(env, value, &number);
    switch (option->type) {
    case PHANTOMDB_OPTION_COUNT: *(uint32_t *)member = (uint32_t)number; break;
    case PHANTOMDB_OPTION_SIZE: *(uint64_t *)member = (uint64_t)number; break;
    case PHANTOMDB_OPTION_TIME: *(int64_t *)member = (int64_t)number; break;
    default: *(int32_t *)member = (int32_t)number;
    }
}

bool options_read(napi_env env, environment *it, napi_value values, pool_options *into) {
    const phantomdb_option_info *table = phantomdb_option_table(&into->count);
    phantomdb_pool_options_init(&into->all, sizeof into->all);
    into->texts = calloc(into->count, sizeof *into->texts);
    if (into->texts == NULL) {
        no_memory(it, "the options");
        return false;
    }
    uint32_t index = 0;
    for (uint64_t i = 0; i < into->count; i++) {
        if (!option_is_known(&table[i])) continue;
        napi_value value;
        napi_valuetype type = napi_undefined;
        napi_get_element(env, values, index++, &value);
        napi_typeof(env, value, &type);
        if (type == napi_undefined) continue;
        void *member = (char *)&into->all + table[i].offset;
        if (!is_text(&table[i])) {
            set_number(env, &table[i], value, member);
            continue;
        }
        /* No room on the stack, so that it is on the heap. */
        if (text_of(env, it, value, table[i].name, NULL, 0, &into->texts[i]) == NULL) return false;
        *(const char **)member = into->texts[i];
    }
    return true;
}

void options_free(pool_options *options) {
    for (uint64_t i = 0; options->texts != NULL && i < options->count; i++) free(options->texts[i]);
    free(options->texts);
}
