/* The tables of the library, from which JavaScript takes its constants. */
#include "addon.h"

static void set_text(napi_env env, napi_value object, const char *name, const char *text) {
    napi_value value;
    napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
    napi_set_named_property(env, object, name, value);
}

static void set_number(napi_env env, napi_value object, const char *name, int32_t number) {
    napi_value value;
    napi_create_int32(env, number, &value);
    napi_set_named_property(env, object, name, value);
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
    napi_value list, entry, arguments, name;
    napi_create_array(env, &list);
    for (uint32_t i = 0; i < count; i++) {
        napi_create_object(env, &entry);
        set_number(env, entry, "operation", table[i].operation);
        set_text(env, entry, "name", table[i].name);
        set_number(env, entry, "requiredCount", (int32_t)table[i].required_count);
        napi_create_array(env, &arguments);
        for (uint32_t a = 0; a < table[i].argument_count; a++) {
            napi_create_string_utf8(env, table[i].arguments[a], NAPI_AUTO_LENGTH, &name);
            napi_set_element(env, arguments, a, name);
        }
        napi_set_named_property(env, entry, "arguments", arguments);
        napi_set_element(env, list, i, entry);
    }
    return list;
}

void tables_define(napi_env env, napi_value object) {
    napi_set_named_property(env, object, "codes", codes(env));
    napi_set_named_property(env, object, "operations", operations(env));
    napi_set_named_property(env, object, "options", options_table(env));
    napi_set_named_property(env, object, "defaults", options_defaults(env));
    set_text(env, object, "version", phantomdb_version());
    set_number(env, object, "abiVersion", (int32_t)phantomdb_abi_version());
}
