/*
 * phantomdb.h - a connection pool and client for PhantomDB
 *
 *
 * INSTALL AND LINK
 *
 * With pkg-config:    cc program.c $(pkg-config --cflags --libs phantomdb)
 * With CMake:         find_package(phantomdb REQUIRED)
 *                     target_link_libraries(program PRIVATE phantomdb::phantomdb)
 *
 * There is nothing to initialise and nothing to shut down. The library installs no signal
 * handler, prints nothing, reads no environment variable (but SSL_CERT_FILE and SSL_CERT_DIR,
 * when it looks for the system's certificates) and may be used from C and from C++. C++
 * programs may prefer phantomdb.hpp, which releases and frees by itself.
 *
 *
 * A COMPLETE PROGRAM
 *
 *     #include <inttypes.h>
 *     #include <phantomdb.h>
 *     #include <stdio.h>
 *
 *     int main(int argc, char **argv) {
 *         phantomdb_error error;
 *         phantomdb_pool_options options;
 *         phantomdb_pool_options_init(&options, sizeof options);
 *         if (argc > 1) options.base_url = argv[1];
 *
 *         phantomdb_pool *pool;
 *         if (phantomdb_pool_create(&options, &pool, &error) != PHANTOMDB_OK) {
 *             fprintf(stderr, "%s\n", error.message);
 *             return 1;
 *         }
 *
 *         phantomdb_connection *connection;
 *         phantomdb_result *result;
 *         int failed = 1;
 *         if (phantomdb_pool_acquire(pool, &connection, &error) == PHANTOMDB_OK) {
 *             int32_t code = phantomdb_connection_list_databases(connection, &result, &error);
 *             if (code == PHANTOMDB_OK) {
 *                 uint64_t count = 0;
 *                 phantomdb_result_item_count(result, &count, NULL);
 *                 for (uint64_t i = 0; i < count; i++) {
 *                     const char *name = "";
 *                     phantomdb_result_item(result, i, &name, NULL, NULL);
 *                     printf("%" PRIu64 " %s\n", i, name);
 *                 }
 *                 phantomdb_result_free(result);
 *                 failed = 0;
 *             }
 *             phantomdb_pool_release(pool, connection, NULL);
 *         }
 *         if (failed) fprintf(stderr, "%s\n", error.message);
 *         phantomdb_pool_close(pool, NULL);
 *         return failed;
 *     }
 *
 *
 * THE POOL
 *
 * A pool holds at most max_connections connections to one server. Acquire one, use it, release
 * it. Whoever finds none free waits in a queue, first come, first served, until one is
 * released or a new one is open, whichever is first, or until its time is over. Between
 * min_connections and max_connections the pool grows with the demand and shrinks when
 * connections are idle. A connection opens its socket at its first request, so a pool can be
 * made while the server is down; after that the pool opens new ones itself, a few at a time.
 *
 * When the server can't be reached, callers get PHANTOMDB_ERR_UNAVAILABLE with the cause at once
 * instead of waiting, while the pool tries again behind the scenes, ever less often. But as long
 * as connections are in use that may come back, as with a server that takes no more of them,
 * callers wait for these.
 *
 * phantomdb_pool_query and phantomdb_pool_request acquire, run and release in one call.
 *
 *
 * THREADS
 *
 * Every call may be made from any thread at any time. A connection serves one request at a
 * time: while one thread's request is in flight, another thread's gets PHANTOMDB_ERR_BUSY.
 * Nothing is thread-local: a connection may be acquired in one thread, used in a second and
 * released in a third.
 *
 * A thread that is cancelled (pthread_cancel) while it is in a call ends after the call has
 * returned, at its next cancellation point; nothing is lost, and what the call gave is yours to
 * release, in a cleanup handler. Asynchronous cancellation (PTHREAD_CANCEL_ASYNCHRONOUS) must not
 * be enabled around calls, as around those of the C library.
 *
 * Event loops, and threads that must not wait, use the asynchronous forms:
 * phantomdb_pool_run_async, phantomdb_pool_acquire_async, phantomdb_connection_run_async and
 * their siblings return at once. When they are done, they call a function of yours, or leave
 * their outcome in a phantomdb_completion_queue, which wakes your loop. phantomdb_cancel ends one
 * early. What holds for all of them stands at phantomdb_ticket.
 *
 * A program whose loop watches descriptors can carry requests on itself, without callbacks and
 * without any thread of the library: see phantomdb_step.
 *
 *
 * AN EVENT LOOP
 *
 *     #include <phantomdb.h>
 *     #include <poll.h>
 *     #include <stdio.h>
 *
 *     static int show(const phantomdb_completion *done) {
 *         const char *what = done->user_data, *json = "";
 *         if (done->error.code != PHANTOMDB_OK) {
 *             fprintf(stderr, "%s: %s\n", what, done->error.message);
 *             return 1;
 *         }
 *         phantomdb_result_text(done->result, &json, NULL, NULL);
 *         printf("%s: %s\n", what, json);
 *         phantomdb_result_free(done->result);
 *         return 0;
 *     }
 *
 *     int main(int argc, char **argv) {
 *         phantomdb_error error;
 *         phantomdb_pool_options options;
 *         phantomdb_pool_options_init(&options, sizeof options);
 *         if (argc > 1) options.base_url = argv[1];
 *
 *         phantomdb_pool *pool;
 *         phantomdb_completion_queue *queue;
 *         struct pollfd watched = {.events = POLLIN};
 *         if (phantomdb_pool_create(&options, &pool, &error) != PHANTOMDB_OK ||
 *             phantomdb_completion_queue_create(NULL, NULL, &queue, &error) != PHANTOMDB_OK ||
 *             phantomdb_completion_queue_descriptor(queue, &watched.fd, &error) != PHANTOMDB_OK) {
 *             fprintf(stderr, "%s\n", error.message);
 *             return 1;
 *         }
 *         // Both are under way at once, on connections of their own.
 *         phantomdb_completion_target databases = {.queue = queue, .user_data = "databases"};
 *         phantomdb_completion_target tables = {.queue = queue, .user_data = "tables of alpha"};
 *         const char *arguments[] = {"alpha"};
 *         int open = 0, failed = 0;
 *         if (phantomdb_pool_run_async(pool, PHANTOMDB_LIST_DATABASES, NULL, 0,
 *                                      phantomdb_post_result(), &databases, NULL,
 *                                      &error) == PHANTOMDB_OK) open++;
 *         if (phantomdb_pool_run_async(pool, PHANTOMDB_LIST_TABLES, arguments, 1,
 *                                      phantomdb_post_result(), &tables, NULL,
 *                                      &error) == PHANTOMDB_OK) open++;
 *         if (open < 2) failed = 1;
 *
 *         while (open > 0) {
 *             poll(&watched, 1, -1);
 *             phantomdb_completion done[8];
 *             uint64_t count = 0;
 *             do {
 *                 phantomdb_completion_queue_take(queue, 0, done, 8, &count, NULL);
 *                 for (uint64_t i = 0; i < count; i++, open--) failed |= show(&done[i]);
 *             } while (count > 0);
 *         }
 *         phantomdb_pool_close(pool, NULL);
 *         phantomdb_completion_queue_free(queue, NULL);
 *         return failed;
 *     }
 *
 *
 * OWNERSHIP
 *
 * What a call hands out through an output argument is yours: a pool until phantomdb_pool_close, a
 * connection until phantomdb_pool_release or phantomdb_pool_discard, a result until
 * phantomdb_result_free. When a call fails, its outputs are NULL and nothing is left to free.
 * Texts and structs that you pass in are yours throughout; the library keeps no pointer to them.
 *
 * phantomdb_pool_close waits, up to close_timeout_ms, for connections that are out. Release yours
 * before you close the pool in the same thread.
 *
 * Handles (phantomdb_pool *, phantomdb_connection *, phantomdb_result *) look like pointers but
 * are checked numbers, never followed. One that is NULL, made up, released or freed already, or
 * of the wrong kind gets PHANTOMDB_ERR_INVALID_HANDLE, one of a closed pool PHANTOMDB_ERR_CLOSED;
 * always, from any thread. So releasing twice, or using a connection after its release, is an
 * error that you are told of, and never a crash. (phantomdb_completion_queue * is one too, and
 * phantomdb_ticket *, which the end of its call ends.)
 *
 * What the library can't check is that other pointers lead where their types say, that texts
 * end with a NUL, and that nobody changes them during the call.
 *
 *
 * ERRORS
 *
 * A call that can fail returns PHANTOMDB_OK (0) or one of the negative PHANTOMDB_ERR_ codes, and
 * takes a phantomdb_error as its last argument, which may be NULL. The message is made for
 * people: it names what was tried, on what, and the root cause. It never holds a token or a
 * password. Match on the code; a program that must match on text can rely on two words: "Timeout"
 * in the message of PHANTOMDB_ERR_TIMEOUT and "closed" in that of PHANTOMDB_ERR_CLOSED.
 *
 *
 * VERSIONS
 *
 * Structs that you fill begin with struct_size, which their _init call sets: a program works
 * with newer and older libraries of the same PHANTOMDB_ABI_VERSION. Codes are never renumbered.
 */

#ifndef PHANTOMDB_H
#define PHANTOMDB_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Versions ---- */

/**
 * The version of the ABI that this header describes: the number behind `libphantomdb.so`. It is
 * raised with every incompatible change, and apart from the library's version.
 */
#define PHANTOMDB_ABI_VERSION 0

/** The version of the library, "0.1.0" for example. Valid for ever. Safe from any thread. */
const char *phantomdb_version(void);

/**
 * The version of the ABI that the library has. Programs compiled against one
 * `PHANTOMDB_ABI_VERSION` run with every library of the same. Safe from any thread.
 */
uint32_t phantomdb_abi_version(void);

/* ---- Errors ---- */

/** The size of `phantomdb_error.message`, its NUL included. */
#define PHANTOMDB_ERROR_MESSAGE_SIZE 984

/** What a call returns, and `phantomdb_error.code` holds. The numbers never change. */
typedef enum phantomdb_code {
    /** The call succeeded. */
    PHANTOMDB_OK = 0,
    /**
     * An argument or option is missing, out of range or contradicts another. The message
     * begins with its name.
     */
    PHANTOMDB_ERR_INVALID_ARGUMENT = -1,
    /** The handle is NULL, made up, already released, or of another kind or pool. */
    PHANTOMDB_ERR_INVALID_HANDLE = -2,
    /** The pool is closed. The message contains the word "closed". */
    PHANTOMDB_ERR_CLOSED = -3,
    /** The deadline passed first. The message contains the word "Timeout". */
    PHANTOMDB_ERR_TIMEOUT = -4,
    /** No connection is free at this moment, and the call does not wait. */
    PHANTOMDB_ERR_WOULD_BLOCK = -5,
    /** Too many callers wait already (`max_waiters`). */
    PHANTOMDB_ERR_OVERLOADED = -6,
    /** The server can't be reached. The message holds the root cause. */
    PHANTOMDB_ERR_UNAVAILABLE = -7,
    /** The call was cancelled, or its connection interrupted. */
    PHANTOMDB_ERR_CANCELLED = -8,
    /** The connection is in use by another thread. */
    PHANTOMDB_ERR_BUSY = -9,
    /** The call would wait for itself. */
    PHANTOMDB_ERR_WOULD_DEADLOCK = -10,
    /**
     * The operation does not fit the state of the connection: a commit with no transaction
     * open, say.
     */
    PHANTOMDB_ERR_INVALID_STATE = -11,
    /** The server responded with an error; `http_status` says which. */
    PHANTOMDB_ERR_HTTP = -12,
    /** The server refused the credentials (HTTP status 401 or 403). */
    PHANTOMDB_ERR_UNAUTHORIZED = -13,
    /** The server's response is not valid HTTP or not valid JSON. */
    PHANTOMDB_ERR_PROTOCOL = -14,
    /** The connection broke before the response was complete. */
    PHANTOMDB_ERR_CONNECTION_LOST = -15,
    /** The server's response is larger than `max_response_bytes`. */
    PHANTOMDB_ERR_TOO_LARGE = -16,
    /** The TLS settings are wrong, or the server's certificate was refused. */
    PHANTOMDB_ERR_TLS = -17,
    /** A value of a result has another type, or lies outside its range. */
    PHANTOMDB_ERR_TYPE = -18,
    /** A bug in this library, caught. The pool stays usable. */
    PHANTOMDB_ERR_PANIC = -19,
    /**
     * There is not enough memory for the request, or for a response that `max_response_bytes`
     * allows.
     */
    PHANTOMDB_ERR_OUT_OF_MEMORY = -20,
} phantomdb_code;

/** A code with its name and text, as `phantomdb_code_table` lists them. */
typedef struct phantomdb_code_info {
    /** One of `phantomdb_code`. */
    int32_t code;
    /** The part of its name after `PHANTOMDB_ERR_`: "TIMEOUT". "OK" for `PHANTOMDB_OK`. */
    const char *name;
    /** A sentence that says what it means, without its full stop. */
    const char *text;
} phantomdb_code_info;

/**
 * Why a call failed. The caller owns it: put one on the stack, pass its address, read it when
 * the call did not return `PHANTOMDB_OK`. Nothing in it needs to be freed.
 *
 * It need not be initialised: every call that takes one fills it on failure, and sets `code`
 * to `PHANTOMDB_OK` and `message` to "" on success. Every call accepts NULL instead.
 */
typedef struct phantomdb_error {
    /** One of `phantomdb_code`; the same number that the call returned. */
    int32_t code;
    /** The HTTP status that the server answered; 0 if it did not. */
    int32_t http_status;
    /**
     * In how many milliseconds a new try makes sense, as the library or the server (by
     * Retry-After: seconds or a date) says, a day at most; 0 if that is not known, or at once.
     */
    int64_t retry_after_ms;
    /**
     * Whether the same call may succeed later, and is safe to repeat. After a write that may
     * have been carried out it is false, and the message says that this is not known.
     */
    bool retriable;
    /** For later versions; zero. */
    uint8_t reserved[23];
    /**
     * What was tried, on what, why it failed and, where it helps, what to do. UTF-8, ended by
     * a NUL; a text that is too long loses its middle.
     */
    char message[PHANTOMDB_ERROR_MESSAGE_SIZE];
} phantomdb_error;

/**
 * Every code with its name and text, `PHANTOMDB_OK` first, in the order of the numbers.
 *
 * Returns the first of `*count` entries; they are valid for ever. `count` may be NULL. For
 * bindings, which take their constants from here or check them. Safe from any thread.
 */
const phantomdb_code_info *phantomdb_code_table(uint64_t *count);

/**
 * The name of a code, "TIMEOUT" for example, or NULL if there is no such code. Valid for ever.
 * Safe from any thread.
 */
const char *phantomdb_code_name(int32_t code);

/* ---- Options ---- */

/**
 * How an idle connection is checked before it is handed out;
 * `phantomdb_pool_options.validation`.
 */
typedef enum phantomdb_validation {
    /**
     * Ask the operating system whether the socket is still open: one system call, no round
     * trip. The default.
     */
    PHANTOMDB_VALIDATION_SOCKET = 0,
    /** Ask the server (`GET /health`): a round trip. Any HTTP response will do. */
    PHANTOMDB_VALIDATION_PING = 1,
    /**
     * Do not check, unless another connection died: then, as with the other two, those that were
     * idle before are asked.
     */
    PHANTOMDB_VALIDATION_NONE = 2,
} phantomdb_validation;

/** How much a message to `phantomdb_pool_options.log` matters. */
typedef enum phantomdb_log_level {
    /** Good to know. */
    PHANTOMDB_LOG_INFO = 0,
    /** Something is wrong, and the pool deals with it. */
    PHANTOMDB_LOG_WARNING = 1,
} phantomdb_log_level;

/**
 * Everything that can be set on a pool. Fill it with `phantomdb_pool_options_init`, then change
 * what you like; all texts are copied by `phantomdb_pool_create` and may go afterwards.
 *
 * Times are in milliseconds, at most 365 days. A value that makes no sense is refused by
 * `phantomdb_pool_create`, with an error that begins with the option's name (of a time without
 * its `_ms`).
 */
typedef struct phantomdb_pool_options {
    /** Set by `phantomdb_pool_options_init`; leave it alone. */
    uint32_t struct_size;
    /** Connections that the pool keeps, even when nobody uses them. Default 2; 0 is allowed. */
    uint32_t min_connections;
    /**
     * Connections that the pool never exceeds, as the server counts them. Default 10; 1 to
     * 65535, and not less than `min_connections`.
     */
    uint32_t max_connections;
    /** How many connections may be opening at once. Default 2; at least 1. */
    uint32_t max_connecting;
    /**
     * How many callers may wait at once; one more gets `PHANTOMDB_ERR_OVERLOADED`. Default
     * 10000; 0 means that nobody ever waits.
     */
    uint32_t max_waiters;
    /** One of `phantomdb_validation`. Default `PHANTOMDB_VALIDATION_SOCKET`. */
    int32_t validation;
    /** `http[s]://host[:port][/prefix]`. Default "http://localhost:8080". */
    const char *base_url;
    /** The bearer token; NULL, the default, sends none. Never shown in any message. */
    const char *token;
    /**
     * A PEM file with the certificates that may sign the server's; NULL, the default, means
     * those of the system. This and the files below are read again at a reset, and after a
     * failure of TLS. The environment (SSL_CERT_FILE, SSL_CERT_DIR) says where the system's are,
     * except to a program that is set-uid or has rights of its own otherwise.
     */
    const char *tls_ca_file;
    /** A PEM file with the client's certificate, for servers that want one. Default NULL. */
    const char *tls_cert_file;
    /** A PEM file with the private key of `tls_cert_file`. Default NULL. */
    const char *tls_key_file;
    /**
     * How long `phantomdb_pool_acquire` waits, all its steps together. Default 30000; more
     * than 0.
     */
    int64_t acquire_timeout_ms;
    /**
     * After how long an unused connection above `min_connections` is closed. Default 60000;
     * 0 means never.
     */
    int64_t idle_timeout_ms;
    /**
     * After how long a connection is retired, less up to a tenth by chance. Default 1800000;
     * 0 means never.
     */
    int64_t max_lifetime_ms;
    /**
     * How long a connection may be idle and still be handed out without validation. Default
     * 500; 0 means not at all.
     */
    int64_t validate_after_ms;
    /** How long a validation by ping may take. Default 1000; more than 0. */
    int64_t validation_timeout_ms;
    /** How long a request may take, opening the connection included. Default 30000; more than 0. */
    int64_t request_timeout_ms;
    /**
     * How long opening a connection may take: name look-up, TCP and TLS together. Default
     * 5000; more than 0.
     */
    int64_t connect_timeout_ms;
    /**
     * How long `phantomdb_pool_close` waits for connections to be released before it cuts
     * them. Default 5000; 0 means not at all.
     */
    int64_t close_timeout_ms;
    /** How large a response's body may be, in bytes. Default 67108864 (64 MiB); more than 0. */
    uint64_t max_response_bytes;
    /**
     * After how long a connection that was acquired and not released is reported to `log` and
     * counted as leaked. Nothing is taken back. Default 0: never.
     */
    int64_t leak_threshold_ms;
    /**
     * Called with what happens to the pool: leaked connections, the beginning and the end of an
     * outage, a server that answers pings with 503. Default NULL: nobody is told.
     *
     * It is called on a thread of the library, one message at a time, with no lock held, and not
     * any more when `phantomdb_pool_close` has returned. `level` is one of `phantomdb_log_level`;
     * `message` is valid during the call. What waits (acquire, a request, close) is refused there
     * with `PHANTOMDB_ERR_WOULD_DEADLOCK`.
     */
    void (*log)(int32_t level, const char *message, void *user_data);
    /** Handed to `log` as it is. Default NULL. */
    void *log_user_data;
    /**
     * 1 opens `min_connections` at create, in the background; 0, the default, opens each at
     * its first request.
     */
    int32_t preconnect;
    /** For later versions; leave it 0. */
    int32_t reserved;
} phantomdb_pool_options;

/**
 * Fills `options` with the defaults.
 *
 * Pass `sizeof(phantomdb_pool_options)` as `struct_size`: it tells the library which version of
 * the struct the program was compiled with, so that each works with a newer other.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT` for a NULL `options` or a size that no version had;
 * nothing is written then.
 */
int32_t phantomdb_pool_options_init(phantomdb_pool_options *options, uint32_t struct_size);

/** What the value of an option is, and the type of its member of `phantomdb_pool_options`. */
typedef enum phantomdb_option_type {
    /** A number of things: `uint32_t`. */
    PHANTOMDB_OPTION_COUNT = 1,
    /** A number of bytes: `uint64_t`. */
    PHANTOMDB_OPTION_SIZE = 2,
    /** A time in milliseconds: `int64_t`. */
    PHANTOMDB_OPTION_TIME = 3,
    /** 0 or 1: `int32_t`. */
    PHANTOMDB_OPTION_FLAG = 4,
    /** One of several values that have a name: `int32_t`. */
    PHANTOMDB_OPTION_CHOICE = 5,
    /** A text that may be NULL: `const char *`. */
    PHANTOMDB_OPTION_TEXT = 6,
    /** The path of a file, or NULL: `const char *`. */
    PHANTOMDB_OPTION_FILE = 7,
    /**
     * A function that is called with log messages, or NULL. The `void *` that it is handed is the
     * member that follows.
     */
    PHANTOMDB_OPTION_LOG = 8,
} phantomdb_option_type;

/** An option of a pool, as `phantomdb_option_table` lists them. */
typedef struct phantomdb_option_info {
    /**
     * Its name, "acquire_timeout" for example: that of its member without the unit. Messages of
     * errors about the option begin with it.
     */
    const char *name;
    /** The unit of its value: "ms", "bytes", or "" if it has none. */
    const char *unit;
    /** One of `phantomdb_option_type`. Skip an option whose type you don't know. */
    int32_t type;
    /**
     * Where its member is in `phantomdb_pool_options`, in bytes from the beginning. Skip an option
     * whose member lies behind the end of your struct: the library is newer than your header.
     */
    uint32_t offset;
    /** How many bytes its member has. */
    uint32_t size;
    /** How many choices there are; 0 if it is not a choice. */
    uint32_t choice_count;
    /** The name of each choice, "ping" for example, in the order of the numbers, from 0. */
    const char *const *choices;
    /** The least value of a number; 0 for a text. */
    int64_t minimum;
    /** The greatest value of a number; 0 for a text. */
    int64_t maximum;
    /** The default of a number; 0 for a text. */
    int64_t default_number;
    /** The default of a text; NULL if it has none, and for a number. */
    const char *default_text;
    /** Whether its value is secret: programs must not show or log it. */
    bool is_secret;
    /** For later versions; zero. */
    uint8_t reserved[23];
} phantomdb_option_info;

/**
 * Every option of a pool: its name and type, where its member of `phantomdb_pool_options` is, and
 * what it may be set to. For bindings, and for programs that read options from a file or a command
 * line:
 *
 *     static int set_time(phantomdb_pool_options *options, const char *name, int64_t ms) {
 *         uint64_t count;
 *         const phantomdb_option_info *table = phantomdb_option_table(&count);
 *         for (uint64_t i = 0; i < count; i++) {
 *             if (table[i].type != PHANTOMDB_OPTION_TIME) continue;
 *             if (strcmp(table[i].name, name) != 0) continue;
 *             if (table[i].offset + table[i].size > sizeof *options) continue;
 *             memcpy((char *)options + table[i].offset, &ms, sizeof ms);
 *             return 0;
 *         }
 *         return -1;
 *     }
 *
 * The ranges are those of each option alone; `phantomdb_pool_create` also refuses options that
 * contradict each other. Returns the first of `*count` entries; they are valid for ever. `count`
 * may be NULL. Safe from any thread.
 */
const phantomdb_option_info *phantomdb_option_table(uint64_t *count);

/* ---- Pools: create, change, close ---- */

/**
 * A pool of connections to one PhantomDB server. Every call on it is safe from any thread.
 *
 * `phantomdb_pool_create`, `_acquire`, `_acquire_timeout`, `_try_acquire`, `_acquire_cancelled`,
 * `_release`, `_discard`, `_request`, `_query`, `_run`, `_status`, `_status_json`,
 * `_stats_json`, `_metrics`, `_reset`, `_resize`, `_set_token`, `_close`, `_close_timeout`;
 * without waiting `_acquire_async`, `_acquire_direct`, `_run_async`, `_request_async`,
 * `_close_async`.
 *
 * A forked child finds each pool of its parent empty and usable, and the parent notices nothing
 * of it. Connections that the parent had acquired are `PHANTOMDB_ERR_INVALID_HANDLE` in the child.
 *
 * Made by `phantomdb_pool_create`, ended by `phantomdb_pool_close`. A closed pool's handle stays
 * harmless for ever: calls with it return `PHANTOMDB_ERR_CLOSED`.
 */
typedef struct phantomdb_pool phantomdb_pool;

/**
 * Makes a pool. `options` may be NULL: a pool of 2 to 10 connections to http://localhost:8080.
 *
 * Opens no connection (unless `preconnect` asks for it), so the server need not be there yet.
 * On success `*pool` is the new pool, to be closed by `phantomdb_pool_close`; on failure it is
 * NULL.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT` or `PHANTOMDB_ERR_TLS`, the message beginning with the
 * option that can't be used.
 */
int32_t phantomdb_pool_create(const phantomdb_pool_options *options,
                              phantomdb_pool **pool,
                              phantomdb_error *error);

/**
 * Retires every connection that is open now: idle ones at once, others when they are released.
 * Callers notice nothing. For a server that moved, or certificates that changed: new connections
 * look its name up again, and the TLS files are read again. A server that can't be reached is
 * tried at once.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`.
 */
int32_t phantomdb_pool_reset(phantomdb_pool *pool, phantomdb_error *error);

/**
 * Changes `min_connections` and `max_connections` while the pool is in use. Connections above a
 * smaller maximum close: idle ones at once, others when they are released.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT` (nothing is changed then),
 * `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`.
 */
int32_t phantomdb_pool_resize(phantomdb_pool *pool,
                              uint32_t min_connections,
                              uint32_t max_connections,
                              phantomdb_error *error);

/**
 * Changes the bearer token; NULL sends none. Every request that starts afterwards uses it.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT` for a token that no HTTP header can carry (the old one
 * stays then), `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`.
 */
int32_t phantomdb_pool_set_token(phantomdb_pool *pool, const char *token, phantomdb_error *error);

/**
 * Closes the pool, and returns when nothing of it is left: no socket and no thread.
 *
 * Whoever waits for a connection gets `PHANTOMDB_ERR_CLOSED` at once. Connections in use have
 * `close_timeout_ms` to be released; then they are cut: a request in flight on them fails with
 * `PHANTOMDB_ERR_CLOSED`, as does everything tried on them later. Release them as usual.
 *
 * Closing a pool twice, or from two threads at once, is fine. Callbacks of
 * `phantomdb_pool_close_async` have run, too, when this returns.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE`; `PHANTOMDB_ERR_WOULD_DEADLOCK` from within a callback of
 * the library, which then closes nothing.
 */
int32_t phantomdb_pool_close(phantomdb_pool *pool, phantomdb_error *error);

/**
 * As `phantomdb_pool_close`, but connections in use have `timeout_ms` to be released instead of
 * `close_timeout_ms`; with 0 they are cut at once. A close that waits already, in another thread,
 * ends as early.
 *
 * Errors: as `phantomdb_pool_close`; `PHANTOMDB_ERR_INVALID_ARGUMENT` for a negative time.
 */
int32_t phantomdb_pool_close_timeout(phantomdb_pool *pool,
                                     int64_t timeout_ms,
                                     phantomdb_error *error);

/* ---- Connections: acquire, release ---- */

/**
 * A connection that was acquired from a pool, and is yours until you release it.
 *
 * `phantomdb_connection_health_check`, `_list_databases`, `_create_database`, `_drop_database`,
 * `_list_tables`, `_create_table`, `_drop_table`, `_insert`, `_select`, `_update`, `_delete`,
 * `_execute_query`, `_begin_transaction`, `_commit_transaction`, `_rollback_transaction`, `_run`,
 * `_request`, `_interrupt`, `_set_owner`; without waiting `_run_async`, `_request_async`; step by
 * step `_start`, `_start_request`, `_resume`, `_finish`, `_finish_async`, `_watch_socket`.
 *
 * One request at a time runs on it: a second thread that tries meanwhile gets
 * `PHANTOMDB_ERR_BUSY`. `phantomdb_connection_interrupt` may be called from any thread. It may be
 * used and released by another thread than the one that acquired it.
 *
 * What each operation below has in common: texts are UTF-8 and end with a NUL, and need to live
 * only during the call. Names may hold any character; the library encodes them. JSON arguments
 * are checked before anything is sent. On success `*result` is the response, to be freed with
 * `phantomdb_result_free`; on failure it is NULL; `result` itself may be NULL if the response is
 * of no interest. A call takes at most `request_timeout_ms`. Their errors:
 *
 * - `PHANTOMDB_ERR_INVALID_ARGUMENT`: an argument can't be used; nothing was sent.
 * - `PHANTOMDB_ERR_INVALID_HANDLE`: this connection was released, or never was one.
 * - `PHANTOMDB_ERR_HTTP`: the server answered with an error: 400 bad SQL, 404 no such database or
 *   table, 409 already there, 500 and so on; see `http_status`.
 * - `PHANTOMDB_ERR_UNAUTHORIZED`: the token is missing or wrong.
 * - `PHANTOMDB_ERR_UNAVAILABLE`, `PHANTOMDB_ERR_TIMEOUT`, `PHANTOMDB_ERR_CONNECTION_LOST`,
 *   `PHANTOMDB_ERR_PROTOCOL`, `PHANTOMDB_ERR_TOO_LARGE`, `PHANTOMDB_ERR_TLS`: the way to the
 *   server. The connection may be used again: it opens itself anew.
 * - `PHANTOMDB_ERR_OUT_OF_MEMORY`: there is no memory for the request or for what came.
 * - `PHANTOMDB_ERR_CANCELLED`: it was interrupted. `PHANTOMDB_ERR_BUSY`: see above.
 *   `PHANTOMDB_ERR_CLOSED`: the pool was closed.
 *
 * A request is sent again only if nothing of it reached the server, if it only reads, or if the
 * server says that it did not wait for it (408) and closes the connection: an insert is never
 * carried out twice. Whether you may send it again yourself is in `retriable` of the error.
 */
typedef struct phantomdb_connection phantomdb_connection;

/**
 * Waits for a connection, at most `acquire_timeout_ms`.
 *
 * On success `*connection` is yours until `phantomdb_pool_release` or `phantomdb_pool_discard`; on
 * failure it is NULL. Callers are served in the order in which they came.
 *
 * Errors: `PHANTOMDB_ERR_TIMEOUT`, `PHANTOMDB_ERR_CLOSED`, `PHANTOMDB_ERR_OVERLOADED`; when the
 * server can't be reached `PHANTOMDB_ERR_UNAVAILABLE` (or `PHANTOMDB_ERR_TLS`,
 * `PHANTOMDB_ERR_UNAUTHORIZED`) at once, with the root cause and `retry_after_ms`; but as long
 * as a connection in use may come back, the call waits for that. A time-out says what the pool
 * was doing: whom it was dialling, since when.
 */
int32_t phantomdb_pool_acquire(phantomdb_pool *pool,
                               phantomdb_connection **connection,
                               phantomdb_error *error);

/**
 * As `phantomdb_pool_acquire`, but waits at most `timeout_ms` milliseconds. With 0 it takes a
 * connection only if one is free at once; a negative time is refused.
 */
int32_t phantomdb_pool_acquire_timeout(phantomdb_pool *pool,
                                       int64_t timeout_ms,
                                       phantomdb_connection **connection,
                                       phantomdb_error *error);

/**
 * Takes a connection if one is free. Never waits and never uses the network.
 *
 * Errors: `PHANTOMDB_ERR_WOULD_BLOCK` if none is free; else as `phantomdb_pool_acquire`.
 */
int32_t phantomdb_pool_try_acquire(phantomdb_pool *pool,
                                   phantomdb_connection **connection,
                                   phantomdb_error *error);

/**
 * Gives a connection back. Never waits and never uses the network; it can't fail for a
 * connection that you have.
 *
 * `connection` is gone afterwards, whatever this returns. A transaction that is still open on it
 * is rolled back before anybody else gets it. If another thread has a request in flight on it,
 * that request goes on, and the connection is back when it is done. A request that you carry on
 * yourself (`phantomdb_step`) is given up.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE` for a connection that was released already or is not of
 * this pool; `PHANTOMDB_ERR_CLOSED` if the pool was closed meanwhile, which then took the
 * connection back itself: nothing is left to do.
 */
int32_t phantomdb_pool_release(phantomdb_pool *pool,
                               phantomdb_connection *connection,
                               phantomdb_error *error);

/**
 * Gives a connection back to be closed instead of reused. As `phantomdb_pool_release` in all else.
 */
int32_t phantomdb_pool_discard(phantomdb_pool *pool,
                               phantomdb_connection *connection,
                               phantomdb_error *error);

/**
 * Counts an acquire whose caller had given up before it began, so that the statistics have each
 * acquire once. For bindings to languages in which a call may be cancelled before it is made. No
 * connection is asked for.
 *
 * It always fails: with `PHANTOMDB_ERR_CANCELLED`, or with `PHANTOMDB_ERR_INVALID_HANDLE` or
 * `PHANTOMDB_ERR_CLOSED` for the pool.
 */
int32_t phantomdb_pool_acquire_cancelled(phantomdb_pool *pool, phantomdb_error *error);

/**
 * Names who has the connection, for the report of a leak (`leak_threshold_ms`): the id of a
 * request, say, or a place in the program. Forgotten at the release.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`, `PHANTOMDB_ERR_INVALID_HANDLE`.
 */
int32_t phantomdb_connection_set_owner(phantomdb_connection *connection,
                                       const char *owner,
                                       phantomdb_error *error);

/**
 * Cuts the request that another thread has in flight on this connection: it fails with
 * `PHANTOMDB_ERR_CANCELLED`, and what the server made of it is unknown. With none in flight it
 * does nothing. Safe from any thread; returns at once.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE`.
 */
int32_t phantomdb_connection_interrupt(phantomdb_connection *connection, phantomdb_error *error);

/* ---- Requests ---- */

/**
 * A response. It can be read as JSON text, and, without any JSON library, as a table (rows and
 * columns; an object is a table of one row) or as a list of names.
 *
 * As text: `phantomdb_result_text`. As a table: `_row_count`, `_column_count`, `_column_name`,
 * `_column_index`, `_cell_kind`, `_cell_is_null`, `_cell_text`, `_cell_int64`, `_cell_double`,
 * `_cell_bool`, `_cell_is_replaced`. As a list: `_item_count`, `_item`. Many values at once:
 * `_read_columns`, `_read_cells`, `_read_items`, `_read_json`. Besides: `_affected_rows`,
 * `_reported_row_count`, `_free`.
 *
 * It is yours until `phantomdb_result_free`, and does not depend on the connection or the pool
 * that it came from. Reading it is safe from any thread; every text that it lends is UTF-8,
 * ended by a NUL, and valid until the result is freed. Since a text may hold a NUL itself, each
 * call that lends one also says its `length` in bytes, the last NUL not counted; `length` may be
 * NULL.
 *
 * Their errors: `PHANTOMDB_ERR_INVALID_HANDLE` for a result that was freed or never was one;
 * `PHANTOMDB_ERR_INVALID_ARGUMENT` for a row, column or item that does not exist;
 * `PHANTOMDB_ERR_TYPE` for a value of another type, or a result that is no table or no list.
 */
typedef struct phantomdb_result phantomdb_result;

/**
 * Frees a result, and with it every text that it lent. Returns `PHANTOMDB_ERR_INVALID_HANDLE`, and
 * does nothing, for NULL and for a result that was freed already.
 */
int32_t phantomdb_result_free(phantomdb_result *result);

/**
 * The operations by number, for `phantomdb_connection_run`, `phantomdb_pool_run` and their
 * asynchronous forms. Each takes the texts that it names, in this order; those in brackets may be
 * NULL, or left away at the end. What they mean stands at the function of the same name, such
 * as `phantomdb_connection_select`. The numbers never change.
 */
typedef enum phantomdb_operation {
    /** No arguments. */
    PHANTOMDB_HEALTH_CHECK = 1,
    /** No arguments. */
    PHANTOMDB_LIST_DATABASES = 2,
    /** name */
    PHANTOMDB_CREATE_DATABASE = 3,
    /** database */
    PHANTOMDB_DROP_DATABASE = 4,
    /** database */
    PHANTOMDB_LIST_TABLES = 5,
    /** database, name, columns */
    PHANTOMDB_CREATE_TABLE = 6,
    /** database, table */
    PHANTOMDB_DROP_TABLE = 7,
    /** database, table, row */
    PHANTOMDB_INSERT = 8,
    /** database, table, [condition] */
    PHANTOMDB_SELECT = 9,
    /** database, table, data, [condition] */
    PHANTOMDB_UPDATE = 10,
    /** database, table, condition */
    PHANTOMDB_DELETE = 11,
    /** database, sql, [parameters] */
    PHANTOMDB_EXECUTE_QUERY = 12,
    /** [database]; on a connection only */
    PHANTOMDB_BEGIN_TRANSACTION = 13,
    /** [transaction_id]; on a connection only */
    PHANTOMDB_COMMIT_TRANSACTION = 14,
    /** [transaction_id]; on a connection only */
    PHANTOMDB_ROLLBACK_TRANSACTION = 15,
} phantomdb_operation;

/** An operation with its name and its arguments, as `phantomdb_operation_table` lists them. */
typedef struct phantomdb_operation_info {
    /** One of `phantomdb_operation`. */
    int32_t operation;
    /** How many arguments it takes. */
    uint32_t argument_count;
    /** How many of them it must have; they come first. */
    uint32_t required_count;
    /** For later versions; zero. */
    uint32_t reserved;
    /** Its name, "list_databases" for example. */
    const char *name;
    /** The names of its arguments. */
    const char *const *arguments;
} phantomdb_operation_info;

/**
 * Every operation with its name and its arguments, in the order of the numbers.
 *
 * Returns the first of `*count` entries; they are valid for ever. `count` may be NULL. For
 * bindings, which take their constants from here or check them. Safe from any thread.
 */
const phantomdb_operation_info *phantomdb_operation_table(uint64_t *count);

/**
 * Looks at the arguments of an operation as every function does that carries it out, and does
 * nothing else: for programs that acquire a connection for it first, and are not to wait for one
 * in vain. `operation`, `arguments` and `argument_count` are as for `phantomdb_connection_run`.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`.
 */
int32_t phantomdb_operation_check(int32_t operation,
                                  const char *const *arguments,
                                  uint64_t argument_count,
                                  phantomdb_error *error);

/**
 * The same for a request that has no name here. `method`, `path`, `body` and `body_length` are
 * as for `phantomdb_connection_request`.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`.
 */
int32_t phantomdb_request_check(const char *method,
                                const char *path,
                                const void *body,
                                uint64_t body_length,
                                phantomdb_error *error);

/**
 * Asks the server how it is: the response is an object whose `status` is "healthy" or "unhealthy".
 */
int32_t phantomdb_connection_health_check(phantomdb_connection *connection,
                                          phantomdb_result **result,
                                          phantomdb_error *error);

/** Lists the databases: the response is a list of names. */
int32_t phantomdb_connection_list_databases(phantomdb_connection *connection,
                                            phantomdb_result **result,
                                            phantomdb_error *error);

/** Makes a database. HTTP status 409 if there is one of this name. */
int32_t phantomdb_connection_create_database(phantomdb_connection *connection,
                                             const char *name,
                                             phantomdb_result **result,
                                             phantomdb_error *error);

/** Removes a database with all that is in it. */
int32_t phantomdb_connection_drop_database(phantomdb_connection *connection,
                                           const char *database,
                                           phantomdb_result **result,
                                           phantomdb_error *error);

/** Lists the tables of a database: the response is a list of names. */
int32_t phantomdb_connection_list_tables(phantomdb_connection *connection,
                                         const char *database,
                                         phantomdb_result **result,
                                         phantomdb_error *error);

/**
 * Makes a table. `columns` is a JSON array of objects with `name` and `type`, and where wanted
 * `nullable`, `primaryKey`, `defaultValue`: `[{"name":"id","type":"integer","primaryKey":true}]`.
 */
int32_t phantomdb_connection_create_table(phantomdb_connection *connection,
                                          const char *database,
                                          const char *name,
                                          const char *columns,
                                          phantomdb_result **result,
                                          phantomdb_error *error);

/** Removes a table with all its rows. */
int32_t phantomdb_connection_drop_table(phantomdb_connection *connection,
                                        const char *database,
                                        const char *table,
                                        phantomdb_result **result,
                                        phantomdb_error *error);

/**
 * Adds one row: a JSON object of column to value, `{"id":1,"name":"Ada"}`. Never carried out
 * twice.
 */
int32_t phantomdb_connection_insert(phantomdb_connection *connection,
                                    const char *database,
                                    const char *table,
                                    const char *row,
                                    phantomdb_result **result,
                                    phantomdb_error *error);

/**
 * Reads the rows that fulfil an SQL condition, or all if `condition` is NULL: the response is a
 * table, with its columns in the server's order. A blank condition is refused.
 */
int32_t phantomdb_connection_select(phantomdb_connection *connection,
                                    const char *database,
                                    const char *table,
                                    const char *condition,
                                    phantomdb_result **result,
                                    phantomdb_error *error);

/**
 * Changes the rows that fulfil an SQL condition, or all if `condition` is NULL. `data` is a JSON
 * object of column to new value. A blank condition is refused.
 * `phantomdb_result_affected_rows` says how many rows changed.
 */
int32_t phantomdb_connection_update(phantomdb_connection *connection,
                                    const char *database,
                                    const char *table,
                                    const char *data,
                                    const char *condition,
                                    phantomdb_result **result,
                                    phantomdb_error *error);

/**
 * Deletes the rows that fulfil an SQL condition. It is never optional: NULL or blank is refused
 * before anything is sent, because on the wire such a delete would drop the table. Say "1=1"
 * for all rows. `phantomdb_result_affected_rows` says how many went.
 */
int32_t phantomdb_connection_delete(phantomdb_connection *connection,
                                    const char *database,
                                    const char *table,
                                    const char *condition,
                                    phantomdb_result **result,
                                    phantomdb_error *error);

/**
 * Runs one SQL statement. `parameters` is a JSON array, one value for each `?` of the statement,
 * or NULL. The response of a query is a table; `phantomdb_result_affected_rows` tells of other
 * statements.
 */
int32_t phantomdb_connection_execute_query(phantomdb_connection *connection,
                                           const char *database,
                                           const char *sql,
                                           const char *parameters,
                                           phantomdb_result **result,
                                           phantomdb_error *error);

/**
 * Begins a transaction, of one database or (`database` NULL) of whichever it touches first. Every
 * request on this connection belongs to it until commit or rollback; releasing the connection
 * rolls it back. The response is an object with the `transaction_id`.
 *
 * `PHANTOMDB_ERR_INVALID_STATE` if one is open on this connection already.
 */
int32_t phantomdb_connection_begin_transaction(phantomdb_connection *connection,
                                               const char *database,
                                               phantomdb_result **result,
                                               phantomdb_error *error);

/**
 * Commits the transaction that is open on this connection. `transaction_id` is its id, or NULL,
 * which means the same.
 *
 * `PHANTOMDB_ERR_INVALID_STATE` if none is open, or one of another id.
 */
int32_t phantomdb_connection_commit_transaction(phantomdb_connection *connection,
                                                const char *transaction_id,
                                                phantomdb_result **result,
                                                phantomdb_error *error);

/**
 * Rolls back the transaction that is open on this connection. `transaction_id` is its id, or NULL,
 * which means the same.
 *
 * `PHANTOMDB_ERR_INVALID_STATE` if none is open, or one of another id.
 */
int32_t phantomdb_connection_rollback_transaction(phantomdb_connection *connection,
                                                  const char *transaction_id,
                                                  phantomdb_result **result,
                                                  phantomdb_error *error);

/**
 * Runs an operation that is chosen by number: one of `phantomdb_operation`, with its
 * `argument_count` texts. As the function of its name in all else.
 *
 * `PHANTOMDB_ERR_INVALID_ARGUMENT` for an unknown operation, or arguments that it does not take.
 */
int32_t phantomdb_connection_run(phantomdb_connection *connection,
                                 int32_t operation,
                                 const char *const *arguments,
                                 uint64_t argument_count,
                                 phantomdb_result **result,
                                 phantomdb_error *error);

/**
 * Sends a request that has no name here yet.
 *
 * `method` is GET, POST, PUT, DELETE ...; `path` begins with "/" and is sent as it is, so
 * whatever needs it must be percent-encoded; `body` is JSON, or NULL with length 0.
 */
int32_t phantomdb_connection_request(phantomdb_connection *connection,
                                     const char *method,
                                     const char *path,
                                     const void *body,
                                     uint64_t body_length,
                                     phantomdb_result **result,
                                     phantomdb_error *error);

/**
 * Acquires a connection, runs one SQL statement on it and gives it back.
 *
 * `parameters` is a JSON array, one value for each `?` of the statement, or NULL. On success
 * `*result` is the response, to be freed with `phantomdb_result_free`; on failure it is NULL.
 * `result` itself may be NULL.
 *
 * Errors: as `phantomdb_pool_acquire` and `phantomdb_connection_execute_query`.
 */
int32_t phantomdb_pool_query(phantomdb_pool *pool,
                             const char *database,
                             const char *sql,
                             const char *parameters,
                             phantomdb_result **result,
                             phantomdb_error *error);

/**
 * Acquires a connection, runs one operation on it and gives it back.
 *
 * `operation` is one of `phantomdb_operation`, `arguments` its `argument_count` texts. On success
 * `*result` is the response, to be freed with `phantomdb_result_free`; on failure it is NULL.
 * `result` itself may be NULL.
 *
 * Errors: as `phantomdb_pool_acquire` and as the function of the operation's name;
 * `PHANTOMDB_ERR_INVALID_ARGUMENT` for an operation of transactions, which need a connection that
 * you have.
 */
int32_t phantomdb_pool_run(phantomdb_pool *pool,
                           int32_t operation,
                           const char *const *arguments,
                           uint64_t argument_count,
                           phantomdb_result **result,
                           phantomdb_error *error);

/**
 * Acquires a connection, sends one request on it and gives it back.
 *
 * `method` is GET, POST, PUT, DELETE ...; `path` begins with "/" and is sent as it is, so
 * whatever needs it must be percent-encoded; `body` is JSON, or NULL with length 0. On success
 * `*result` is the response, to be freed with `phantomdb_result_free`; on failure it is NULL.
 * `result` itself may be NULL if the response is of no interest.
 *
 * Errors: as `phantomdb_pool_acquire` and `phantomdb_connection_request`.
 */
int32_t phantomdb_pool_request(phantomdb_pool *pool,
                               const char *method,
                               const char *path,
                               const void *body,
                               uint64_t body_length,
                               phantomdb_result **result,
                               phantomdb_error *error);

/* ---- Results: text, tables, lists ---- */

/** The type of a cell; see `phantomdb_result_cell_kind`. */
typedef enum phantomdb_cell_kind {
    /** No value. */
    PHANTOMDB_CELL_NULL = 0,
    /** True or false. */
    PHANTOMDB_CELL_BOOL = 1,
    /** A number, whole or not. */
    PHANTOMDB_CELL_NUMBER = 2,
    /** A text. */
    PHANTOMDB_CELL_STRING = 3,
    /** A JSON array or object. */
    PHANTOMDB_CELL_JSON = 4,
} phantomdb_cell_kind;

/**
 * The response as JSON: of a select the array of row objects, of a list the array of names, of a
 * query `{"columns":[names],"rows":[[values]],"rowCount":n,"affectedRows":n}` (if the server did
 * not say them, the rows are counted, and `affectedRows` is null), else the whole object that
 * the server sent.
 *
 * The text of a table or a list is written when it is first asked for. `PHANTOMDB_ERR_TOO_LARGE`
 * if that of a query would be many times what the server sent, since its rows have few columns
 * in common: read its cells.
 */
int32_t phantomdb_result_text(const phantomdb_result *result,
                              const char **text,
                              uint64_t *length,
                              phantomdb_error *error);

/** How many rows the table has. */
int32_t phantomdb_result_row_count(const phantomdb_result *result,
                                   uint64_t *count,
                                   phantomdb_error *error);

/** How many columns the table has. */
int32_t phantomdb_result_column_count(const phantomdb_result *result,
                                      uint64_t *count,
                                      phantomdb_error *error);

/** The name of a column; the first is column 0. */
int32_t phantomdb_result_column_name(const phantomdb_result *result,
                                     uint64_t column,
                                     const char **text,
                                     uint64_t *length,
                                     phantomdb_error *error);

/** The number of the column of this name; `PHANTOMDB_ERR_INVALID_ARGUMENT` if there is none. */
int32_t phantomdb_result_column_index(const phantomdb_result *result,
                                      const char *name,
                                      uint64_t *column,
                                      phantomdb_error *error);

/** The type of a cell: one of `phantomdb_cell_kind`. */
int32_t phantomdb_result_cell_kind(const phantomdb_result *result,
                                   uint64_t row,
                                   uint64_t column,
                                   int32_t *value,
                                   phantomdb_error *error);

/** Whether a cell is null. */
int32_t phantomdb_result_cell_is_null(const phantomdb_result *result,
                                      uint64_t row,
                                      uint64_t column,
                                      bool *value,
                                      phantomdb_error *error);

/**
 * A cell as text: of a string its characters, of anything else its JSON; a null is "" (ask
 * `phantomdb_result_cell_is_null` to tell it from an empty string). Works for every cell.
 */
int32_t phantomdb_result_cell_text(const phantomdb_result *result,
                                   uint64_t row,
                                   uint64_t column,
                                   const char **text,
                                   uint64_t *length,
                                   phantomdb_error *error);

/**
 * Whether a cell has unpaired surrogates (JSON can spell half a pair), which UTF-8 can't hold:
 * each is the character U+FFFD in the text of a string, and is an escape in nested JSON.
 */
int32_t phantomdb_result_cell_is_replaced(const phantomdb_result *result,
                                          uint64_t row,
                                          uint64_t column,
                                          bool *value,
                                          phantomdb_error *error);

/**
 * A cell as a whole number. `PHANTOMDB_ERR_TYPE` for anything that is not exactly one of 64 bits.
 */
int32_t phantomdb_result_cell_int64(const phantomdb_result *result,
                                    uint64_t row,
                                    uint64_t column,
                                    int64_t *value,
                                    phantomdb_error *error);

/**
 * A cell as a floating-point number, the nearest there is. `PHANTOMDB_ERR_TYPE` for anything
 * that is not a number, and for a number beyond every double, such as 1e400.
 */
int32_t phantomdb_result_cell_double(const phantomdb_result *result,
                                     uint64_t row,
                                     uint64_t column,
                                     double *value,
                                     phantomdb_error *error);

/**
 * A cell as true or false; the numbers 1 and 0 are those too, because SQL often has no others.
 * `PHANTOMDB_ERR_TYPE` for anything else.
 */
int32_t phantomdb_result_cell_bool(const phantomdb_result *result,
                                   uint64_t row,
                                   uint64_t column,
                                   bool *value,
                                   phantomdb_error *error);

/** How many items the list has. */
int32_t phantomdb_result_item_count(const phantomdb_result *result,
                                    uint64_t *count,
                                    phantomdb_error *error);

/** An item of the list; the first is item 0. */
int32_t phantomdb_result_item(const phantomdb_result *result,
                              uint64_t item,
                              const char **text,
                              uint64_t *length,
                              phantomdb_error *error);

/**
 * How many rows an update, a delete or another statement changed; -1 if the server did not say,
 * as after an insert, or said something that is not a whole number, or negative.
 */
int32_t phantomdb_result_affected_rows(const phantomdb_result *result,
                                       int64_t *count,
                                       phantomdb_error *error);

/**
 * How many rows the server says there are, which may be more than it sent; if it does not say,
 * or says something that is not a whole number, or negative, the number of rows that it sent.
 * The `rowCount` of every binding.
 */
int32_t phantomdb_result_reported_row_count(const phantomdb_result *result,
                                            int64_t *count,
                                            phantomdb_error *error);

/* ---- Results: many values in one call ---- */

/**
 * Stands for the whole result instead of a row and a column of it; see
 * `phantomdb_result_read_json`.
 */
#define PHANTOMDB_WHOLE UINT64_MAX

/** What a `phantomdb_value` is. */
typedef enum phantomdb_value_kind {
    /** No value. */
    PHANTOMDB_VALUE_NULL = 0,
    /** True or false: `integer` is 1 or 0. */
    PHANTOMDB_VALUE_BOOL = 1,
    /** A number without a fraction or exponent that an int64_t holds: `integer`. */
    PHANTOMDB_VALUE_INTEGER = 2,
    /** A number without a fraction or exponent that no int64_t holds: `text` has its digits. */
    PHANTOMDB_VALUE_BIG_INTEGER = 3,
    /** A number with a fraction or exponent: `number` is the nearest double. */
    PHANTOMDB_VALUE_DOUBLE = 4,
    /**
     * A number with a fraction or exponent beyond every double, such as 1e400: `text` has it as
     * it was sent.
     */
    PHANTOMDB_VALUE_BIG_NUMBER = 5,
    /** A text: `text` has its characters. */
    PHANTOMDB_VALUE_STRING = 6,
    /**
     * A JSON array or object in a cell: `text` has its JSON, and `phantomdb_result_read_json`
     * reads it.
     */
    PHANTOMDB_VALUE_JSON = 7,
    /** An array begins. This and those below come from `phantomdb_result_read_json` alone. */
    PHANTOMDB_VALUE_ARRAY = 8,
    /** An object begins. */
    PHANTOMDB_VALUE_OBJECT = 9,
    /** The name of a member of an object, in `text`. Its value comes next. */
    PHANTOMDB_VALUE_KEY = 10,
    /** The array or object that began last, and has not ended, ends. */
    PHANTOMDB_VALUE_END = 11,
} phantomdb_value_kind;

/** The bits of `phantomdb_value.flags`. */
typedef enum phantomdb_value_flag {
    /**
     * `integer` is the value exactly: of a number that is whole, however it is spelled (5, 5.0,
     * 5e0), and that an int64_t holds; of true and false 1 and 0.
     */
    PHANTOMDB_VALUE_HAS_INTEGER = 1,
    /** `number` is the nearest double: of every number that is not beyond all of them. */
    PHANTOMDB_VALUE_HAS_DOUBLE = 2,
    /**
     * A cell, a column or an item had unpaired surrogates (JSON can spell half a pair), which
     * UTF-8 can't hold: each is the character U+FFFD in `text`, and is an escape in JSON.
     */
    PHANTOMDB_VALUE_REPLACED = 4,
} phantomdb_value_flag;

/**
 * A value of a result, as the functions give it that read many at once.
 *
 * These functions fill an array of yours with as many values as there are, or as there is room
 * for, and say in `count` how many they are. `position` is where they begin, and then where the
 * next call is to go on: begin with 0, and leave it alone. When `count` is 0, there are no more.
 * So a program makes few calls for a result of any size, and gets each value with its type, its
 * text and, of a number, its value:
 *
 *     uint64_t position = 0;
 *     uint64_t count = 0;
 *     phantomdb_value values[256];
 *     int32_t code;
 *     do {
 *         code = phantomdb_result_read_cells(result, &position, values, 256, &count, &error);
 *         for (uint64_t i = 0; i < count; i++) use(&values[i]);
 *     } while (code == PHANTOMDB_OK && count > 0);
 *
 * Values of a result are read by column names once (`phantomdb_result_read_columns`), cells
 * (`phantomdb_result_read_cells`), items of a list (`phantomdb_result_read_items`), and JSON of
 * any shape (`phantomdb_result_read_json`).
 */
typedef struct phantomdb_value {
    /** One of `phantomdb_value_kind`. */
    int32_t kind;
    /** Bits of `phantomdb_value_flag`. */
    uint32_t flags;
    /** The row of a cell; else 0. */
    uint64_t row;
    /** The column of a cell, or the number of a column or item; else 0. */
    uint64_t column;
    /** With `PHANTOMDB_VALUE_HAS_INTEGER`: the value. Else 0. */
    int64_t integer;
    /** With `PHANTOMDB_VALUE_HAS_DOUBLE`: the nearest double. Else 0. */
    double number;
    /** UTF-8: of a string its characters, of a null "", of anything else its JSON. */
    const char *text;
    /** How many bytes `text` has. */
    uint64_t length;
} phantomdb_value;

/**
 * The names of the columns of a table, each once and in order: of the kind
 * `PHANTOMDB_VALUE_STRING`. Two may be equal. Texts are ended by a NUL and valid until the
 * result is freed.
 */
int32_t phantomdb_result_read_columns(const phantomdb_result *result,
                                      uint64_t *position,
                                      phantomdb_value *values,
                                      uint64_t capacity,
                                      uint64_t *count,
                                      phantomdb_error *error);

/**
 * The cells of a table that the server sent, row by row, and by columns within a row. What it
 * left out of a row is not among them (`phantomdb_result_cell_kind` says that it is null); a
 * null that it sent is. There may be rows that have none. Texts are ended by a NUL and valid
 * until the result is freed.
 */
int32_t phantomdb_result_read_cells(const phantomdb_result *result,
                                    uint64_t *position,
                                    phantomdb_value *values,
                                    uint64_t capacity,
                                    uint64_t *count,
                                    phantomdb_error *error);

/**
 * The items of a list, in order: of the kind `PHANTOMDB_VALUE_STRING`. Texts are ended by a NUL
 * and valid until the result is freed.
 */
int32_t phantomdb_result_read_items(const phantomdb_result *result,
                                    uint64_t *position,
                                    phantomdb_value *values,
                                    uint64_t capacity,
                                    uint64_t *count,
                                    phantomdb_error *error);

/**
 * JSON of any shape, as a row of values: of an object `PHANTOMDB_VALUE_OBJECT`, then of each
 * member `PHANTOMDB_VALUE_KEY` and its value, then `PHANTOMDB_VALUE_END`; of an array
 * `PHANTOMDB_VALUE_ARRAY`, its values, `PHANTOMDB_VALUE_END`. No more than 128 arrays and
 * objects are open at a time. Of members with the same name all come, the last of which counts.
 *
 * `row` and `column` name a cell of the kind `PHANTOMDB_VALUE_JSON`; if both are
 * `PHANTOMDB_WHOLE`, the JSON is that of `phantomdb_result_text`. `PHANTOMDB_ERR_TYPE` if it is
 * not JSON.
 *
 * Strings with escapes are decoded into `buffer`, which has `buffer_size` bytes. Texts are valid
 * until that is used again or the result is freed, and are not ended by a NUL. As many bytes as
 * the JSON has are always enough; with fewer, the values that a call gives may be fewer than
 * there is room for, and `PHANTOMDB_ERR_INVALID_ARGUMENT` says of a string that can't be decoded
 * at all how many it needs, in `length` of the first value too; `position` is as it was then,
 * and the call can be made again. If no string has an escape, `buffer` may be NULL.
 */
int32_t phantomdb_result_read_json(const phantomdb_result *result,
                                   uint64_t row,
                                   uint64_t column,
                                   uint64_t *position,
                                   phantomdb_value *values,
                                   uint64_t capacity,
                                   uint64_t *count,
                                   char *buffer,
                                   uint64_t buffer_size,
                                   phantomdb_error *error);

/* ---- Asynchronous calls ---- */

/** In the place of a time: the pool's own, `acquire_timeout_ms` or `close_timeout_ms`. */
#define PHANTOMDB_POOL_TIMEOUT -1

/**
 * An asynchronous call that is under way; what `phantomdb_cancel` needs.
 *
 * An asynchronous call returns at once, and tells its callback later what it has come to. What
 * they have in common:
 *
 * - If the call returns `PHANTOMDB_OK`, its callback runs exactly once: on a thread of the
 *   library, never within the call, with no lock of the library held. It may run before the call
 *   has returned (`*ticket` is set by then). If the call returns an error, the callback never
 *   runs.
 * - `error` of the callback is never NULL: its code is `PHANTOMDB_OK` on success. It is lent for
 *   the time of the callback. What else the callback is handed is its own, as if a waiting call
 *   had returned it, and NULL unless the code is `PHANTOMDB_OK`.
 * - `user_data` is handed on as it is. Whatever it leads to must live until the callback has run.
 * - `*ticket` names the call until its callback runs; it needs no freeing, and later is
 *   harmless. `ticket` may be NULL for a call that will not be cancelled.
 * - Texts, bytes and arrays that are passed in are copied: they need to live only during the call.
 * - In a callback nothing may wait: acquire, every request and close are refused there with
 *   `PHANTOMDB_ERR_WOULD_DEADLOCK`. Asynchronous calls, `phantomdb_pool_try_acquire`,
 *   `phantomdb_pool_release`, reading results and all that does not wait may be used. A
 *   callback that takes its time holds up others: pass the work on.
 * - A callback must return: no longjmp, no exception out of it, no end of its thread.
 *
 * While a call waits for a connection it takes no thread, and one thread of the pool serves all
 * its requests in flight. A connection that has to be opened first, and a response of more than
 * 64 KiB while it is read, take a thread of their own, of at most `max_connections`. These
 * threads are kept for the next calls, and end when there was nothing to do for 10 seconds. In a
 * forked child the calls of the parent do not exist: no callback of theirs runs, and their
 * tickets are `PHANTOMDB_ERR_INVALID_HANDLE`.
 *
 * In the place of a callback, `phantomdb_post_result` and its siblings leave the outcome in a
 * `phantomdb_completion_queue`, for a loop of yours to take.
 *
 * `phantomdb_pool_acquire_async`, `_acquire_direct`, `_run_async`, `_request_async`,
 * `_close_async`; `phantomdb_connection_run_async`, `_request_async`; `phantomdb_cancel`.
 */
typedef struct phantomdb_ticket phantomdb_ticket;

/** What an acquire has come to: `connection` is the callback's own, to be released, or NULL. */
typedef void (*phantomdb_acquire_callback)(phantomdb_connection *connection,
                                           const phantomdb_error *error,
                                           void *user_data);

/** What a request has come to: `result` is the callback's own, to be freed, or NULL. */
typedef void (*phantomdb_result_callback)(phantomdb_result *result,
                                          const phantomdb_error *error,
                                          void *user_data);

/** A close is over. */
typedef void (*phantomdb_close_callback)(const phantomdb_error *error, void *user_data);

/**
 * Acquires a connection without waiting for it.
 *
 * `timeout_ms` is how long the call may be under way, or `PHANTOMDB_POOL_TIMEOUT`. The callback
 * is handed the connection, or the error that `phantomdb_pool_acquire` would have returned, or
 * `PHANTOMDB_ERR_CANCELLED`. Callers are served in the order in which they came, those that wait
 * in `phantomdb_pool_acquire` among them.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`, `PHANTOMDB_ERR_INVALID_HANDLE`,
 * `PHANTOMDB_ERR_CLOSED`; `PHANTOMDB_ERR_OVERLOADED` if the system refuses a thread or a
 * descriptor; the message says why.
 */
int32_t phantomdb_pool_acquire_async(phantomdb_pool *pool,
                                     int64_t timeout_ms,
                                     phantomdb_acquire_callback callback,
                                     void *user_data,
                                     phantomdb_ticket **ticket,
                                     phantomdb_error *error);

/**
 * Acquires a connection by the shortest way there is; for bindings of other languages.
 *
 * If one is free, it is in `*connection` when the call returns, and the callback does not run.
 * Otherwise `*connection` is NULL, and the callback runs once, as after
 * `phantomdb_pool_acquire_async`, but on whichever thread brings the outcome: a thread of the
 * library, or one that calls `phantomdb_pool_release`, `phantomdb_cancel`, `phantomdb_pool_close`
 * or another function, within that call. (Never within this one, and never within another such
 * callback.) That saves a change of threads, and asks of the callback that it does nothing but
 * note what it got: no lock may be taken in it that is held around calls of this library.
 *
 * Without a callback (NULL) nobody waits: `*connection` is NULL then unless one is free and as
 * fit as when it was last used, and that counts as no acquire. For callers that do something
 * else first.
 *
 * Errors: as `phantomdb_pool_acquire` (`PHANTOMDB_ERR_TIMEOUT` if the time was over before the
 * call returned); the callback does not run after an error.
 */
int32_t phantomdb_pool_acquire_direct(phantomdb_pool *pool,
                                      int64_t timeout_ms,
                                      phantomdb_acquire_callback callback,
                                      void *user_data,
                                      phantomdb_connection **connection,
                                      phantomdb_ticket **ticket,
                                      phantomdb_error *error);

/**
 * Acquires a connection, runs one operation on it and gives it back, without waiting for any of
 * that. `operation`, `arguments` and `argument_count` are as for `phantomdb_pool_run`.
 *
 * The callback is handed the response, or the error that `phantomdb_pool_run` would have returned,
 * or `PHANTOMDB_ERR_CANCELLED`.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`, `PHANTOMDB_ERR_INVALID_HANDLE`,
 * `PHANTOMDB_ERR_CLOSED`; `PHANTOMDB_ERR_OVERLOADED` if the system refuses a thread or a
 * descriptor; the message says why.
 */
int32_t phantomdb_pool_run_async(phantomdb_pool *pool,
                                 int32_t operation,
                                 const char *const *arguments,
                                 uint64_t argument_count,
                                 phantomdb_result_callback callback,
                                 void *user_data,
                                 phantomdb_ticket **ticket,
                                 phantomdb_error *error);

/**
 * Acquires a connection, sends one request on it and gives it back, without waiting for any of
 * that. `method`, `path`, `body` and `body_length` are as for `phantomdb_pool_request`.
 *
 * The callback, and the errors: as for `phantomdb_pool_run_async`.
 */
int32_t phantomdb_pool_request_async(phantomdb_pool *pool,
                                     const char *method,
                                     const char *path,
                                     const void *body,
                                     uint64_t body_length,
                                     phantomdb_result_callback callback,
                                     void *user_data,
                                     phantomdb_ticket **ticket,
                                     phantomdb_error *error);

/**
 * Runs one operation on a connection that you have, without waiting for it. `operation`,
 * `arguments` and `argument_count` are as for `phantomdb_connection_run`.
 *
 * Asynchronous requests on one connection run one after the other, in the order in which they
 * were made. It may be released while they are under way: it is back when they are done. (A
 * waiting request meanwhile gets `PHANTOMDB_ERR_BUSY`, as does an asynchronous one whose turn
 * comes while a waiting one is in flight.)
 *
 * The callback is handed the response, or the error that `phantomdb_connection_run` would have
 * returned. After `phantomdb_cancel` that is `PHANTOMDB_ERR_CANCELLED`, unless the response was
 * there first; a request in flight is cut then, and its connection opens itself anew.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`, `PHANTOMDB_ERR_INVALID_HANDLE`,
 * `PHANTOMDB_ERR_CLOSED`; `PHANTOMDB_ERR_OVERLOADED` if the system refuses a thread or a
 * descriptor; the message says why.
 */
int32_t phantomdb_connection_run_async(phantomdb_connection *connection,
                                       int32_t operation,
                                       const char *const *arguments,
                                       uint64_t argument_count,
                                       phantomdb_result_callback callback,
                                       void *user_data,
                                       phantomdb_ticket **ticket,
                                       phantomdb_error *error);

/**
 * Sends a request on a connection that you have, without waiting for it. `method`, `path`,
 * `body` and `body_length` are as for `phantomdb_connection_request`.
 *
 * In all else as `phantomdb_connection_run_async`.
 */
int32_t phantomdb_connection_request_async(phantomdb_connection *connection,
                                           const char *method,
                                           const char *path,
                                           const void *body,
                                           uint64_t body_length,
                                           phantomdb_result_callback callback,
                                           void *user_data,
                                           phantomdb_ticket **ticket,
                                           phantomdb_error *error);

/**
 * Cancels an asynchronous call: its callback comes soon, with `PHANTOMDB_ERR_CANCELLED`, or with
 * the result if that was there first. A request in flight is cut; what the server made of it is
 * unknown. Cancelling twice is fine, and so is cancelling a call whose callback has run or runs.
 *
 * Never waits, and may be called from any thread, in a callback too.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE`.
 */
int32_t phantomdb_cancel(phantomdb_ticket *ticket, phantomdb_error *error);

/**
 * Closes the pool as `phantomdb_pool_close_timeout` does, without waiting for it. `timeout_ms` may
 * be `PHANTOMDB_POOL_TIMEOUT`.
 *
 * The callback, which is the last of this pool, is told what `phantomdb_pool_close` would have
 * returned. It may be called from within another callback. A close that waits, and is made
 * meanwhile, returns after this callback has run.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`, `PHANTOMDB_ERR_INVALID_HANDLE`;
 * `PHANTOMDB_ERR_OVERLOADED` if the system refuses a thread or a descriptor; the message says why.
 * Nothing is closed then.
 */
int32_t phantomdb_pool_close_async(phantomdb_pool *pool,
                                   int64_t timeout_ms,
                                   phantomdb_close_callback callback,
                                   void *user_data,
                                   phantomdb_error *error);

/* ---- Asynchronous calls in an event loop: completion queues ---- */

/**
 * Where asynchronous calls leave their outcomes for your event loop, instead of calling a function
 * of yours on a thread of the library.
 *
 * Wherever a call takes a callback and its `user_data`, pass `phantomdb_post_result()` (or
 * `phantomdb_post_connection()`, `phantomdb_post_close()`) and the address of a
 * `phantomdb_completion_target`, which names the queue. When the call is over, the queue has one
 * `phantomdb_completion` more, and wakes your loop, which calls
 * `phantomdb_completion_queue_take` until it finds the queue empty:
 *
 *     phantomdb_completion_target target = {.queue = queue, .user_data = call};
 *     phantomdb_pool_run_async(pool, PHANTOMDB_LIST_DATABASES, NULL, 0, phantomdb_post_result(),
 *                              &target, NULL, &error);
 *     ...
 *     phantomdb_completion done[16];
 *     uint64_t count = 0;
 *     do {
 *         phantomdb_completion_queue_take(queue, 0, done, 16, &count, NULL);
 *         for (uint64_t i = 0; i < count; i++) finish(done[i].user_data, &done[i]);
 *     } while (count > 0);
 *
 * What wakes the loop is a function that `phantomdb_completion_queue_create` was given, or the
 * descriptor that `phantomdb_completion_queue_descriptor` returns, or both; a thread that has
 * nothing else to do may wait in `phantomdb_completion_queue_take` instead. A wake-up comes with
 * the first completion after a take that found the queue empty, and then no more until another
 * take has found it empty. So always take until nothing is left. What is completed meanwhile, by
 * your own releases and cancels too, wakes nobody; it is there at the next take.
 *
 * Any number of pools may share a queue, and a pool may use any number of queues. Every function
 * may be called from any thread; of several threads that take, each completion goes to one.
 * Completions come in the order in which their calls ended. Each call that returned `PHANTOMDB_OK`
 * has exactly one, after `phantomdb_cancel` and after a close of its pool too.
 *
 * Made by `phantomdb_completion_queue_create`, ended by `phantomdb_completion_queue_free`. In a
 * forked child a queue of the parent is `PHANTOMDB_ERR_INVALID_HANDLE`: create another there.
 *
 * `phantomdb_completion_queue_create`, `_descriptor`, `_take`, `_defer_wake`, `_free`;
 * `phantomdb_post_connection`, `phantomdb_post_result`, `phantomdb_post_close`.
 */
typedef struct phantomdb_completion_queue phantomdb_completion_queue;

/**
 * Wakes the loop that takes from a queue. It runs on the thread that brings the completion: one of
 * the library, or yours, within a call that ended another. So it does nothing but wake the loop,
 * or note that there is something to take; it calls nothing of this library, and returns at once.
 */
typedef void (*phantomdb_wake_callback)(void *user_data);

/** What one asynchronous call has come to; filled by `phantomdb_completion_queue_take`. */
typedef struct phantomdb_completion {
    /** That of the call's `phantomdb_completion_target`. */
    void *user_data;
    /** Of an acquire that succeeded: the connection, yours to release. Otherwise NULL. */
    phantomdb_connection *connection;
    /** The pool of that connection, to which it is released. Otherwise NULL. */
    phantomdb_pool *pool;
    /** Of a request that succeeded: its result, yours to free. Otherwise NULL. */
    phantomdb_result *result;
    /** For later versions; zero. */
    uint64_t reserved[4];
    /** Its `code` is `PHANTOMDB_OK`, or says why the call failed. */
    phantomdb_error error;
} phantomdb_completion;

/**
 * Where the outcome of one asynchronous call goes. It is read during the call that it is passed
 * to, and need not live longer.
 */
typedef struct phantomdb_completion_target {
    /** The queue. */
    phantomdb_completion_queue *queue;
    /** Handed on as it is, in `phantomdb_completion.user_data`. */
    void *user_data;
    /** For later versions; must be zero. */
    uint64_t reserved[2];
} phantomdb_completion_target;

/**
 * The callback for `phantomdb_pool_acquire_async` and `phantomdb_pool_acquire_direct` that posts
 * the outcome to a queue. `user_data` of the call is the address of a
 * `phantomdb_completion_target`, which is read during the call.
 *
 * A callback of your own may call it too, to pass on what it was handed.
 */
phantomdb_acquire_callback phantomdb_post_connection(void);

/**
 * The callback for every request that does not wait, `phantomdb_pool_run_async` and its siblings,
 * that posts the outcome to a queue. In all else as `phantomdb_post_connection`.
 */
phantomdb_result_callback phantomdb_post_result(void);

/**
 * The callback for `phantomdb_pool_close_async` that posts the outcome to a queue. In all else as
 * `phantomdb_post_connection`.
 */
phantomdb_close_callback phantomdb_post_close(void);

/**
 * Creates a queue. `wake` is called with `wake_user_data` to wake the loop that takes from it;
 * NULL for a loop that watches the queue's descriptor, or a thread that waits in
 * `phantomdb_completion_queue_take`.
 *
 * On success `*queue` is the new queue, to be ended by `phantomdb_completion_queue_free`; on
 * failure it is NULL.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`.
 */
int32_t phantomdb_completion_queue_create(phantomdb_wake_callback wake,
                                          void *wake_user_data,
                                          phantomdb_completion_queue **queue,
                                          phantomdb_error *error);

/**
 * Gives the descriptor that becomes readable when the queue would wake its loop, for poll, epoll
 * and their like. It stays readable until a take finds the queue empty. The same one each time. It
 * stays the library's: only watch it; it is closed by `phantomdb_completion_queue_free`.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE`; `PHANTOMDB_ERR_OVERLOADED` if the system has no
 * descriptor left.
 */
int32_t phantomdb_completion_queue_descriptor(phantomdb_completion_queue *queue,
                                              int32_t *descriptor,
                                              phantomdb_error *error);

/**
 * Takes what is completed, in the order in which it came, and fills `completions`, which has room
 * for `capacity` of them. `*count` is how many they are; with 0, nothing is left.
 *
 * If there is nothing, it waits for the first completion, `timeout_ms` milliseconds at most; with
 * 0, as an event loop needs it, it never waits.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`; `PHANTOMDB_ERR_INVALID_HANDLE`, also if the queue is
 * freed while this waits; `PHANTOMDB_ERR_WOULD_DEADLOCK` if it would wait in a callback of the
 * library.
 */
int32_t phantomdb_completion_queue_take(phantomdb_completion_queue *queue,
                                        int64_t timeout_ms,
                                        phantomdb_completion *completions,
                                        uint64_t capacity,
                                        uint64_t *count,
                                        phantomdb_error *error);

/**
 * Lets no completion wake the loop until a take has found the queue empty. For a loop that is at
 * work, and takes before it sleeps: what its own releases and cancels complete wakes nobody then.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE`.
 */
int32_t phantomdb_completion_queue_defer_wake(phantomdb_completion_queue *queue,
                                              phantomdb_error *error);

/**
 * Frees a queue. Connections and results in it that nobody has taken are released and freed. Calls
 * that name the queue and are under way go on, unless you cancel them, and what they bring is
 * released and freed too. When this returns, the wake function does not run, and will not.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE` for NULL and for a queue that was freed already;
 * `PHANTOMDB_ERR_WOULD_DEADLOCK` from within the wake function, and nothing is freed then.
 */
int32_t phantomdb_completion_queue_free(phantomdb_completion_queue *queue, phantomdb_error *error);

/* ---- Requests step by step, in an event loop of the program ---- */

/** How far a request has come that the program carries on itself; `phantomdb_step.state`. */
typedef enum phantomdb_step_state {
    /** It is over: the call has returned what it came to. */
    PHANTOMDB_STEP_OVER = 0,
    /**
     * It goes on by `phantomdb_connection_resume`, when its socket is ready or its time is over.
     */
    PHANTOMDB_STEP_WAITS = 1,
    /** It needs a socket, and so a thread: it goes on by `phantomdb_connection_finish_async`. */
    PHANTOMDB_STEP_NEEDS_THREAD = 2,
} phantomdb_step_state;

/**
 * What a request waits for that the program carries on itself, in an event loop of its own.
 *
 * `phantomdb_connection_start` sends a request without waiting for its response, and
 * `phantomdb_connection_resume` goes on with it, again and again, until it is over. In between the
 * program watches a socket. No thread of the library takes part, and no callback runs; this is the
 * cheapest way to make a request for a program that has a loop, as runtimes of languages do.
 *
 * `phantomdb_connection_start`, `_start_request`, `_resume`, `_finish`, `_finish_async`,
 * `_watch_socket`.
 *
 * No step waits. The one that gets the last of a response reads it, which of a large one takes a
 * few milliseconds for each megabyte; one that sends or receives much does a part of it, and
 * says (by `events` 0) that it can go on at once.
 *
 * While such a request is under way, another on the connection is refused with
 * `PHANTOMDB_ERR_BUSY`. `phantomdb_connection_interrupt` cuts it: the socket becomes ready, and
 * the next `phantomdb_connection_resume` returns `PHANTOMDB_ERR_CANCELLED`. Releasing the
 * connection ends it too: its socket is closed, and an open transaction is rolled back. Closing
 * the pool cuts it like any other request; so resume it, or release the connection.
 */
typedef struct phantomdb_step {
    /** One of `phantomdb_step_state`. What follows is of `PHANTOMDB_STEP_WAITS`, else 0. */
    int32_t state;
    /**
     * The descriptor to watch. It stays the library's: watch it, and nothing else, and not after
     * the request is over. A program that keeps its descriptors longer than that has
     * `phantomdb_connection_watch_socket` make a duplicate.
     */
    int32_t descriptor;
    /** What to watch it for: `POLLIN`, or `POLLOUT` too, of `<poll.h>`. 0: it can go on at once. */
    int32_t events;
    /** For later versions; zero. */
    uint32_t reserved;
    /**
     * The number of the socket. No other socket of this process ever has it, while descriptors
     * are used again and again.
     */
    uint64_t socket;
    /** After how many milliseconds it is to go on at the latest: its time is over then. */
    int64_t timeout_ms;
} phantomdb_step;

/**
 * A socket is closed: its number, and what was given for this. It runs on whichever thread closes
 * the socket, within whatever call does that, which may hold locks of the library: it makes a note
 * and wakes somebody, calls nothing of this library, and returns at once.
 */
typedef void (*phantomdb_socket_callback)(uint64_t socket, void *user_data);

/**
 * Starts an operation on a connection, and sends of it what can be sent without waiting.
 * `operation`, `arguments` and `argument_count` are as for `phantomdb_connection_run`.
 *
 * On success `step` says how it goes on. If it is over, `*result` is the response, to be freed
 * with `phantomdb_result_free`; otherwise it is NULL. After an error it is over.
 *
 * Errors: as `phantomdb_connection_run`; `PHANTOMDB_ERR_BUSY` if one is under way already.
 */
int32_t phantomdb_connection_start(phantomdb_connection *connection,
                                   int32_t operation,
                                   const char *const *arguments,
                                   uint64_t argument_count,
                                   phantomdb_step *step,
                                   phantomdb_result **result,
                                   phantomdb_error *error);

/**
 * Starts a request that has no name here yet. `method`, `path`, `body` and `body_length` are as
 * for `phantomdb_connection_request`.
 *
 * In all else as `phantomdb_connection_start`.
 */
int32_t phantomdb_connection_start_request(phantomdb_connection *connection,
                                           const char *method,
                                           const char *path,
                                           const void *body,
                                           uint64_t body_length,
                                           phantomdb_step *step,
                                           phantomdb_result **result,
                                           phantomdb_error *error);

/**
 * Goes on with the request that was started on this connection, as far as that can be done
 * without waiting. May be called at any time; too early it changes nothing.
 *
 * `step`, `result` and the errors are as for `phantomdb_connection_start`; besides
 * `PHANTOMDB_ERR_INVALID_STATE` if there is no such request.
 */
int32_t phantomdb_connection_resume(phantomdb_connection *connection,
                                    phantomdb_step *step,
                                    phantomdb_result **result,
                                    phantomdb_error *error);

/**
 * Finishes the request that was started on this connection and needs a thread
 * (`PHANTOMDB_STEP_NEEDS_THREAD`): on one of the library, which opens a socket for it.
 *
 * In all else as `phantomdb_connection_run_async`; `PHANTOMDB_ERR_INVALID_STATE` if there is no
 * such request.
 */
int32_t phantomdb_connection_finish_async(phantomdb_connection *connection,
                                          phantomdb_result_callback callback,
                                          void *user_data,
                                          phantomdb_ticket **ticket,
                                          phantomdb_error *error);

/**
 * Finishes the request that was started on this connection, however far it has come, and waits for
 * that on this thread. For programs that can't watch its socket: for lack of descriptors, say.
 *
 * In all else as `phantomdb_connection_run`; `PHANTOMDB_ERR_INVALID_STATE` if there is no such
 * request. `phantomdb_connection_interrupt` cuts it.
 */
int32_t phantomdb_connection_finish(phantomdb_connection *connection,
                                    phantomdb_result **result,
                                    phantomdb_error *error);

/**
 * Makes a duplicate of the descriptor of the socket that a request waits for
 * (`PHANTOMDB_STEP_WAITS`), for the program to watch, for as many requests as the socket serves,
 * and to close. The duplicate does not keep the connection open: when the library closes the
 * socket, the duplicate becomes ready, and `closed` is called, exactly once for each call of
 * this that returned `PHANTOMDB_OK`; it may be called before this has returned. `closed` may be
 * NULL. In a forked child it is not called.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_STATE` if no request waits; `PHANTOMDB_ERR_OVERLOADED` if the
 * system has no descriptor left: the request goes on, and can be finished by
 * `phantomdb_connection_finish`.
 */
int32_t phantomdb_connection_watch_socket(phantomdb_connection *connection,
                                          phantomdb_socket_callback closed,
                                          void *user_data,
                                          int32_t *descriptor,
                                          phantomdb_error *error);

/* ---- Status and statistics ---- */

/**
 * The numbers of a pool at one moment. Fill it once with `phantomdb_status_init`, then pass it to
 * `phantomdb_pool_status` as often as you like.
 */
typedef struct phantomdb_status {
    /** Set by `phantomdb_status_init`; leave it alone. */
    uint32_t struct_size;
    /** Connections that can be handed out at once. */
    uint32_t available;
    /** Connections that callers have. */
    uint32_t used;
    /** Callers that wait for a connection. */
    uint32_t pending;
    /** All connections: available, used, and those being opened, checked, cleaned or closed. */
    uint32_t total;
    /** The option `min_connections`. */
    uint32_t min;
    /** The option `max_connections`. */
    uint32_t max;
} phantomdb_status;

/**
 * Prepares `status` for `phantomdb_pool_status`. Pass `sizeof(phantomdb_status)` as `struct_size`.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT` for a NULL `status` or a size that no version had;
 * nothing is written then.
 */
int32_t phantomdb_status_init(phantomdb_status *status, uint32_t struct_size);

/**
 * Fills `status` with the numbers of this moment. Never waits for the network.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`, and
 * `PHANTOMDB_ERR_INVALID_ARGUMENT` if `status` was not prepared by `phantomdb_status_init`.
 */
int32_t phantomdb_pool_status(phantomdb_pool *pool,
                              phantomdb_status *status,
                              phantomdb_error *error);

/**
 * The numbers of this moment as JSON:
 * `{"available":2,"used":0,"pending":0,"total":2,"min":2,"max":10}`.
 *
 * On success `*result` holds the text, to be freed with `phantomdb_result_free`.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`.
 */
int32_t phantomdb_pool_status_json(phantomdb_pool *pool,
                                   phantomdb_result **result,
                                   phantomdb_error *error);

/**
 * What the pool has done so far, as JSON: acquires by outcome, histograms of how long they and
 * the use of connections took, connections created and closed by reason, how long the caller has
 * waited that waits longest. Reading it holds up nobody.
 *
 * On success `*result` holds the text, to be freed with `phantomdb_result_free`.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`.
 */
int32_t phantomdb_pool_stats_json(phantomdb_pool *pool,
                                  phantomdb_result **result,
                                  phantomdb_error *error);

/**
 * The statistics and the status as OpenMetrics text, for Prometheus and its like.
 *
 * On success `*result` holds the text, to be freed with `phantomdb_result_free`.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`.
 */
int32_t phantomdb_pool_metrics(phantomdb_pool *pool,
                               phantomdb_result **result,
                               phantomdb_error *error);

#ifdef __cplusplus
}
#endif

#endif /* PHANTOMDB_H */
