/* The tables of the library, from which JavaScript takes its constants. */
#include "addon.h"

static void set_text(napi_env env, napi_value object, const char *name, const char *text) {
    napi_value value;
    napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
    napi_set_named_property(env, object, name, value);
}

static void set_number(napi_env env, napi_value object, const char *name, int64_t number) {
    napi_value value;
    napi_create_int64(env, number, &value);
    napi_set_named_property(env, object, name, value);
}

static void set_names(napi_env env, napi_value object, const char *name, const char *const *names,
                      uint32_t count) {
    napi_value list, value;
    napi_create_array(env, &list);
    for (uint32_t i = 0; i < count; i++) {
        napi_create_string_utf8(env, names[i], NAPI_AUTO_LENGTH, &value);
        napi_set_element(env, list, i, value);
    }
    napi_set_named_property(env, object, name, list);
}

static napi_value codes(napi_env env) {
    uint64_t count = 0;
    const phantomdb_code_info *table = phantomdb_code_table(&count);
    napi_value list, entry;
    napi_create_array(env, &list);
    for (uint32_t i = 0; i < count; i++) {
        napi_create_object(env, &entry);
        set_number(env, entry, "code", table[i].code);
        set_text(env, entry, "name", table[i].name);
        set_text(env, entry, "text", table[i].text);
        napi_set_element(env, list, i, entry);
    }
    return list;
}

static napi_value operations(napi_env env) {
    uint64_t count = 0;
    const phantomdb_operation_info *table = phantomdb_operation_table(&count);
    napi_value list, entry;
    napi_create_array(env, &list);
    for (uint32_t i = 0; i < count; i++) {
        napi_create_object(env, &entry);
        set_number(env, entry, "operation", table[i].operation);
        set_text(env, entry, "name", table[i].name);
        set_number(env, entry, "requiredCount", table[i].required_count);
        set_names(env, entry, "arguments", table[i].arguments, table[i].argument_count);
        napi_set_element(env, list, i, entry);
    }
    return list;
}

static napi_value options(napi_env env) {
    uint64_t count = 0;
    const phantomdb_option_info *table = phantomdb_option_table(&count);
    napi_value list, entry;
    uint32_t index = 0;
    napi_create_array(env, &list);
    for (uint64_t i = 0; i < count; i++) {
        const phantomdb_option_info *option = &table[i];
        if (!option_is_known(option)) continue;
        napi_create_object(env, &entry);
        set_text(env, entry, "name", option->name);
        set_number(env, entry, "type", option->type);
        set_names(env, entry, "choices", option->choices, option->choice_count);
        if (option->default_text != NULL) set_text(env, entry, "default", option->default_text);
        else if (option->type < PHANTOMDB_OPTION_TEXT) set_number(env, entry, "default", option->default_number);
        napi_set_element(env, list, index++, entry);
    }
    return list;
}

void tables_define(napi_env env, napi_value object) {
    napi_set_named_property(env, object, "codes", codes(env));
    napi_set_named_property(env, object, "operations", operations(env));
    napi_set_named_property(env, object, "options", options(env));
    set_text(env, object, "version", phantomdb_version());
    set_number(env, object, "abiVersion", phantomdb_abi_version());
}
