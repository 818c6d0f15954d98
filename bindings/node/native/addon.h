/* What the files of the addon share: the state of one environment, its calls, and the completion
 * queue through which the library's threads reach it. An environment belongs to one copy of lib/ in one thread of
 * JavaScript: a module registry (Jest's, a cleared require.cache, another vm context) evaluates lib/ again
 * over the addon that is already loaded, and each copy must hear of its own calls only. */
#ifndef PHANTOMDB_NODE_ADDON_H
#define PHANTOMDB_NODE_ADDON_H

#define NAPI_VERSION 8
#include <node_api.h>
#include <phantomdb.h>
#include <pthread.h>
#include <stdatomic.h>

typedef struct environment environment;

/* What a message tells of. The numbers are known to lib/calls.js. */
typedef enum message_kind {
    MESSAGE_RESULT,
    MESSAGE_CONNECTION,
    /* Of a call that failed, or of one that brings nothing. */
    MESSAGE_OUTCOME,
    MESSAGE_LOG,
} message_kind;

/* A pool, as JavaScript's number for it leads to it. Holds its environment. */
typedef struct pool_entry {
    environment *env;
    uint32_t number;
    phantomdb_pool *pool;
} pool_entry;

/* A call of JavaScript's, from its start until JavaScript is told its outcome. */
typedef struct call {
    phantomdb_pool *pool;
    /* NULL if it can't be cancelled, or goes step by step. */
    phantomdb_ticket *ticket;
    bool is_cancellable;
    /* Its client, if it is a request on one, and that client's serial number. */
    bool has_client;
    uint32_t client;
    uint32_t serial;
    /* Whether it is a request that goes step by step; which descriptor it waits for, and until when. */
    bool is_step;
    int32_t descriptor;
    int64_t due;
} call;

/* What is under way on a client, by its number. */
typedef struct client_use {
    /* Tells this client from others with its number, before and after. */
    uint32_t serial;
    /* How many calls. */
    uint32_t pending;
    /* The call whose request goes step by step, and one more; 0 if there is none. */
    uint32_t step;
    /* No client of JavaScript's: a request on the pool has it for itself. */
    bool is_own;
} client_use;

/* A request, and what it is sent on: a pool, or a connection of it. */
typedef struct question {
    phantomdb_pool *pool;
    /* NULL: the pool. */
    phantomdb_connection *connection;
    /* Its number. */
    uint32_t client;
    bool is_cancellable;
    bool is_request;
    int32_t operation;
    /* The arguments of the operation; or method, path and body. */
    const char *const *texts;
    uint64_t count;
    /* Of the body. */
    uint64_t length;
} question;

/* A message of a pool's log, on its way to JavaScript. */
typedef struct log_line {
    struct log_line *next;
    uint32_t pool;
    int32_t level;
    char text[];
} log_line;

/* Things under small numbers, which JavaScript can hold, and whom each belongs to. */
typedef struct numbered {
    void **things;
    void **owners;
    uint32_t *free;
    uint32_t capacity;
    uint32_t count;
    uint32_t free_count;
} numbered;

/* How many messages JavaScript is told of at once, and how many numbers each has; how many values of a
 * result it is shown at once. */
enum { BATCH = 128, NUMBERS = 6, VALUES = 256 };
/* Added to how many values are shown when there are no more. */
enum { IS_END = 1 << 16 };

/* A result that JavaScript reads. */
typedef struct reading reading;

/* What the event loop watches for requests that go step by step. */
typedef struct watcher watcher;

/* What JavaScript reads of a result: the names of its columns, its cells or its items; its JSON, or that of
 * one of its cells. The numbers are known to lib/reading.js. */
typedef enum reading_part { PART_COLUMNS, PART_CELLS, PART_ITEMS, PART_WHOLE, PART_CELL } reading_part;

/* What a value is for JavaScript. The numbers are known to lib/reading.js. */
typedef enum value_kind {
    VALUE_NULL,
    VALUE_BOOL,
    VALUE_NUMBER,
    VALUE_BIGINT,
    VALUE_TEXT,
    VALUE_JSON,
    VALUE_ARRAY,
    VALUE_OBJECT,
    VALUE_KEY,
    VALUE_END,
} value_kind;

/* Where values are shown to JavaScript: VALUES of a table or list, then VALUES of JSON. */
typedef struct shown_values {
    uint8_t *kinds;
    double *numbers;
    double *rows;
    uint32_t *columns;
} shown_values;

struct environment {
    /* Guards what the library's threads touch: the logs, and whether anybody reads them. */
    pthread_mutex_t lock;
    log_line *_Atomic first_line;
    log_line *last_line;
    bool is_alive;
    napi_threadsafe_function waker;
    phantomdb_completion_queue *queue;

    /* Held by JavaScript's thread until the environment is over, by each of its functions, by the
     * waker, and by each pool. */
    atomic_uint references;
    /* In the list of all, for the end of the process. */
    environment *next;

    /* The rest is for the thread of JavaScript only. */
    pthread_t thread;
    bool is_over;
    /* How many of its functions JavaScript can still reach. */
    uint32_t functions;
    /* It looks for messages as soon as the call that it is in returns, and there is something. */
    bool is_looking;
    bool has_found;
    uint32_t open_calls;
    /* Strong only while a call is under way: the receiver leads to the copy of lib/, which leads to
     * the functions here, and must not be kept by them alone. */
    napi_ref settle;
    napi_ref buffer;
    int32_t *numbers;
    shown_values values;
    numbered readings;
    numbered pools;
    numbered clients;
    /* By their numbers. */
    client_use *uses;
    uint32_t uses_capacity;
    /* NULL before the first request that goes step by step, and if that can't be. */
    watcher *watcher;
    bool may_watch;
    /* How many go step by step, and what has become of those that are over: JavaScript is told of them from
     * `over_told` on. There is room for all. */
    uint32_t stepping;
    phantomdb_completion *over;
    uint32_t over_count;
    uint32_t over_told;
    uint32_t over_capacity;
    /* By their numbers, which JavaScript chose. */
    call *calls;
    uint32_t calls_capacity;
    phantomdb_error error;
};

/* environment.c */
environment *environment_begin(napi_env env);
void environment_hold(environment *it);
void environment_release(environment *it);
/* A function that is handed `it`, and keeps it. The environment is over when all of those that
 * JavaScript was given by `environment_define` are collected as garbage. */
bool environment_define(napi_env env, environment *it, napi_value object, const char *name,
                        napi_callback function);
void pool_entry_free(pool_entry *entry);
/* A name and a resource for what wakes the event loop; the resource says whether that keeps the process alive. */
bool environment_describe(napi_env env, environment *it, napi_value *name, napi_value *resource);

/* messages.c */
/* Tells JavaScript of all messages. */
void messages_deliver(napi_env env, environment *state);

/* calls.c */
/* Before the library is called: where the outcome of this call goes. False, with `state->error`
 * filled: no memory is left. */
bool call_prepare(environment *state, uint32_t id, phantomdb_completion_target *target);
/* After that, if there will be an outcome. It is told on this thread, so no sooner. */
void call_begin(napi_env env, environment *state, uint32_t id, phantomdb_pool *pool,
                phantomdb_ticket *ticket);
void call_end(napi_env env, environment *state, uint32_t id);

/* steps.c */
/* A number for a client with this connection. False: no memory is left. */
bool client_put(environment *state, phantomdb_connection *connection, phantomdb_pool *pool,
                uint32_t *number);
void client_drop(environment *state, uint32_t number);
/* Sends a request by the shortest way there is. */
int32_t steps_ask(napi_env env, environment *state, question *what, uint32_t id);
/* Goes on with a request whose socket is ready, or whose time is over. */
void steps_resume(environment *state, uint32_t id);
/* Before a client is released: the library goes on with a request that goes step by step on it. */
void steps_leave_client(environment *state, uint32_t client);
/* A call is over: one less of its client. */
void steps_count_end(environment *state, uint32_t id);

/* watcher.c */
/* Makes sure that there is one. */
bool watcher_begin(napi_env env, environment *state);
void watcher_end(watcher *it);
/* Has a request resumed when its socket is ready, or its time is over. False: the socket can't be watched. */
bool watcher_wait(environment *state, uint32_t id, const phantomdb_step *step);
/* It waits no more. */
void watcher_forget(environment *state, uint32_t id);

/* logs.c */
/* `user_data` is a pool_entry. */
void on_log(int32_t level, const char *text, void *user_data);
log_line *logs_take(environment *state);
void logs_free(log_line *first);

/* waker.c */
/* Wakes the event loop, or tells the call that is looking for messages; `user_data` is an environment. */
void waker_wake(void *user_data);
/* From now on nobody wakes the event loop. */
void waker_stop(environment *state);

/* errors.c */
/* Both fill `state->error`; the second gives its code. */
void no_memory(environment *state, const char *what);
int32_t too_long(napi_env env, environment *state);
/* Writes its parts, but the text, to where those of a message are; see lib/errors.js. */
void error_show(const phantomdb_error *error, int32_t *numbers);

/* numbered.c */
bool numbered_put(numbered *list, void *thing, void *owner, uint32_t *number);
void *numbered_get(const numbered *list, uint32_t number);
void *numbered_owner(const numbered *list, uint32_t number);
void numbered_drop(numbered *list, uint32_t number);
void numbered_free(numbered *list);

/* options.c */
/* The options of a pool, with the texts that they point to. */
typedef struct pool_options {
    phantomdb_pool_options all;
    char **texts;
    uint64_t count;
} pool_options;
/* Whether JavaScript can set it. It can't if the library is newer than phantomdb.h, and only the library
 * has it. */
bool option_is_known(const phantomdb_option_info *option);
/* The values of those that are known, in the order of the library's table; undefined is the default. To be
 * freed, also if this fails. */
bool options_read(napi_env env, environment *it, napi_value values, pool_options *into);
void options_free(pool_options *options);

/* functions.c */
bool functions_define(napi_env env, environment *it, napi_value object);

/* tables.c */
void tables_define(napi_env env, napi_value object);

/* reading.c */
reading *reading_new(phantomdb_result *result);
void reading_free(reading *it);
/* Shows the next values, VALUES at most, and puts their texts into the array `texts`; gives how many they are, and
 * whether there are more, or a code. */
int32_t reading_read(napi_env env, environment *it, reading *from, reading_part part, uint64_t row,
                     uint64_t column, napi_value texts);
/* The whole result as text; NULL with `it->error` if it has none. */
napi_value reading_text(napi_env env, environment *it, reading *from);
/* How many rows there are, how many the server says there are, and how many were changed: the first numbers. */
int32_t reading_counts(environment *it, reading *from);

/* text.c */
/* An argument as a text of C, in `room` if it fits, else on the heap (`*heap`, to be freed). NULL,
 * with `it->error` filled, if it can't be one. */
const char *text_of(napi_env env, environment *it, napi_value value, const char *name, char *room,
                    size_t size, char **heap);
napi_value text_to(napi_env env, const char *text, size_t length);

#endif
