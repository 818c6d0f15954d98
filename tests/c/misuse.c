/* Whatever a caller passes, it gets a code and a message that names the argument, and the pool
 * works afterwards. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "fake_server.h"
#include "misuse_table.h"
#include "support.h"

/* A response that every operation takes for a good one. */
static const fake_step good = {
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n", 0, FAKE_KEEP,
    "{\"databases\":[\"d\"],\"tables\":[\"t\"],\"records\":[],\"columns\":[],\"rows\":[],"
    "\"transaction_id\":\"t1\",\"x\":\"12\"}"};

static fake_server *server;
static phantomdb_error error;

/* What a call may be given. Made anew for each, so that none can spoil the next. */
typedef struct world {
    phantomdb_pool *pool;
    phantomdb_connection *connection;
    phantomdb_result *table;
    phantomdb_result *list;
    phantomdb_ticket *ticket;
    phantomdb_completion_queue *queue;
    phantomdb_pool_options options;
    union {
        phantomdb_pool_options options;
        phantomdb_status status;
    } structs;
    phantomdb_step step;
    void *handle;
    const char *text;
    uint64_t value;
} world;

static phantomdb_pool *closed_pool;
static phantomdb_connection *released_connection;
static phantomdb_result *freed_result;
static phantomdb_result *a_list;

/* For worlds that no call of the table was made in. */
static const misuse_row nothing = {0};

static void *const GARBAGE = (void *)0x5a5a5a5a;

/* The pool of the world in which callbacks run, how many have, and how many are to. */
static phantomdb_pool *_Atomic world_pool;
static atomic_int callbacks_run;
static int callbacks_due;

static void has_run(const phantomdb_error *told) {
    CHECK((told->code == PHANTOMDB_OK) == (told->message[0] == '\0'));
    callbacks_run++;
}

void misuse_on_acquire(phantomdb_connection *connection, const phantomdb_error *told,
                       void *user_data) {
    (void)user_data;
    CHECK((connection != NULL) == (told->code == PHANTOMDB_OK));
    if (connection != NULL) released(world_pool, connection);
    has_run(told);
}

void misuse_on_result(phantomdb_result *result, const phantomdb_error *told, void *user_data) {
    (void)user_data;
    CHECK((result != NULL) == (told->code == PHANTOMDB_OK));
    if (result != NULL) CHECK_INT(phantomdb_result_free(result), PHANTOMDB_OK);
    has_run(told);
}

void misuse_on_close(const phantomdb_error *told, void *user_data) {
    (void)user_data;
    has_run(told);
}

static phantomdb_pool_options options_of_fake(void) {
    phantomdb_pool_options options = options_for(fake_server_url(server));
    options.min_connections = 1;
    options.idle_timeout_ms = 0;
    options.close_timeout_ms = 0;
    return options;
}

static world new_world(int traits) {
    world w = {.options = options_of_fake(), .list = a_list};
    w.pool = new_pool(&w.options);
    w.connection = acquired(w.pool);
    CHECK_OK(phantomdb_pool_status_json(w.pool, &w.table, &error), &error);
    CHECK_OK(phantomdb_completion_queue_create(NULL, NULL, &w.queue, &error), &error);
    phantomdb_status_init(&w.structs.status, sizeof w.structs.status);
    w.handle = GARBAGE;
    w.text = GARBAGE;
    world_pool = w.pool;
    if (traits & NEEDS_TICKET) {
        CHECK_OK(phantomdb_pool_resize(w.pool, 1, 1, &error), &error);
        CHECK_OK(phantomdb_pool_acquire_async(w.pool, PHANTOMDB_POOL_TIMEOUT, misuse_on_acquire,
                                              NULL, &w.ticket, &error), &error);
        callbacks_due++;
    }
    if (traits & NEEDS_STEP) {
        CHECK_OK(phantomdb_connection_start(w.connection, PHANTOMDB_HEALTH_CHECK, NULL, 0, &w.step,
                                            NULL, &error), &error);
        CHECK_INT(w.step.state, PHANTOMDB_STEP_NEEDS_THREAD);
    }
    if (traits & NEEDS_SOCKET) {
        CHECK_OK(phantomdb_connection_health_check(w.connection, NULL, &error), &error);
        CHECK_OK(phantomdb_connection_start(w.connection, PHANTOMDB_HEALTH_CHECK, NULL, 0, &w.step,
                                            NULL, &error), &error);
        CHECK_INT(w.step.state, PHANTOMDB_STEP_WAITS);
    }
    if (traits & NEEDS_TRANSACTION) {
        CHECK_OK(phantomdb_connection_begin_transaction(w.connection, NULL, NULL, &error), &error);
    }
    return w;
}

static void *good_argument(world *w, const misuse_row *row, const argument *wanted) {
    switch (wanted->kind) {
    case POOL: return w->pool;
    case CONNECTION: return w->connection;
    case RESULT: return row->traits & OF_A_LIST ? w->list : w->table;
    case TICKET: return w->ticket;
    case QUEUE: return w->queue;
    case TEXT:
    case OPTIONAL_TEXT:
    case TEXTS:
    case CALLBACK:
    case OPTIONAL_CALLBACK:
    case USER_DATA:
    case BYTES: return (void *)wanted->good;
    case OPTIONS: return &w->options;
    case STRUCT: return &w->structs;
    case OUT_HANDLE:
    case OPTIONAL_OUT_HANDLE: return &w->handle;
    case OUT_TEXT: return &w->text;
    case OUT_STEP: return &w->step;
    case OUT_VALUE:
    case OPTIONAL_OUT_VALUE: return &w->value;
    case NO_ARGUMENT: break;
    }
    return NULL;
}

/* Ends what a successful call handed out. */
static void take_leave(world *w, const misuse_row *row) {
    if (w->handle == GARBAGE || w->handle == NULL) return;
    for (int i = 0; i < MOST_ARGUMENTS; i++) {
        const char *name = row->arguments[i].name;
        argument_kind kind = row->arguments[i].kind;
        if (kind == OPTIONAL_OUT_HANDLE) CHECK_INT(phantomdb_result_free(w->handle), PHANTOMDB_OK);
        if (kind != OUT_HANDLE) continue;
        if (strcmp(name, "pool") == 0) closed(w->handle);
        else if (strcmp(name, "queue") == 0) CHECK_INT(phantomdb_completion_queue_free(w->handle, NULL), PHANTOMDB_OK);
        else released(w->pool, w->handle);
    }
}

/* Of a call that succeeded: its callback, if there is one (`without` is the place of an argument
 * that is NULL), runs, unless a connection was had at once. */
static void expect_callback(const world *w, const misuse_row *row, int without) {
    for (int i = 0; i < MOST_ARGUMENTS; i++) {
        argument_kind kind = row->arguments[i].kind;
        if ((kind != CALLBACK && kind != OPTIONAL_CALLBACK) || i == without) continue;
        if (w->handle == NULL || w->handle == GARBAGE) callbacks_due++;
    }
}

/* The pool and its connection do what they should, unless the call ended them. */
static void end_world(world *w, const misuse_row *row, bool succeeded) {
    take_leave(w, row);
    if (w->ticket == NULL) EVENTUALLY(callbacks_run == callbacks_due);
    bool ended = succeeded && (row->traits & ENDS_ITS_HANDLE);
    bool ended_connection = ended && row->arguments[1].kind == CONNECTION;
    bool ended_pool = ended && row->arguments[0].kind == POOL && !ended_connection;
    if (ended_pool) {
        CHECK_INT(phantomdb_pool_release(w->pool, w->connection, NULL), PHANTOMDB_ERR_CLOSED);
    } else {
        if (!ended_connection) released(w->pool, w->connection);
        EVENTUALLY(callbacks_run == callbacks_due);
        at_rest(w->pool);
        CHECK_INT(status_of(w->pool).used, 0);
        released(w->pool, acquired(w->pool));
    }
    bool ended_table = ended && row->arguments[0].kind == RESULT;
    CHECK_INT(phantomdb_result_free(w->table),
              ended_table ? PHANTOMDB_ERR_INVALID_HANDLE : PHANTOMDB_OK);
    bool ended_queue = ended && row->arguments[0].kind == QUEUE;
    CHECK_INT(phantomdb_completion_queue_free(w->queue, NULL),
              ended_queue ? PHANTOMDB_ERR_INVALID_HANDLE : PHANTOMDB_OK);
    closed(w->pool);
}

/* How an error calls the argument in this place. */
static const char *name_in_error(const misuse_row *row, int place, const void *value) {
    if (place < 0) return NULL;
    /* A text of an array is called by what it is for. */
    bool is_within = row->arguments[place].kind == TEXTS && value != NULL;
    return is_within ? "database" : row->arguments[place].name;
}

/* Calls with `value` in the place of one argument (or none, `place` -1), with and without an
 * error to fill, and checks the outcome. */
static void attempt(const misuse_row *row, int place, void *value, int32_t expected) {
    for (int with_error = 0; with_error < 2; with_error++) {
        world w = new_world(row->traits);
        void *arguments[MOST_ARGUMENTS];
        for (int i = 0; i < MOST_ARGUMENTS; i++) {
            arguments[i] = good_argument(&w, row, &row->arguments[i]);
        }
        if (place >= 0) arguments[place] = value;
        phantomdb_error filled;
        memset(&filled, 0x5a, sizeof filled);
        bool fills = with_error && !(row->traits & HAS_NO_ERROR);
        int32_t code = row->call(arguments, with_error ? &filled : NULL);
        CHECK_CODE(code, expected, fills ? &filled : NULL, name_in_error(row, place, value));
        if (code != PHANTOMDB_OK) {
            CHECK(w.handle == NULL || w.handle == GARBAGE);
            bool outputs_first = place >= 0 && row->arguments[place].kind != OUT_HANDLE &&
                                 row->arguments[place].kind != OUT_TEXT;
            for (int i = 0; i < MOST_ARGUMENTS && outputs_first; i++) {
                argument_kind kind = row->arguments[i].kind;
                if (kind == OUT_HANDLE || kind == OPTIONAL_OUT_HANDLE) CHECK(w.handle == NULL);
                if (kind == OUT_TEXT) CHECK(w.text == NULL);
            }
        }
        if (code == PHANTOMDB_OK) expect_callback(&w, row, value == NULL ? place : -1);
        end_world(&w, row, code == PHANTOMDB_OK && (place < 0 || value != closed_pool));
    }
}

static void try_null(const misuse_row *row, int place) {
    switch (row->arguments[place].kind) {
    case POOL:
    case CONNECTION:
    case RESULT:
    case TICKET:
    case QUEUE: attempt(row, place, NULL, PHANTOMDB_ERR_INVALID_HANDLE); break;
    case TEXT:
    case TEXTS:
    case CALLBACK:
    case BYTES:
    case STRUCT:
    case OUT_HANDLE:
    case OUT_TEXT:
    case OUT_STEP:
    case OUT_VALUE: attempt(row, place, NULL, PHANTOMDB_ERR_INVALID_ARGUMENT); break;
    case OPTIONAL_TEXT:
    case OPTIONAL_CALLBACK:
    case USER_DATA:
    case OPTIONS:
    case OPTIONAL_OUT_HANDLE:
    case OPTIONAL_OUT_VALUE: attempt(row, place, NULL, PHANTOMDB_OK); break;
    case NO_ARGUMENT: break;
    }
}

static void every_function_is_in_the_table(void) {
    const char *functions = getenv("FUNCTIONS");
    if (!CHECK(functions != NULL && *functions != '\0')) return;
    char *copy = strdup(functions);
    size_t count = 0;
    for (char *name = strtok(copy, " \n"); name != NULL; name = strtok(NULL, " \n")) {
        bool is_known = false;
        for (size_t i = 0; i < misuse_row_count; i++) {
            is_known = is_known || strcmp(misuse_rows[i].function, name) == 0;
        }
        check_about("%s of phantomdb.h", name);
        CHECK(is_known);
        count++;
    }
    CHECK_INT(count, misuse_row_count);
    free(copy);
}

static void good_arguments_are_taken(void) {
    for (size_t i = 0; i < misuse_row_count; i++) {
        check_about("%s", misuse_rows[i].function);
        attempt(&misuse_rows[i], -1, NULL, PHANTOMDB_OK);
    }
}

static void null_for_each_argument(void) {
    for (size_t i = 0; i < misuse_row_count; i++) {
        for (int place = 0; place < MOST_ARGUMENTS; place++) {
            check_about("%s, argument %d", misuse_rows[i].function, place);
            try_null(&misuse_rows[i], place);
        }
    }
}

static void try_bad_handles(const misuse_row *row, int place) {
    argument_kind kind = row->arguments[place].kind;
    world other = new_world(PLAIN);
    void *const handles[] = {
        (void *)0xdead,
        (void *)UINTPTR_MAX,
        (void *)1,
        (void *)(uintptr_t)INTPTR_MIN,
        &other,
        kind == POOL ? (void *)other.connection : (void *)other.pool,
        kind == RESULT ? (void *)other.connection : (void *)other.table,
        kind == QUEUE ? (void *)other.connection : (void *)other.queue,
        kind == CONNECTION ? (void *)released_connection : (void *)freed_result,
        /* The next that this place of the table would name. */
        (void *)((uintptr_t)other.connection + ((uintptr_t)1 << 28)),
    };
    for (size_t i = 0; i < sizeof handles / sizeof *handles; i++) {
        check_about("%s, argument %d, handle %p", row->function, place, handles[i]);
        attempt(row, place, handles[i], PHANTOMDB_ERR_INVALID_HANDLE);
    }
    end_world(&other, &nothing, false);
}

static void made_up_handles(void) {
    for (size_t i = 0; i < misuse_row_count; i++) {
        for (int place = 0; place < MOST_ARGUMENTS; place++) {
            argument_kind kind = misuse_rows[i].arguments[place].kind;
            if (kind != POOL && kind != CONNECTION && kind != RESULT && kind != TICKET &&
                kind != QUEUE) continue;
            try_bad_handles(&misuse_rows[i], place);
        }
    }
}

static void handles_of_a_closed_pool(void) {
    for (size_t i = 0; i < misuse_row_count; i++) {
        const misuse_row *row = &misuse_rows[i];
        if (row->arguments[0].kind != POOL) continue;
        check_about("%s", row->function);
        bool closes = strncmp(row->function, "phantomdb_pool_close", 20) == 0;
        world w = new_world(PLAIN);
        void *arguments[MOST_ARGUMENTS];
        for (int a = 0; a < MOST_ARGUMENTS; a++) {
            arguments[a] = good_argument(&w, row, &row->arguments[a]);
        }
        arguments[0] = closed_pool;
        CHECK_CODE(row->call(arguments, &error), closes ? PHANTOMDB_OK : PHANTOMDB_ERR_CLOSED,
                   &error, "closed");
        if (closes) expect_callback(&w, row, -1);
        end_world(&w, row, false);
    }
}

static void text_that_is_not_utf8(void) {
    for (size_t i = 0; i < misuse_row_count; i++) {
        for (int place = 0; place < MOST_ARGUMENTS; place++) {
            argument_kind kind = misuse_rows[i].arguments[place].kind;
            if (kind != TEXT && kind != OPTIONAL_TEXT && kind != TEXTS && kind != BYTES) continue;
            check_about("%s, argument %d", misuse_rows[i].function, place);
            attempt(&misuse_rows[i], place, (void *)"\xc3\x28", PHANTOMDB_ERR_INVALID_ARGUMENT);
        }
    }
}

static void releasing_twice(void) {
    world w = new_world(PLAIN);
    phantomdb_connection *second = acquired(w.pool);
    released(w.pool, second);
    CHECK_CODE(phantomdb_pool_release(w.pool, second, &error), PHANTOMDB_ERR_INVALID_HANDLE, &error,
               "connection");
    CHECK_CODE(phantomdb_pool_discard(w.pool, second, &error), PHANTOMDB_ERR_INVALID_HANDLE, &error,
               "already been released");
    CHECK_INT(status_of(w.pool).used, 1);
    end_world(&w, &nothing, false);
}

static void releasing_to_another_pool(void) {
    world one = new_world(PLAIN);
    world other = new_world(PLAIN);
    CHECK_CODE(phantomdb_pool_release(other.pool, one.connection, &error),
               PHANTOMDB_ERR_INVALID_HANDLE, &error, "another pool");
    CHECK_INT(status_of(one.pool).used, 1);
    CHECK_INT(status_of(other.pool).used, 1);
    CHECK_OK(phantomdb_connection_health_check(one.connection, NULL, &error), &error);
    end_world(&one, &nothing, false);
    end_world(&other, &nothing, false);
}

static void using_a_released_connection(void) {
    world w = new_world(PLAIN);
    phantomdb_connection *stale = w.connection;
    released(w.pool, stale);
    CHECK_CODE(phantomdb_connection_health_check(stale, NULL, &error), PHANTOMDB_ERR_INVALID_HANDLE,
               &error, "already been released");
    /* The next lease of the same connection is another handle. */
    w.connection = acquired(w.pool);
    CHECK(w.connection != stale);
    CHECK_INT(phantomdb_connection_health_check(stale, NULL, NULL), PHANTOMDB_ERR_INVALID_HANDLE);
    CHECK_OK(phantomdb_connection_health_check(w.connection, NULL, &error), &error);
    end_world(&w, &nothing, false);
}

static void freeing_twice(void) {
    phantomdb_result *result = NULL;
    world w = new_world(PLAIN);
    CHECK_OK(phantomdb_pool_status_json(w.pool, &result, &error), &error);
    CHECK_INT(phantomdb_result_free(result), PHANTOMDB_OK);
    CHECK_INT(phantomdb_result_free(result), PHANTOMDB_ERR_INVALID_HANDLE);
    const char *text = NULL;
    CHECK_CODE(phantomdb_result_text(result, &text, NULL, &error), PHANTOMDB_ERR_INVALID_HANDLE,
               &error, "already been freed");
    end_world(&w, &nothing, false);
}

/* A struct with room behind it, as a newer program has it. */
typedef union roomy {
    phantomdb_pool_options options;
    phantomdb_status status;
    unsigned char bytes[sizeof(phantomdb_pool_options) + 64];
} roomy;

static void struct_sizes_of_garbage(void) {
    phantomdb_pool *pool = NULL;
    static const uint32_t sizes[] = {0, 1, 4, sizeof(phantomdb_pool_options) - 1, 0x5a5a5a5a,
                                     UINT32_MAX};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        check_about("size %u", sizes[i]);
        roomy given;
        memset(&given, 0x5a, sizeof given);
        CHECK_INT(phantomdb_pool_options_init(&given.options, sizes[i]),
                  PHANTOMDB_ERR_INVALID_ARGUMENT);
        CHECK_INT(given.bytes[0], 0x5a);
        given.options = options_of_fake();
        given.options.struct_size = sizes[i];
        CHECK_CODE(phantomdb_pool_create(&given.options, &pool, &error),
                   PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "struct_size");
        CHECK_HAS(error.message, "phantomdb_pool_options_init");
        CHECK(pool == NULL);
    }
}

static void a_status_that_was_not_initialised(void) {
    world w = new_world(PLAIN);
    phantomdb_status status;
    memset(&status, 0x5a, sizeof status);
    CHECK_CODE(phantomdb_pool_status(w.pool, &status, &error), PHANTOMDB_ERR_INVALID_ARGUMENT,
               &error, "phantomdb_status_init");
    status.struct_size = sizeof status - 1;
    CHECK_CODE(phantomdb_pool_status(w.pool, &status, &error), PHANTOMDB_ERR_INVALID_ARGUMENT,
               &error, "phantomdb_status_init");
    CHECK_INT(phantomdb_status_init(&status, 0), PHANTOMDB_ERR_INVALID_ARGUMENT);
    end_world(&w, &nothing, false);
}

static void a_newer_program(void) {
    roomy given;
    memset(&given, 0x5a, sizeof given);
    CHECK_INT(phantomdb_pool_options_init(&given.options, sizeof given), PHANTOMDB_OK);
    CHECK_INT(given.options.struct_size, sizeof given);
    for (size_t i = sizeof(phantomdb_pool_options); i < sizeof given; i++) {
        CHECK_INT(given.bytes[i], 0);
    }
    given.options.base_url = fake_server_url(server);
    phantomdb_pool *pool = new_pool(&given.options);

    roomy status;
    CHECK_INT(phantomdb_status_init(&status.status, sizeof status), PHANTOMDB_OK);
    CHECK_OK(phantomdb_pool_status(pool, &status.status, &error), &error);
    CHECK_INT(status.status.available, 2);
    CHECK_INT(status.status.struct_size, sizeof status);
    closed(pool);

    /* Something set that this library does not know must not be ignored. */
    given.bytes[sizeof given - 1] = 1;
    CHECK_CODE(phantomdb_pool_create(&given.options, &pool, &error),
               PHANTOMDB_ERR_INVALID_ARGUMENT, &error, "newer");
    CHECK(pool == NULL);
    phantomdb_pool_options options = options_of_fake();
    options.reserved = 1;
    CHECK_CODE(phantomdb_pool_create(&options, &pool, &error), PHANTOMDB_ERR_INVALID_ARGUMENT,
               &error, "reserved");
}

static void make_stale_handles(void) {
    phantomdb_pool_options options = options_of_fake();
    closed_pool = new_pool(&options);
    released_connection = acquired(closed_pool);
    CHECK_OK(phantomdb_connection_list_databases(released_connection, &a_list, &error), &error);
    CHECK_OK(phantomdb_pool_status_json(closed_pool, &freed_result, &error), &error);
    phantomdb_result_free(freed_result);
    released(closed_pool, released_connection);
    closed(closed_pool);
}

int main(void) {
    server = fake_server_start(&good, 1);
    make_stale_handles();
    check_run("every function is in the table", every_function_is_in_the_table);
    check_run("good arguments are taken", good_arguments_are_taken);
    check_run("NULL for each argument", null_for_each_argument);
    check_run("made-up handles, and those of other kinds", made_up_handles);
    check_run("handles of a closed pool", handles_of_a_closed_pool);
    check_run("text that is not UTF-8", text_that_is_not_utf8);
    check_run("releasing twice", releasing_twice);
    check_run("releasing to another pool", releasing_to_another_pool);
    check_run("using a released connection", using_a_released_connection);
    check_run("freeing twice", freeing_twice);
    check_run("struct sizes of garbage", struct_sizes_of_garbage);
    check_run("a status that was not initialised", a_status_that_was_not_initialised);
    check_run("a program newer than the library", a_newer_program);
    phantomdb_result_free(a_list);
    fake_server_stop(server);
    return check_end();
}
