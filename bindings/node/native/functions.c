/* What lib/ calls. Pools, clients and calls are small numbers here, which lib/ keeps to itself; so
 * nothing is checked but what users pass on. Each function returns a code of phantomdb.h, unless
 * it says otherwise; of an error, `lastError` tells the rest. */
#include <stdlib.h>
#include <string.h>

#include "addon.h"

enum { MOST_ARGUMENTS = 9, MOST_OPERANDS = 4, ROOM = 512 };
/* What `acquire` returns instead of a client's number. */
enum { WAITS = -1, FAILS = -2 };

/* The arguments of a call from JavaScript. */
typedef struct given {
    napi_env env;
    environment *it;
    size_t count;
    napi_value values[MOST_ARGUMENTS];
} given;

static given arguments_of(napi_env env, napi_callback_info info) {
    given all = {.env = env, .count = MOST_ARGUMENTS};
    void *it = NULL;
    napi_get_cb_info(env, info, &all.count, all.values, NULL, &it);
    all.it = it;
    return all;
}

static uint32_t number_at(const given *all, size_t index) {
    uint32_t number = UINT32_MAX;
    napi_get_value_uint32(all->env, all->values[index], &number);
    return number;
}

static bool flag_at(const given *all, size_t index) {
    bool flag = false;
    napi_get_value_bool(all->env, all->values[index], &flag);
    return flag;
}

static double double_at(const given *all, size_t index) {
    double number = 0;
    napi_get_value_double(all->env, all->values[index], &number);
    return number;
}

static bool is_undefined(const given *all, size_t index) {
    napi_valuetype type = napi_undefined;
    if (index < all->count) napi_typeof(all->env, all->values[index], &type);
    return type == napi_undefined || type == napi_null;
}

static phantomdb_pool *pool_at(const given *all, size_t index) {
    pool_entry *entry = numbered_get(&all->it->pools, number_at(all, index));
    return entry != NULL ? entry->pool : NULL;
}

static napi_value number_to(napi_env env, int32_t number) {
    napi_value value;
    napi_create_int32(env, number, &value);
    return value;
}

/* What the call that follows completes on this thread is not worth a wake-up. */
static void look(environment *it) {
    it->is_looking = true;
}

static void tell_what_was_found(napi_env env, environment *it) {
    it->is_looking = false;
    if (it->has_found) messages_deliver(env, it);
}

/* An array that both sides see, as a member of `object`; NULL if there is none. */
static void *share(napi_env env, napi_value object, const char *name, napi_typedarray_type type,
                   size_t size, size_t length, napi_value *array) {
    napi_value buffer;
    void *data = NULL;
    if (napi_create_arraybuffer(env, size * length, &data, &buffer) != napi_ok ||
        napi_create_typedarray(env, type, length, buffer, 0, array) != napi_ok ||
        napi_set_named_property(env, object, name, *array) != napi_ok) {
        return NULL;
    }
    return data;
}

/* begin(settle, hasLibuv), once: from now on `settle(count, texts)` is told of messages; returns the array in
 * which their numbers are then. */
static napi_value begin(napi_env env, napi_callback_info info) {
    given all = arguments_of(env, info);
    environment *it = all.it;
    napi_value object, array, unused;
    napi_get_cb_info(env, info, NULL, NULL, &object, NULL);
    it->values.kinds = share(env, object, "kinds", napi_uint8_array, 1, 2 * VALUES, &unused);
    it->values.numbers = share(env, object, "values", napi_float64_array, 8, 2 * VALUES, &unused);
    it->values.rows = share(env, object, "rows", napi_float64_array, 8, 2 * VALUES, &unused);
    it->values.columns = share(env, object, "columns", napi_uint32_array, 4, 2 * VALUES, &unused);
    it->numbers = share(env, object, "numbers", napi_int32_array, 4, BATCH * NUMBERS, &array);
    if (it->values.kinds == NULL || it->values.numbers == NULL || it->values.rows == NULL ||
        it->values.columns == NULL || it->numbers == NULL) {
        napi_throw_error(env, NULL, "phantomdb: there is not enough memory");
        return NULL;
    }
    napi_create_reference(env, array, 1, &it->buffer);
    it->may_watch = flag_at(&all, 1);
    /* As long as any function here can be reached, it can too. */
    napi_set_named_property(env, object, "settle", all.values[0]);
    napi_create_reference(env, all.values[0], 0, &it->settle);
    return array;
}

/* lastError(): its message; the other parts are where those of a message would be. */
static napi_value last_error(napi_env env, napi_callback_info info) {
    given all = arguments_of(env, info);
    const phantomdb_error *error = &all.it->error;
    error_show(error, all.it->numbers);
    return text_to(env, error->message, strlen(error->message));
}

/* createPool(values of the options, logs): its number, or FAILS. */
static napi_value create_pool(napi_env env, napi_callback_info info) {
    given all = arguments_of(env, info);
    environment *it = all.it;
    pool_options options = {.texts = NULL};
    uint32_t number = 0;
    pool_entry *entry = calloc(1, sizeof *entry);
    bool is_made = false;
    if (entry == NULL) {
        no_memory(it, "a pool");
        return number_to(env, FAILS);
    }
    environment_hold(it);
    entry->env = it;
    if (numbered_put(&it->pools, entry, NULL, &number)) {
        entry->number = number;
        if (options_read(env, it, all.values[0], &options)) {
            if (flag_at(&all, 1)) {
                options.all.log = on_log;
                options.all.log_user_data = entry;
            }
            is_made = phantomdb_pool_create(&options.all, &entry->pool, &it->error) == PHANTOMDB_OK;
        }
        if (!is_made) numbered_drop(&it->pools, number);
    } else {
        no_memory(it, "a pool");
    }
    options_free(&options);
    if (is_made) return number_to(env, (int32_t)number);
    pool_entry_free(entry);
    return number_to(env, FAILS);
}

/* The number of a client with this connection, or FAILS. */
static napi_value client_to(napi_env env, environment *it, phantomdb_connection *connection,
                            phantomdb_pool *pool) {
    uint32_t number;
    if (client_put(it, connection, pool, &number)) return number_to(env, (int32_t)number);
    phantomdb_pool_release(pool, connection, NULL);
    no_memory(it, "a client");
    return number_to(env, FAILS);
}

/* acquire(pool, timeout, call, isCancellable): a client's number, WAITS or FAILS. */
static napi_value acquire(napi_env env, napi_callback_info info) {
    given all = arguments_of(env, info);
    environment *it = all.it;
    phantomdb_pool *pool = pool_at(&all, 0);
    uint32_t id = number_at(&all, 2);
    phantomdb_completion_target to;
    if (!call_prepare(it, id, &to)) return number_to(env, FAILS);
    phantomdb_connection *connection = NULL;
    phantomdb_ticket *ticket = NULL;
    int32_t code = phantomdb_pool_acquire_direct(
        pool, (int64_t)double_at(&all, 1), phantomdb_post_connection(), &to, &connection,
        flag_at(&all, 3) ? &ticket : NULL, &it->error);
    if (code != PHANTOMDB_OK) return number_to(env, FAILS);
    if (connection != NULL) return client_to(env, it, connection, pool);
    call_begin(env, it, id, pool, ticket);
    return number_to(env, WAITS);
}

/* tryAcquire(pool): a client's number, or FAILS. */
static napi_value try_acquire(napi_env env, napi_callback_info info) {
    given all = arguments_of(env, info);
    phantomdb_pool *pool = pool_at(&all, 0);
    phantomdb_connection *connection = NULL;
    int32_t code = phantomdb_pool_try_acquire(pool, &connection, &all.it->error);
    return code == PHANTOMDB_OK ? client_to(env, all.it, connection, pool) : number_to(env, FAILS);
}

/* acquireCancelled(pool): counts one whose caller had given up before it began; always a code. */
static napi_value acquire_cancelled(napi_env env, napi_callback_info info) {
    given all = arguments_of(env, info);
    return number_to(env, phantomdb_pool_acquire_cancelled(pool_at(&all, 0), &all.it->error));
}

/* release(client, isDiscarded) */
static napi_value release(napi_env env, napi_callback_info info) {
    given all = arguments_of(env, info);
    environment *it = all.it;
    uint32_t number = number_at(&all, 0);
    phantomdb_connection *connection = numbered_get(&it->clients, number);
    phantomdb_pool *pool = numbered_owner(&it->clients, number);
    look(it);
    steps_leave_client(it, number);
    client_drop(it, number);
    int32_t code = flag_at(&all, 1) ? phantomdb_pool_discard(pool, connection, &it->error)
                                    : phantomdb_pool_release(pool, connection, &it->error);
    tell_what_was_found(env, it);
    return number_to(env, code);
}

/* setOwner(client, text) */
static napi_value set_owner(napi_env env, napi_callback_info info) {
    given all = arguments_of(env, info);
    char room[ROOM], *heap;
    const char *owner = text_of(env, all.it, all.values[1], "owner", room, sizeof room, &heap);
    if (owner == NULL) return number_to(env, all.it->error.code);
    phantomdb_connection *connection = numbered_get(&all.it->clients, number_at(&all, 0));
    int32_t code = phantomdb_connection_set_owner(connection, owner, &all.it->error);
    free(heap);
    return number_to(env, code);
}

/* Texts that JavaScript passed, for the time of a call. */
typedef struct texts {
    const char *list[MOST_OPERANDS];
    char *heap[MOST_OPERANDS];
    char rooms[MOST_OPERANDS][ROOM];
    uint64_t count;
} texts;

static bool read_texts(const given *all, size_t first, const char *const *names, texts *into) {
    into->count = all->count - first;
    memset(into->heap, 0, sizeof into->heap);
    for (size_t i = 0; i < into->count; i++) {
        into->list[i] = NULL;
        if (is_undefined(all, first + i)) continue;
        into->list[i] = text_of(all->env, all->it, all->values[first + i], names[i],
                                into->rooms[i], ROOM, &into->heap[i]);
        if (into->list[i] == NULL) return false;
    }
    return true;
}

static void free_texts(texts *all) {
    for (size_t i = 0; i < all->count; i++) free(all->heap[i]);
}

/* Asks what the first arguments are sent on, isPool and number; the next are the call and whether it can be
 * cancelled. */
static napi_value ask(const given *all, question *what) {
    if (flag_at(all, 0)) {
        what->pool = pool_at(all, 1);
    } else {
        what->client = number_at(all, 1);
        what->pool = numbered_owner(&all->it->clients, what->client);
        what->connection = numbered_get(&all->it->clients, what->client);
    }
    what->is_cancellable = flag_at(all, 3);
    return number_to(all->env, steps_ask(all->env, all->it, what, number_at(all, 2)));
}

/* run(isPool, number, call, isCancellable, operation, ...operands) */
static napi_value run(napi_env env, napi_callback_info info) {
    given all = arguments_of(env, info);
    int32_t operation = (int32_t)number_at(&all, 4);
    const phantomdb_operation_info *known = phantomdb_operation_table(NULL) + operation - 1;
    texts operands;
    bool is_read = read_texts(&all, 5, known->arguments, &operands);
    question what = {.operation = operation, .texts = operands.list, .count = operands.count};
    napi_value code = is_read ? ask(&all, &what) : number_to(env, all.it->error.code);
    free_texts(&operands);
    return code;
}

/* request(isPool, number, call, isCancellable, method, path, body) */
static napi_value request(napi_env env, napi_callback_info info) {
    static const char *const names[] = {"method", "path", "body"};
    given all = arguments_of(env, info);
    texts parts;
    bool is_read = read_texts(&all, 4, names, &parts);
    question what = {.is_request = true, .texts = parts.list};
    if (is_read && parts.list[2] != NULL) what.length = strlen(parts.list[2]);
    napi_value code = is_read ? ask(&all, &what) : number_to(env, all.it->error.code);
    free_texts(&parts);
    return code;
}

/* read(reading, part, texts, row, column): how many values are shown, or a code; `row` and `column` are of a
 * cell whose JSON is to be read. */
static napi_value read_values(napi_env env, napi_callback_info info) {
    given all = arguments_of(env, info);
    reading *from = numbered_get(&all.it->readings, number_at(&all, 0));
    uint64_t row = all.count > 3 ? (uint64_t)double_at(&all, 3) : 0;
    uint64_t column = all.count > 4 ? number_at(&all, 4) : 0;
    return number_to(env, reading_read(env, all.it, from, (reading_part)number_at(&all, 1), row,
                                       column, all.values[2]));
}

/* text(reading): all of it as a text; undefined after an error. */
static napi_value text_of_reading(napi_env env, napi_callback_info info) {
    given all = arguments_of(env, info);
    return reading_text(env, all.it, numbered_get(&all.it->readings, number_at(&all, 0)));
}

/* counts(reading): as the first values, how many rows there are, how many the server says there are, and how
 * many were changed. */
static napi_value counts(napi_env env, napi_callback_info info) {
    given all = arguments_of(env, info);
    reading *from = numbered_get(&all.it->readings, number_at(&all, 0));
    return number_to(env, reading_counts(all.it, from));
}

/* free(reading) */
static napi_value free_reading(napi_env env, napi_callback_info info) {
    given all = arguments_of(env, info);
    uint32_t number = number_at(&all, 0);
    reading_free(numbered_get(&all.it->readings, number));
    numbered_drop(&all.it->readings, number);
    return NULL;
}

/* cancel(call) */
static napi_value cancel(napi_env env, napi_callback_info info) {
    given all = arguments_of(env, info);
    const call *it = &all.it->calls[number_at(&all, 0)];
    look(all.it);
    int32_t code = PHANTOMDB_OK;
    if (it->is_step) {
        /* Its socket is ready now. */
        phantomdb_connection *connection = numbered_get(&all.it->clients, it->client);
        code = phantomdb_connection_interrupt(connection, &all.it->error);
    } else if (it->ticket != NULL) {
        code = phantomdb_cancel(it->ticket, &all.it->error);
    }
    tell_what_was_found(env, all.it);
    return number_to(env, code);
}

/* status(pool): the numbers of phantomdb_status, in its order, begin at the array's first. */
static napi_value status(napi_env env, napi_callback_info info) {
    given all = arguments_of(env, info);
    phantomdb_status now;
    phantomdb_status_init(&now, sizeof now);
    int32_t code = phantomdb_pool_status(pool_at(&all, 0), &now, &all.it->error);
    const uint32_t numbers[] = {now.available, now.used, now.pending, now.total, now.min, now.max};
    memcpy(all.it->numbers, numbers, sizeof numbers);
    return number_to(env, code);
}

/* A text that a pool gives; undefined if it gives none. */
static napi_value text_from(napi_env env, napi_callback_info info,
                            int32_t (*get)(phantomdb_pool *, phantomdb_result **, phantomdb_error *)) {
    given all = arguments_of(env, info);
    phantomdb_result *result = NULL;
    const char *text = "";
    uint64_t length = 0;
    if (get(pool_at(&all, 0), &result, &all.it->error) != PHANTOMDB_OK) return NULL;
    phantomdb_result_text(result, &text, &length, NULL);
    napi_value value = text_to(env, text, length);
    phantomdb_result_free(result);
    return value;
}

/* stats(pool): a text, or undefined. */
static napi_value stats(napi_env env, napi_callback_info info) {
    return text_from(env, info, phantomdb_pool_stats_json);
}

/* metrics(pool): a text, or undefined. */
static napi_value metrics(napi_env env, napi_callback_info info) {
    return text_from(env, info, phantomdb_pool_metrics);
}

/* reset(pool) */
static napi_value reset(napi_env env, napi_callback_info info) {
    given all = arguments_of(env, info);
    return number_to(env, phantomdb_pool_reset(pool_at(&all, 0), &all.it->error));
}

/* resize(pool, min, max) */
static napi_value resize(napi_env env, napi_callback_info info) {
    given all = arguments_of(env, info);
    return number_to(env, phantomdb_pool_resize(pool_at(&all, 0), number_at(&all, 1),
                                                number_at(&all, 2), &all.it->error));
}

/* setToken(pool, token) */
static napi_value set_token(napi_env env, napi_callback_info info) {
    given all = arguments_of(env, info);
    char room[ROOM], *heap = NULL;
    const char *token = NULL;
    if (!is_undefined(&all, 1)) {
        token = text_of(env, all.it, all.values[1], "token", room, sizeof room, &heap);
        if (token == NULL) return number_to(env, all.it->error.code);
    }
    int32_t code = phantomdb_pool_set_token(pool_at(&all, 0), token, &all.it->error);
    free(heap);
    return number_to(env, code);
}

/* close(pool, timeout, call): begins to close it. */
static napi_value begin_close(napi_env env, napi_callback_info info) {
    given all = arguments_of(env, info);
    phantomdb_pool *pool = pool_at(&all, 0);
    uint32_t id = number_at(&all, 2);
    phantomdb_completion_target to;
    if (!call_prepare(all.it, id, &to)) return number_to(env, all.it->error.code);
    int32_t code = phantomdb_pool_close_async(pool, (int64_t)double_at(&all, 1), phantomdb_post_close(),
                                              &to, &all.it->error);
    if (code == PHANTOMDB_OK) call_begin(env, all.it, id, pool, NULL);
    return number_to(env, code);
}

/* forgetPool(pool): of one that is closed. */
static napi_value forget_pool(napi_env env, napi_callback_info info) {
    given all = arguments_of(env, info);
    uint32_t number = number_at(&all, 0);
    pool_entry_free(numbered_get(&all.it->pools, number));
    numbered_drop(&all.it->pools, number);
    return NULL;
}

bool functions_define(napi_env env, environment *it, napi_value object) {
    static const struct {
        const char *name;
        napi_callback function;
    } all[] = {
        {"begin", begin},
        {"lastError", last_error},
        {"createPool", create_pool},
        {"acquire", acquire},
        {"tryAcquire", try_acquire},
        {"acquireCancelled", acquire_cancelled},
        {"release", release},
        {"setOwner", set_owner},
        {"run", run},
        {"request", request},
        {"cancel", cancel},
        {"status", status},
        {"stats", stats},
        {"metrics", metrics},
        {"reset", reset},
        {"resize", resize},
        {"read", read_values},
        {"text", text_of_reading},
        {"counts", counts},
        {"free", free_reading},
        {"setToken", set_token},
        {"close", begin_close},
        {"forgetPool", forget_pool},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!environment_define(env, it, object, all[i].name, all[i].function)) return false;
    }
    return true;
}
