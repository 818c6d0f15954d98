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
 * The library needs no initialisation and no shutdown. It installs no signal handler, prints
 * nothing, and reads no environment variables except SSL_CERT_FILE and SSL_CERT_DIR, when it
 * looks for the system's certificates. It may be used from C and from C++. C++ programs may
 * prefer phantomdb.hpp, which releases and frees by itself.
 *
 * The calls are grouped by task, in the order in which a program needs them, and the types
 * stand beside them. This comment says what holds for all of them.
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
 * THREADS
 *
 * Every call may be made from any thread at any time. A connection serves one request at a
 * time: while one thread's request is in flight on it, another thread gets PHANTOMDB_ERR_BUSY.
 * Nothing is thread-local: a connection may be acquired in one thread, used in a second and
 * released in a third.
 *
 * If a thread is cancelled (pthread_cancel) during a call, it ends after the call has returned,
 * at its next cancellation point. Nothing is lost: what the call gave is yours to release, in a
 * cleanup handler. As with the C library, asynchronous cancellation
 * (PTHREAD_CANCEL_ASYNCHRONOUS) must not be enabled around calls.
 *
 * Event loops, and threads that must not wait, use the asynchronous calls:
 * phantomdb_pool_run_async, phantomdb_pool_acquire_async, phantomdb_connection_run_async and
 * others return at once. When they are done, they call a function of yours, or leave their
 * outcome in a phantomdb_completion_queue, which wakes your loop. phantomdb_cancel ends one
 * early. The comment on phantomdb_ticket says what holds for all of them.
 *
 * A program whose event loop watches descriptors can also drive requests itself, without
 * callbacks and without a thread of the library: see phantomdb_step.
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
 *             } while (count == 8);
 *         }
 *         phantomdb_pool_close(pool, NULL);
 *         phantomdb_completion_queue_free(queue, NULL);
 *         return failed;
 *     }
 *
 *
 * OWNERSHIP
 *
 * What a call gives you through an output argument is yours: a pool until phantomdb_pool_close,
 * a connection until phantomdb_pool_release or phantomdb_pool_discard, a result until
 * phantomdb_result_free. When a call fails, its outputs are NULL and there is nothing to free.
 * Texts and structs that you pass in stay yours; the library keeps no pointer to them.
 *
 * phantomdb_pool_close waits, up to close_timeout_ms, for connections that are in use. Release
 * yours before you close the pool in the same thread.
 *
 * Handles (phantomdb_pool *, phantomdb_connection *, phantomdb_result *, phantomdb_ticket *,
 * phantomdb_completion_queue *) look like pointers but are checked numbers, which are never
 * followed. One that is NULL, made up, already released or freed, or of the wrong kind gets
 * PHANTOMDB_ERR_INVALID_HANDLE, and one of a closed pool PHANTOMDB_ERR_CLOSED: always, from any
 * thread. So releasing twice, or using a connection after its release, is an error that you are
 * told about, and never a crash.
 *
 * The library can't check that other pointers point to what their types say, that texts end
 * with a NUL, and that nobody changes them during the call.
 *
 *
 * ERRORS
 *
 * A call that can fail returns PHANTOMDB_OK (0) or one of the negative PHANTOMDB_ERR_ codes.
 * Its last argument is a phantomdb_error, which may be NULL. The message is meant for people:
 * it says what was tried, on what, and the root cause. It never contains a token or a password.
 * Programs should match on the code. Those that must match on the text can rely on two words:
 * "Timeout" in the message of PHANTOMDB_ERR_TIMEOUT and "closed" in that of
 * PHANTOMDB_ERR_CLOSED.
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
 * The version of the ABI that this header describes, and the number in `libphantomdb.so.0`. It
 * is raised with every incompatible change, independently of the library's version.
 *
 * A program works with any newer or older library of the same ABI version. Structs that a
 * program fills begin with `struct_size`, which their `_init` function sets, so that they can
 * grow. The numbers of codes, operations and kinds never change.
 */
#define PHANTOMDB_ABI_VERSION 0

/** The version of the library, such as "0.1.0". The text is never freed. Safe from any thread. */
const char *phantomdb_version(void);

/**
 * The ABI version of the library that the program runs with. A program compiled with one
 * `PHANTOMDB_ABI_VERSION` runs with every library of the same version. Safe from any thread.
 */
uint32_t phantomdb_abi_version(void);

/* ---- Errors ---- */

/** The size of `phantomdb_error.message`, including its NUL. */
#define PHANTOMDB_ERROR_MESSAGE_SIZE 984

/** What a call returns, and what `phantomdb_error.code` holds. The numbers never change. */
typedef enum phantomdb_code {
    /** The call succeeded. */
    PHANTOMDB_OK = 0,
    /**
     * An argument or option is missing, out of range or contradicts another. The message begins
     * with its name.
     */
    PHANTOMDB_ERR_INVALID_ARGUMENT = -1,
    /** The handle is NULL, made up, already released, or belongs to another kind or pool. */
    PHANTOMDB_ERR_INVALID_HANDLE = -2,
    /** The pool is closed. The message contains the word "closed". */
    PHANTOMDB_ERR_CLOSED = -3,
    /** The deadline passed first. The message contains the word "Timeout". */
    PHANTOMDB_ERR_TIMEOUT = -4,
    /** No connection is free right now, and the call does not wait. */
    PHANTOMDB_ERR_WOULD_BLOCK = -5,
    /**
     * Too many callers are waiting already (`max_waiters`), or the system is short of threads,
     * descriptors or handles.
     */
    PHANTOMDB_ERR_OVERLOADED = -6,
    /** The server can't be reached. The message holds the root cause. */
    PHANTOMDB_ERR_UNAVAILABLE = -7,
    /** The call was cancelled, or its connection was interrupted. */
    PHANTOMDB_ERR_CANCELLED = -8,
    /** The connection is in use by another thread. */
    PHANTOMDB_ERR_BUSY = -9,
    /** The call would wait for itself. */
    PHANTOMDB_ERR_WOULD_DEADLOCK = -10,
    /**
     * The operation does not fit the state of the connection; for example, a commit without an
     * open transaction.
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
    /** A value of a result has another type, or is out of range. */
    PHANTOMDB_ERR_TYPE = -18,
    /** A bug in this library, caught. The pool stays usable. */
    PHANTOMDB_ERR_PANIC = -19,
    /**
     * There is not enough memory for the request, or for a response within `max_response_bytes`.
     */
    PHANTOMDB_ERR_OUT_OF_MEMORY = -20,
} phantomdb_code;

/** A code with its name and text; see `phantomdb_code_table`. */
typedef struct phantomdb_code_info {
    /** One of `phantomdb_code`. */
    int32_t code;
    /** The part of its name after `PHANTOMDB_ERR_`, such as "TIMEOUT"; "OK" for `PHANTOMDB_OK`. */
    const char *name;
    /** A sentence that says what it means, without a full stop. */
    const char *text;
} phantomdb_code_info;

/**
 * Why a call failed. The caller owns it: put one on the stack, pass its address, and read it if
 * the call did not return `PHANTOMDB_OK`. Nothing in it needs to be freed.
 *
 * It need not be initialised. Every call that takes one fills it on failure, and on success sets
 * `code` to `PHANTOMDB_OK` and `message` to "". Every call accepts NULL instead.
 */
typedef struct phantomdb_error {
    /** One of `phantomdb_code`: the number that the call returned. */
    int32_t code;
    /** The HTTP status of the server's response; 0 if there was none. */
    int32_t http_status;
    /**
     * After how many milliseconds a retry makes sense, as the library knows or the server says
     * (in Retry-After, as seconds or a date); a day at most. 0 if that is unknown, or if a retry
     * makes sense at once.
     */
    int64_t retry_after_ms;
    /**
     * Whether the same call may succeed later and is safe to repeat. False after a write that
     * may have taken effect; the message then says so.
     */
    bool retriable;
    /** For later versions; zero. */
    uint8_t reserved[23];
    /**
     * What was tried, on what, why it failed and, where that helps, what to do. UTF-8, ends with
     * a NUL. A message that is too long loses its middle.
     */
    char message[PHANTOMDB_ERROR_MESSAGE_SIZE];
} phantomdb_error;

/**
 * Lists every code with its name and text, in the order of the numbers, beginning with
 * `PHANTOMDB_OK`.
 *
 * Returns the first of `*count` entries, which are never freed. `count` may be NULL. Bindings
 * take their constants from here, or check them. Safe from any thread.
 */
const phantomdb_code_info *phantomdb_code_table(uint64_t *count);

/**
 * The name of a code, such as "TIMEOUT", or NULL if the code is unknown. The text is never freed.
 * Safe from any thread.
 */
const char *phantomdb_code_name(int32_t code);

/* ---- Options ---- */

/**
 * How an idle connection is checked before it is handed out; see
 * `phantomdb_pool_options.validation`.
 */
typedef enum phantomdb_validation {
    /**
     * Ask the operating system whether the socket is still open: one system call, no round trip.
     * The default.
     */
    PHANTOMDB_VALIDATION_SOCKET = 0,
    /** Ask the server (`GET /health`): one round trip. Any HTTP response will do. */
    PHANTOMDB_VALIDATION_PING = 1,
    /**
     * Don't check, unless another connection was lost. Then connections that were idle before
     * are pinged, as with the other two.
     */
    PHANTOMDB_VALIDATION_NONE = 2,
} phantomdb_validation;

/** How serious a message to `phantomdb_pool_options.log` is. */
typedef enum phantomdb_log_level {
    /** For information: nothing is wrong. */
    PHANTOMDB_LOG_INFO = 0,
    /** Something is wrong, and the pool deals with it. */
    PHANTOMDB_LOG_WARNING = 1,
} phantomdb_log_level;

/**
 * Everything that can be set on a pool. Fill it with `phantomdb_pool_options_init`, then change
 * what you like. `phantomdb_pool_create` copies all texts, so they need to live only until it
 * returns.
 *
 * Times are in milliseconds, at most 365 days. `phantomdb_pool_create` refuses a value that
 * makes no sense, with an error that begins with the name of the option (for a time, without
 * `_ms`).
 */
typedef struct phantomdb_pool_options {
    /** Set by `phantomdb_pool_options_init`; leave it alone. */
    uint32_t struct_size;
    /** Connections that the pool keeps even when nobody uses them. Default 2; 0 is allowed. */
    uint32_t min_connections;
    /**
     * The most connections that the pool ever has, as the server counts them. Default 10; 1 to
     * 65535, and at least `min_connections`.
     */
    uint32_t max_connections;
    /** How many connections may be opening at the same time. Default 2; at least 1. */
    uint32_t max_connecting;
    /**
     * How many callers may wait at the same time; one more gets `PHANTOMDB_ERR_OVERLOADED`.
     * Default 10000; 0 means that nobody ever waits.
     */
    uint32_t max_waiters;
    /** One of `phantomdb_validation`. Default `PHANTOMDB_VALIDATION_SOCKET`. */
    int32_t validation;
    /** `http[s]://host[:port][/prefix]`. Default "http://localhost:8080". */
    const char *base_url;
    /** The bearer token; NULL, the default, sends none. It is never shown in a message. */
    const char *token;
    /**
     * A PEM file with the certificates that may sign the server's; NULL, the default, means
     * those of the system. This file and those below are read again at a reset, and after a
     * failure of TLS. The environment (SSL_CERT_FILE, SSL_CERT_DIR) says where the system's
     * certificates are, except in a program that is set-uid or has other extra privileges.
     */
    const char *tls_ca_file;
    /** A PEM file with the client's certificate, for servers that want one. Default NULL. */
    const char *tls_cert_file;
    /** A PEM file with the private key of `tls_cert_file`. Default NULL. */
    const char *tls_key_file;
    /**
     * How long `phantomdb_pool_acquire` waits, all its steps included. Default 30000; more than
     * 0.
     */
    int64_t acquire_timeout_ms;
    /**
     * How long a connection above `min_connections` may be unused before it is closed. Default
     * 60000; 0 means forever.
     */
    int64_t idle_timeout_ms;
    /**
     * The age at which a connection is retired, less a random part of up to a tenth. Default
     * 1800000; 0 means never.
     */
    int64_t max_lifetime_ms;
    /**
     * How long a connection may be idle and still be handed out without validation. Default 500;
     * 0 validates every time.
     */
    int64_t validate_after_ms;
    /** How long a validation by ping may take. Default 1000; more than 0. */
    int64_t validation_timeout_ms;
    /**
     * How long a request may take, including opening the connection. Default 30000; more than 0.
     */
    int64_t request_timeout_ms;
    /**
     * How long opening a connection may take: name look-up, TCP and TLS together. Default 5000;
     * more than 0.
     */
    int64_t connect_timeout_ms;
    /**
     * How long `phantomdb_pool_close` waits for connections to be released before it cuts them
     * off. Default 5000; 0 means not at all.
     */
    int64_t close_timeout_ms;
    /** The largest body of a response, in bytes. Default 67108864 (64 MiB); more than 0. */
    uint64_t max_response_bytes;
    /**
     * How long a connection may be acquired before it is reported to `log` and counted as
     * leaked. It is not taken back. Default 0: never.
     */
    int64_t leak_threshold_ms;
    /**
     * Called with what happens to the pool: leaked connections, the beginning and the end of an
     * outage, a server that responds to pings with 503. Default NULL: no log.
     *
     * It is called on a thread of the library, one message at a time, with no lock held, and
     * never after `phantomdb_pool_close` has returned. `level` is one of `phantomdb_log_level`;
     * `message` is valid during the call. Calls that wait (acquire, requests, close) are refused
     * in it with `PHANTOMDB_ERR_WOULD_DEADLOCK`.
     */
    void (*log)(int32_t level, const char *message, void *user_data);
    /** Passed to `log` unchanged. Default NULL. */
    void *log_user_data;
    /**
     * 1 opens `min_connections` at create, in the background; 0, the default, opens each at its
     * first request.
     */
    int32_t preconnect;
    /** For later versions; leave it 0. */
    int32_t reserved;
} phantomdb_pool_options;

/**
 * Fills `options` with the defaults.
 *
 * Pass `sizeof(phantomdb_pool_options)` as `struct_size`. It tells the library which version of
 * the struct the program was compiled with, so that each works with a newer version of the
 * other.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT` if `options` is NULL or no version has this size;
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

/** An option of a pool; see `phantomdb_option_table`. */
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
 * contradict each other. Returns the first of `*count` entries, which are never freed. `count`
 * may be NULL. Safe from any thread.
 */
const phantomdb_option_info *phantomdb_option_table(uint64_t *count);

/* ---- Pools: create, change, close ---- */

/**
 * A pool of connections to one PhantomDB server. Every call on it is safe from any thread.
 *
 * It holds at most `max_connections` connections. Between `min_connections` and that, it grows
 * with demand and shrinks when connections are idle. Callers that find none free wait in a
 * queue, first come, first served, until a connection is released, a new one is open, or their
 * time is over. A connection opens its socket at its first request, so a pool can be created
 * while the server is down. After that the pool opens connections itself, a few at a time.
 *
 * When the server can't be reached, callers get `PHANTOMDB_ERR_UNAVAILABLE` with the cause at
 * once instead of waiting, while the pool tries again in the background, less and less often.
 * But as long as connections in use may come back, callers wait for these: a server at its
 * limit, for example, goes on serving everybody on the connections that are open.
 *
 * A forked child finds each pool of its parent empty and usable, and the parent is not affected.
 * Connections that the parent had acquired are `PHANTOMDB_ERR_INVALID_HANDLE` in the child.
 *
 * Create it with `phantomdb_pool_create`, close it with `phantomdb_pool_close`. The handle of a
 * closed pool stays harmless forever: calls with it return `PHANTOMDB_ERR_CLOSED`.
 */
typedef struct phantomdb_pool phantomdb_pool;

/**
 * Creates a pool. `options` may be NULL: a pool of 2 to 10 connections to http://localhost:8080.
 *
 * It opens no connection unless `preconnect` is set, so the server need not be running yet. On
 * success `*pool` is the new pool, to be closed with `phantomdb_pool_close`; on failure it is
 * NULL.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT` or `PHANTOMDB_ERR_TLS`; the message begins with the
 * name of the option that can't be used.
 */
int32_t phantomdb_pool_create(const phantomdb_pool_options *options,
                              phantomdb_pool **pool,
                              phantomdb_error *error);

/**
 * Retires every connection that is open now: idle ones at once, others when they are released.
 * Callers notice nothing. Use it when the server has moved or certificates have changed: new
 * connections look the server's name up again and read the TLS files again. A server that could
 * not be reached is tried at once.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`.
 */
int32_t phantomdb_pool_reset(phantomdb_pool *pool, phantomdb_error *error);

/**
 * Changes `min_connections` and `max_connections` while the pool is in use. Connections above a
 * smaller maximum are closed: idle ones at once, others when they are released.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT` (nothing changes then),
 * `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`.
 */
int32_t phantomdb_pool_resize(phantomdb_pool *pool,
                              uint32_t min_connections,
                              uint32_t max_connections,
                              phantomdb_error *error);

/**
 * Changes the bearer token; NULL sends none. Every request that starts afterwards uses it.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT` if an HTTP header can't carry the token (the old one
 * stays then), `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`.
 */
int32_t phantomdb_pool_set_token(phantomdb_pool *pool, const char *token, phantomdb_error *error);

/**
 * Closes the pool, and returns when nothing of it is left: no socket and no thread.
 *
 * Callers that wait for a connection get `PHANTOMDB_ERR_CLOSED` at once. Connections in use have
 * `close_timeout_ms` to be released. Then they are cut off: a request in flight on them fails
 * with `PHANTOMDB_ERR_CLOSED`, and so does everything that is tried on them later. Release them
 * as usual.
 *
 * A pool may be closed twice, and from two threads at once. When this returns, the callbacks of
 * `phantomdb_pool_close_async` have run, too.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE`; `PHANTOMDB_ERR_WOULD_DEADLOCK` in a callback of the
 * library, where it closes nothing.
 */
int32_t phantomdb_pool_close(phantomdb_pool *pool, phantomdb_error *error);

/**
 * Like `phantomdb_pool_close`, but connections in use have `timeout_ms` milliseconds to be
 * released instead of `close_timeout_ms`; with 0 they are cut off at once. A close that is
 * waiting already, in another thread, ends as early.
 *
 * Errors: like `phantomdb_pool_close`; `PHANTOMDB_ERR_INVALID_ARGUMENT` if the time is negative.
 */
int32_t phantomdb_pool_close_timeout(phantomdb_pool *pool,
                                     int64_t timeout_ms,
                                     phantomdb_error *error);

/* ---- Connections: acquire, release ---- */

/**
 * A connection that was acquired from a pool. It is yours until you release it, in any thread.
 *
 * It serves one request at a time: a second thread that tries meanwhile gets
 * `PHANTOMDB_ERR_BUSY`. `phantomdb_connection_interrupt` may be called from any thread.
 *
 * All its operations (`phantomdb_connection_health_check` to `phantomdb_connection_request`)
 * have the following in common. Texts are UTF-8, end with a NUL, and need to live only during
 * the call. Names may hold any character; the library encodes them. JSON arguments are checked
 * before anything is sent. On success `*result` is the response, to be freed with
 * `phantomdb_result_free`; on failure it is NULL. `result` itself may be NULL if the response
 * does not matter. A call takes at most `request_timeout_ms`. Their errors:
 *
 * - `PHANTOMDB_ERR_INVALID_ARGUMENT`: an argument can't be used; nothing was sent.
 * - `PHANTOMDB_ERR_INVALID_HANDLE`: this connection has been released, or was never valid.
 * - `PHANTOMDB_ERR_HTTP`: the server responded with an error: 400 for bad SQL, 404 for a missing
 *   database or table, 409 if it exists already, 500 and so on; see `http_status`.
 * - `PHANTOMDB_ERR_UNAUTHORIZED`: the token is missing or wrong.
 * - `PHANTOMDB_ERR_UNAVAILABLE`, `PHANTOMDB_ERR_TIMEOUT`, `PHANTOMDB_ERR_CONNECTION_LOST`,
 *   `PHANTOMDB_ERR_PROTOCOL`, `PHANTOMDB_ERR_TOO_LARGE`, `PHANTOMDB_ERR_TLS`: something failed
 *   on the way to the server and back. The connection can still be used: its next request opens
 *   a new socket.
 * - `PHANTOMDB_ERR_OUT_OF_MEMORY`: there is not enough memory for the request or the response.
 * - `PHANTOMDB_ERR_CANCELLED`: the request was interrupted.
 * - `PHANTOMDB_ERR_BUSY`: another request is in flight on this connection.
 * - `PHANTOMDB_ERR_CLOSED`: the pool was closed.
 *
 * The library sends a request again only if nothing of it reached the server, if it only reads,
 * or if the server closes the connection and says that it gave up waiting for the request (408).
 * So an insert is never carried out twice. Whether you may safely repeat it yourself is in
 * `retriable` of the error.
 */
typedef struct phantomdb_connection phantomdb_connection;

/**
 * Waits for a connection, at most `acquire_timeout_ms`.
 *
 * On success `*connection` is yours until `phantomdb_pool_release` or `phantomdb_pool_discard`;
 * on failure it is NULL. Callers are served in the order in which they came.
 *
 * Errors: `PHANTOMDB_ERR_TIMEOUT`, `PHANTOMDB_ERR_CLOSED`, `PHANTOMDB_ERR_OVERLOADED`. If the
 * server can't be reached, `PHANTOMDB_ERR_UNAVAILABLE` (or `PHANTOMDB_ERR_TLS`,
 * `PHANTOMDB_ERR_UNAUTHORIZED`) at once, with the root cause and `retry_after_ms`, unless a
 * connection in use may come back: the call waits for that. The message of a time-out says what
 * the pool was doing: what it was dialling, and since when.
 */
int32_t phantomdb_pool_acquire(phantomdb_pool *pool,
                               phantomdb_connection **connection,
                               phantomdb_error *error);

/**
 * Like `phantomdb_pool_acquire`, but waits at most `timeout_ms` milliseconds. With 0 it takes a
 * connection only if one is free at once. A negative time is refused.
 */
int32_t phantomdb_pool_acquire_timeout(phantomdb_pool *pool,
                                       int64_t timeout_ms,
                                       phantomdb_connection **connection,
                                       phantomdb_error *error);

/**
 * Takes a connection if one is free. Never waits and never uses the network.
 *
 * Errors: `PHANTOMDB_ERR_WOULD_BLOCK` if none is free; otherwise like `phantomdb_pool_acquire`.
 */
int32_t phantomdb_pool_try_acquire(phantomdb_pool *pool,
                                   phantomdb_connection **connection,
                                   phantomdb_error *error);

/**
 * Gives a connection back. Never waits, never uses the network, and never fails for a connection
 * that you hold.
 *
 * `connection` is gone afterwards, whatever this returns. A transaction that is still open on it
 * is rolled back before anybody else gets it. If another thread has a request in flight on it,
 * the request goes on, and the connection is back when that is done. A request that you drive
 * step by step (`phantomdb_step`) is abandoned.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE` if the connection has already been released or belongs
 * to another pool; `PHANTOMDB_ERR_CLOSED` if the pool was closed meanwhile. The pool has then
 * taken the connection back itself, and nothing is left to do.
 */
int32_t phantomdb_pool_release(phantomdb_pool *pool,
                               phantomdb_connection *connection,
                               phantomdb_error *error);

/**
 * Gives a connection back to be closed instead of reused. Otherwise like
 * `phantomdb_pool_release`.
 */
int32_t phantomdb_pool_discard(phantomdb_pool *pool,
                               phantomdb_connection *connection,
                               phantomdb_error *error);

/**
 * Counts an acquire that was cancelled before it began, so that the statistics have each acquire
 * once. It asks for no connection. For bindings to languages in which a call can be cancelled
 * before it is made.
 *
 * It always fails: with `PHANTOMDB_ERR_CANCELLED`, or with `PHANTOMDB_ERR_INVALID_HANDLE` or
 * `PHANTOMDB_ERR_CLOSED` because of the pool.
 */
int32_t phantomdb_pool_acquire_cancelled(phantomdb_pool *pool, phantomdb_error *error);

/**
 * Names the user of the connection for the report of a leak (`leak_threshold_ms`): the id of a
 * request, for example, or a place in the program. A release clears it.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`, `PHANTOMDB_ERR_INVALID_HANDLE`.
 */
int32_t phantomdb_connection_set_owner(phantomdb_connection *connection,
                                       const char *owner,
                                       phantomdb_error *error);

/**
 * Cuts off the request that another thread has in flight on this connection. It fails with
 * `PHANTOMDB_ERR_CANCELLED`, and it is unknown whether it took effect. Without a request in
 * flight this does nothing. Safe from any thread; returns at once.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE`.
 */
int32_t phantomdb_connection_interrupt(phantomdb_connection *connection, phantomdb_error *error);

/* ---- Requests ---- */

/**
 * A response. It can be read as JSON text or, without a JSON library, as a table (rows and
 * columns; an object is a table with one row) or as a list of names.
 *
 * It is yours until `phantomdb_result_free`, and does not depend on the connection or pool that
 * it came from. Reading it is safe from any thread. Every text that it lends is UTF-8, ends with
 * a NUL, and is valid until the result is freed. A text may contain a NUL itself, so each call
 * that lends one also gives its `length` in bytes, without the last NUL; `length` may be NULL.
 *
 * What its calls have in common. Their errors: `PHANTOMDB_ERR_INVALID_HANDLE` if the result has
 * been freed or was never valid; `PHANTOMDB_ERR_INVALID_ARGUMENT` if a row, column or item does
 * not exist; `PHANTOMDB_ERR_TYPE` if a value has another type, or the result is not a table or
 * not a list.
 */
typedef struct phantomdb_result phantomdb_result;

/**
 * Frees a result, and with it every text that it lent. For NULL, and for a result that has
 * already been freed, it does nothing and returns `PHANTOMDB_ERR_INVALID_HANDLE`.
 */
int32_t phantomdb_result_free(phantomdb_result *result);

/**
 * The operations by number, for `phantomdb_connection_run`, `phantomdb_pool_run` and their
 * asynchronous forms. Each takes the texts that are listed with it, in this order; those in
 * brackets may be NULL, or omitted at the end. The function of the same name, such as
 * `phantomdb_connection_select`, says what they mean. The numbers never change.
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

/** An operation with its name and arguments; see `phantomdb_operation_table`. */
typedef struct phantomdb_operation_info {
    /** One of `phantomdb_operation`. */
    int32_t operation;
    /** How many arguments it takes. */
    uint32_t argument_count;
    /** How many of them it requires; these come first. */
    uint32_t required_count;
    /** For later versions; zero. */
    uint32_t reserved;
    /** Its name, such as "list_databases". */
    const char *name;
    /** The names of its arguments. */
    const char *const *arguments;
} phantomdb_operation_info;

/**
 * Lists every operation with its name and arguments, in the order of the numbers.
 *
 * Returns the first of `*count` entries, which are never freed. `count` may be NULL. Bindings
 * take their constants from here, or check them. Safe from any thread.
 */
const phantomdb_operation_info *phantomdb_operation_table(uint64_t *count);

/**
 * Checks the arguments of an operation as every call does that runs it, and does nothing else.
 * For programs that acquire a connection first and should not wait for one in vain. `operation`,
 * `arguments` and `argument_count` are those of `phantomdb_connection_run`.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`.
 */
int32_t phantomdb_operation_check(int32_t operation,
                                  const char *const *arguments,
                                  uint64_t argument_count,
                                  phantomdb_error *error);

/**
 * Checks the arguments of `phantomdb_connection_request`, and does nothing else.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`.
 */
int32_t phantomdb_request_check(const char *method,
                                const char *path,
                                const void *body,
                                uint64_t body_length,
                                phantomdb_error *error);

/**
 * Asks the server for its health. The response is an object whose `status` is "healthy" or
 * "unhealthy".
 */
int32_t phantomdb_connection_health_check(phantomdb_connection *connection,
                                          phantomdb_result **result,
                                          phantomdb_error *error);

/** Lists the databases. The response is a list of names. */
int32_t phantomdb_connection_list_databases(phantomdb_connection *connection,
                                            phantomdb_result **result,
                                            phantomdb_error *error);

/** Creates a database. HTTP status 409 if the name is taken. */
int32_t phantomdb_connection_create_database(phantomdb_connection *connection,
                                             const char *name,
                                             phantomdb_result **result,
                                             phantomdb_error *error);

/** Drops a database with everything in it. */
int32_t phantomdb_connection_drop_database(phantomdb_connection *connection,
                                           const char *database,
                                           phantomdb_result **result,
                                           phantomdb_error *error);

/** Lists the tables of a database. The response is a list of names. */
int32_t phantomdb_connection_list_tables(phantomdb_connection *connection,
                                         const char *database,
                                         phantomdb_result **result,
                                         phantomdb_error *error);

/**
 * Creates a table. `columns` is a JSON array of objects with `name` and `type` and, optionally,
 * `nullable`, `primaryKey` and `defaultValue`:
 * `[{"name":"id","type":"integer","primaryKey":true}]`.
 */
int32_t phantomdb_connection_create_table(phantomdb_connection *connection,
                                          const char *database,
                                          const char *name,
                                          const char *columns,
                                          phantomdb_result **result,
                                          phantomdb_error *error);

/** Drops a table with all its rows. */
int32_t phantomdb_connection_drop_table(phantomdb_connection *connection,
                                        const char *database,
                                        const char *table,
                                        phantomdb_result **result,
                                        phantomdb_error *error);

/**
 * Inserts one row: a JSON object of columns and values, `{"id":1,"name":"Ada"}`. It is never
 * carried out twice.
 */
int32_t phantomdb_connection_insert(phantomdb_connection *connection,
                                    const char *database,
                                    const char *table,
                                    const char *row,
                                    phantomdb_result **result,
                                    phantomdb_error *error);

/**
 * Reads the rows that match an SQL condition, or all rows if `condition` is NULL. The response
 * is a table with its columns in the server's order. A blank condition is refused.
 */
int32_t phantomdb_connection_select(phantomdb_connection *connection,
                                    const char *database,
                                    const char *table,
                                    const char *condition,
                                    phantomdb_result **result,
                                    phantomdb_error *error);

/**
 * Updates the rows that match an SQL condition, or all rows if `condition` is NULL. `data` is a
 * JSON object of columns and new values. A blank condition is refused.
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
 * Deletes the rows that match an SQL condition. The condition is required: NULL or a blank one
 * is refused before anything is sent, because on the wire such a delete would drop the table.
 * For all rows, pass "1=1". `phantomdb_result_affected_rows` says how many rows were deleted.
 */
int32_t phantomdb_connection_delete(phantomdb_connection *connection,
                                    const char *database,
                                    const char *table,
                                    const char *condition,
                                    phantomdb_result **result,
                                    phantomdb_error *error);

/**
 * Runs one SQL statement. `parameters` is a JSON array with one value for each `?` of the
 * statement, or NULL. The response to a query is a table; for other statements,
 * `phantomdb_result_affected_rows` says how many rows changed.
 */
int32_t phantomdb_connection_execute_query(phantomdb_connection *connection,
                                           const char *database,
                                           const char *sql,
                                           const char *parameters,
                                           phantomdb_result **result,
                                           phantomdb_error *error);

/**
 * Begins a transaction on one database or, if `database` is NULL, on the first one that it uses.
 * Every request on this connection belongs to it until a commit or rollback; releasing the
 * connection rolls it back. The response is an object with the `transaction_id`.
 *
 * `PHANTOMDB_ERR_INVALID_STATE` if a transaction is already open on this connection.
 */
int32_t phantomdb_connection_begin_transaction(phantomdb_connection *connection,
                                               const char *database,
                                               phantomdb_result **result,
                                               phantomdb_error *error);

/**
 * Commits the transaction that is open on this connection. `transaction_id` is its id, or NULL,
 * which means the same.
 *
 * `PHANTOMDB_ERR_INVALID_STATE` if no transaction is open, or one with another id.
 */
int32_t phantomdb_connection_commit_transaction(phantomdb_connection *connection,
                                                const char *transaction_id,
                                                phantomdb_result **result,
                                                phantomdb_error *error);

/**
 * Rolls back the transaction that is open on this connection. `transaction_id` is its id, or
 * NULL, which means the same.
 *
 * `PHANTOMDB_ERR_INVALID_STATE` if no transaction is open, or one with another id.
 */
int32_t phantomdb_connection_rollback_transaction(phantomdb_connection *connection,
                                                  const char *transaction_id,
                                                  phantomdb_result **result,
                                                  phantomdb_error *error);

/**
 * Runs an operation by its number: `operation` is one of `phantomdb_operation`, and `arguments`
 * has its `argument_count` texts. Otherwise like the function of the same name.
 *
 * `PHANTOMDB_ERR_INVALID_ARGUMENT` if the operation is unknown or does not take these arguments.
 */
int32_t phantomdb_connection_run(phantomdb_connection *connection,
                                 int32_t operation,
                                 const char *const *arguments,
                                 uint64_t argument_count,
                                 phantomdb_result **result,
                                 phantomdb_error *error);

/**
 * Sends a request that has no function of its own.
 *
 * `method` is GET, POST, PUT, DELETE ...; `path` begins with "/" and is sent unchanged, so
 * percent-encode what needs it; `body` is JSON, or NULL with length 0.
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
 * `parameters` is a JSON array with one value for each `?` of the statement, or NULL. On success
 * `*result` is the response, to be freed with `phantomdb_result_free`; on failure it is NULL.
 * `result` itself may be NULL.
 *
 * Errors: like `phantomdb_pool_acquire` and `phantomdb_connection_execute_query`.
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
 * `operation` is one of `phantomdb_operation`, and `arguments` has its `argument_count` texts.
 * On success `*result` is the response, to be freed with `phantomdb_result_free`; on failure it
 * is NULL. `result` itself may be NULL.
 *
 * Errors: like `phantomdb_pool_acquire` and the function of the operation's name;
 * `PHANTOMDB_ERR_INVALID_ARGUMENT` for an operation on transactions, which needs a connection
 * that you have acquired.
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
 * `method` is GET, POST, PUT, DELETE ...; `path` begins with "/" and is sent unchanged, so
 * percent-encode what needs it; `body` is JSON, or NULL with length 0. On success `*result` is
 * the response, to be freed with `phantomdb_result_free`; on failure it is NULL. `result` itself
 * may be NULL if the response does not matter.
 *
 * Errors: like `phantomdb_pool_acquire` and `phantomdb_connection_request`.
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
 * The response as JSON: for a select, the array of row objects; for a list, the array of names;
 * for a query, `{"columns":[names],"rows":[[values]],"rowCount":n,"affectedRows":n}` (if the
 * server did not send the numbers, the rows are counted, and `affectedRows` is null); otherwise
 * the whole object that the server sent.
 *
 * The text of a table or list is written when it is first asked for. `PHANTOMDB_ERR_TOO_LARGE`
 * if the rows of a query have so few columns in common that the text would be many times what
 * the server sent: read the cells instead.
 */
int32_t phantomdb_result_text(const phantomdb_result *result,
                              const char **text,
                              uint64_t *length,
                              phantomdb_error *error);

/** The number of rows of the table. */
int32_t phantomdb_result_row_count(const phantomdb_result *result,
                                   uint64_t *count,
                                   phantomdb_error *error);

/** The number of columns of the table. */
int32_t phantomdb_result_column_count(const phantomdb_result *result,
                                      uint64_t *count,
                                      phantomdb_error *error);

/** The name of a column; the first is column 0. */
int32_t phantomdb_result_column_name(const phantomdb_result *result,
                                     uint64_t column,
                                     const char **text,
                                     uint64_t *length,
                                     phantomdb_error *error);

/** The number of the column with this name; `PHANTOMDB_ERR_INVALID_ARGUMENT` if there is none. */
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
 * A cell as text: the characters of a string, the JSON of anything else, "" for null
 * (`phantomdb_result_cell_is_null` tells it from an empty string). Works for every cell.
 */
int32_t phantomdb_result_cell_text(const phantomdb_result *result,
                                   uint64_t row,
                                   uint64_t column,
                                   const char **text,
                                   uint64_t *length,
                                   phantomdb_error *error);

/**
 * Whether a cell has unpaired surrogates. JSON can contain half a pair, but UTF-8 can't: each is
 * the character U+FFFD in the text of a string, and an escape in nested JSON.
 */
int32_t phantomdb_result_cell_is_replaced(const phantomdb_result *result,
                                          uint64_t row,
                                          uint64_t column,
                                          bool *value,
                                          phantomdb_error *error);

/**
 * A cell as an integer. `PHANTOMDB_ERR_TYPE` if it is not a number that an int64_t holds
 * exactly.
 */
int32_t phantomdb_result_cell_int64(const phantomdb_result *result,
                                    uint64_t row,
                                    uint64_t column,
                                    int64_t *value,
                                    phantomdb_error *error);

/**
 * A cell as the nearest floating-point number. `PHANTOMDB_ERR_TYPE` if it is not a number, or is
 * out of range for a double, such as 1e400.
 */
int32_t phantomdb_result_cell_double(const phantomdb_result *result,
                                     uint64_t row,
                                     uint64_t column,
                                     double *value,
                                     phantomdb_error *error);

/**
 * A cell as true or false. The numbers 1 and 0 count as these, because SQL often has no others.
 * `PHANTOMDB_ERR_TYPE` for anything else.
 */
int32_t phantomdb_result_cell_bool(const phantomdb_result *result,
                                   uint64_t row,
                                   uint64_t column,
                                   bool *value,
                                   phantomdb_error *error);

/** The number of items of the list. */
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
 * as after an insert, or sent something other than a whole number of at least 0.
 */
int32_t phantomdb_result_affected_rows(const phantomdb_result *result,
                                       int64_t *count,
                                       phantomdb_error *error);

/**
 * How many rows there are according to the server, which may be more than it sent; if it does
 * not say, or sends something other than a whole number of at least 0, the number of rows that
 * it sent. Every binding calls this `rowCount`.
 */
int32_t phantomdb_result_reported_row_count(const phantomdb_result *result,
                                            int64_t *count,
                                            phantomdb_error *error);

/* ---- Results: many values in one call ---- */

/** As both row and column: the whole result; see `phantomdb_result_read_json`. */
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
     * A number with a fraction or exponent that is out of range for a double, such as 1e400:
     * `text` has it as it was sent.
     */
    PHANTOMDB_VALUE_BIG_NUMBER = 5,
    /** A string: `text` has its characters. */
    PHANTOMDB_VALUE_STRING = 6,
    /**
     * A JSON array or object in a cell: `text` has its JSON, and `phantomdb_result_read_json`
     * reads it.
     */
    PHANTOMDB_VALUE_JSON = 7,
    /** An array begins. Only `phantomdb_result_read_json` gives this kind and those below. */
    PHANTOMDB_VALUE_ARRAY = 8,
    /** An object begins. */
    PHANTOMDB_VALUE_OBJECT = 9,
    /** The name of a member of an object, in `text`. Its value comes next. */
    PHANTOMDB_VALUE_KEY = 10,
    /** The innermost array or object ends. */
    PHANTOMDB_VALUE_END = 11,
} phantomdb_value_kind;

/** The bits of `phantomdb_value.flags`. */
typedef enum phantomdb_value_flag {
    /**
     * `integer` is exactly the value: for a whole number that an int64_t holds, however it is
     * written (5, 5.0, 5e0); for true and false, 1 and 0.
     */
    PHANTOMDB_VALUE_HAS_INTEGER = 1,
    /** `number` is the nearest double: for every number that is in range. */
    PHANTOMDB_VALUE_HAS_DOUBLE = 2,
    /**
     * A cell, column or item has unpaired surrogates. JSON can contain half a pair, but UTF-8
     * can't: each is the character U+FFFD in `text`, and an escape in JSON.
     */
    PHANTOMDB_VALUE_REPLACED = 4,
} phantomdb_value_flag;

/**
 * A value of a result, as the functions give it that read many at once.
 *
 * These functions fill an array of yours with as many values as there are, or as there is room
 * for, and set `count` to their number. `position` is where they begin, and afterwards where the
 * next call continues: set it to 0 once, then leave it alone. When `count` is 0, there are no
 * more. So a program makes few calls for a result of any size, and gets each value with its
 * type, its text and, if it is a number, its value:
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
 * `phantomdb_result_read_columns` reads the names of the columns, `phantomdb_result_read_cells`
 * the cells, `phantomdb_result_read_items` the items of a list, and `phantomdb_result_read_json`
 * JSON of any shape.
 */
typedef struct phantomdb_value {
    /** One of `phantomdb_value_kind`. */
    int32_t kind;
    /** Bits of `phantomdb_value_flag`. */
    uint32_t flags;
    /** The row of a cell; otherwise 0. */
    uint64_t row;
    /** The column of a cell, or the number of a column or item; otherwise 0. */
    uint64_t column;
    /** With `PHANTOMDB_VALUE_HAS_INTEGER`: the value. Otherwise 0. */
    int64_t integer;
    /** With `PHANTOMDB_VALUE_HAS_DOUBLE`: the nearest double. Otherwise 0. */
    double number;
    /** UTF-8: the characters of a string, "" for null, the JSON of anything else. */
    const char *text;
    /** The length of `text` in bytes. */
    uint64_t length;
} phantomdb_value;

/**
 * Reads the names of the columns of a table, each once and in order, as
 * `PHANTOMDB_VALUE_STRING`. Two may be equal. Texts end with a NUL and are valid until the
 * result is freed.
 */
int32_t phantomdb_result_read_columns(const phantomdb_result *result,
                                      uint64_t *position,
                                      phantomdb_value *values,
                                      uint64_t capacity,
                                      uint64_t *count,
                                      phantomdb_error *error);

/**
 * Reads the cells of a table that the server sent, row by row, and by column within a row. A
 * null that it sent is among them; a cell that it left out of a row is not
 * (`phantomdb_result_cell_kind` says that it is null). A row may have no cells. Texts end with a
 * NUL and are valid until the result is freed.
 */
int32_t phantomdb_result_read_cells(const phantomdb_result *result,
                                    uint64_t *position,
                                    phantomdb_value *values,
                                    uint64_t capacity,
                                    uint64_t *count,
                                    phantomdb_error *error);

/**
 * Reads the items of a list, in order, as `PHANTOMDB_VALUE_STRING`. Texts end with a NUL and are
 * valid until the result is freed.
 */
int32_t phantomdb_result_read_items(const phantomdb_result *result,
                                    uint64_t *position,
                                    phantomdb_value *values,
                                    uint64_t capacity,
                                    uint64_t *count,
                                    phantomdb_error *error);

/**
 * Reads JSON of any shape as a sequence of values. An object is `PHANTOMDB_VALUE_OBJECT`, then
 * for each member `PHANTOMDB_VALUE_KEY` and its value, then `PHANTOMDB_VALUE_END`. An array is
 * `PHANTOMDB_VALUE_ARRAY`, its values, then `PHANTOMDB_VALUE_END`. At most 128 arrays and
 * objects are open at a time. If several members have the same name, all are given; the last one
 * counts.
 *
 * `row` and `column` name a cell of the kind `PHANTOMDB_VALUE_JSON`. If both are
 * `PHANTOMDB_WHOLE`, the JSON is that of `phantomdb_result_text`. `PHANTOMDB_ERR_TYPE` if it is
 * not JSON.
 *
 * Strings with escapes are decoded into `buffer`, which has `buffer_size` bytes. Texts don't end
 * with a NUL; they are valid until the buffer is used again or the result is freed. A buffer as
 * long as the JSON is always large enough. With a smaller one, a call may give fewer values than
 * `capacity`. If not even one string fits, it fails with `PHANTOMDB_ERR_INVALID_ARGUMENT`, and
 * the message and the `length` of the first value say how many bytes that string needs;
 * `position` is unchanged, so the call can be repeated. `buffer` may be NULL if no string has an
 * escape.
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

/** In place of a time: the pool's own, `acquire_timeout_ms` or `close_timeout_ms`. */
#define PHANTOMDB_POOL_TIMEOUT -1

/**
 * An asynchronous call in progress; `phantomdb_cancel` takes it.
 *
 * An asynchronous call returns at once, and passes its outcome to a callback later. All of them
 * have this in common:
 *
 * - If the call returns `PHANTOMDB_OK`, its callback runs exactly once: on a thread of the
 *   library, never within the call, with no lock of the library held. It may run before the call
 *   has returned (`*ticket` is set by then). If the call returns an error, the callback never
 *   runs.
 * - The callback's `error` is never NULL; its code is `PHANTOMDB_OK` on success. It is lent for
 *   the duration of the callback. The connection or result that the callback gets belongs to it,
 *   as if a blocking call had returned it, and is NULL unless the code is `PHANTOMDB_OK`.
 * - `user_data` is passed on unchanged. What it points to must live until the callback has run.
 * - `*ticket` names the call until its callback runs. It needs no freeing, and is harmless
 *   later. `ticket` may be NULL for a call that will not be cancelled.
 * - Texts, bytes and arrays that are passed in are copied: they need to live only during the
 *   call.
 * - A callback must not wait: acquire, requests and close are refused in it with
 *   `PHANTOMDB_ERR_WOULD_DEADLOCK`. It may make asynchronous calls, call
 *   `phantomdb_pool_try_acquire` and `phantomdb_pool_release`, read results and do anything else
 *   that does not wait. A slow callback delays others: pass long work on to another thread.
 * - A callback must return: it must not use longjmp, let an exception escape or end its thread.
 *
 * A call that waits for a connection takes no thread, and one thread of the pool serves all
 * requests in flight. A connection that has to be opened first, and a response of more than 64
 * KiB while it is read, take a thread of their own; there are at most `max_connections` of
 * these. They are kept for later calls, and end after 10 seconds without work. In a forked child
 * the calls of the parent do not exist: their callbacks do not run, and their tickets are
 * `PHANTOMDB_ERR_INVALID_HANDLE`.
 */
typedef struct phantomdb_ticket phantomdb_ticket;

/** The outcome of an acquire. `connection` is the callback's, to be released, or NULL. */
typedef void (*phantomdb_acquire_callback)(phantomdb_connection *connection,
                                           const phantomdb_error *error,
                                           void *user_data);

/** The outcome of a request. `result` is the callback's, to be freed, or NULL. */
typedef void (*phantomdb_result_callback)(phantomdb_result *result,
                                          const phantomdb_error *error,
                                          void *user_data);

/** The outcome of a close. */
typedef void (*phantomdb_close_callback)(const phantomdb_error *error, void *user_data);

/**
 * Acquires a connection without waiting for it.
 *
 * `timeout_ms` is how many milliseconds the acquire may take, or `PHANTOMDB_POOL_TIMEOUT`. The
 * callback gets the connection, or the error that `phantomdb_pool_acquire` would have returned,
 * or `PHANTOMDB_ERR_CANCELLED`. Callers are served in the order in which they came, together
 * with those that wait in `phantomdb_pool_acquire`.
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
 * Acquires a connection with the least overhead; for bindings to other languages.
 *
 * If a connection is free, it is in `*connection` when the call returns, and the callback does
 * not run. Otherwise `*connection` is NULL and the callback runs once, as after
 * `phantomdb_pool_acquire_async`, but on the thread that brings the outcome: a thread of the
 * library, or one that calls `phantomdb_pool_release`, `phantomdb_cancel`,
 * `phantomdb_pool_close` or another function, within that call. (Never within this call, and
 * never within another such callback.) This saves a change of threads. In return, the callback
 * must only record its arguments, and must not take a lock that is held around calls of this
 * library.
 *
 * If `callback` is NULL, nobody waits: `*connection` is NULL unless a connection is free that
 * needs no check, and a failure does not count as an acquire. For callers that try this before
 * they do something else.
 *
 * Errors: like `phantomdb_pool_acquire` (`PHANTOMDB_ERR_TIMEOUT` if the time was over before the
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
 * this. `operation`, `arguments` and `argument_count` are those of `phantomdb_pool_run`.
 *
 * The callback gets the response, or the error that `phantomdb_pool_run` would have returned, or
 * `PHANTOMDB_ERR_CANCELLED`.
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
 * this. `method`, `path`, `body` and `body_length` are those of `phantomdb_pool_request`.
 *
 * The callback and the errors are those of `phantomdb_pool_run_async`.
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
 * Runs one operation on a connection that you have acquired, without waiting for it.
 * `operation`, `arguments` and `argument_count` are those of `phantomdb_connection_run`.
 *
 * Asynchronous requests on one connection run one after the other, in the order in which they
 * were made. The connection may be released while they are in progress: it is back when they are
 * done. (Meanwhile a blocking request gets `PHANTOMDB_ERR_BUSY`, as does an asynchronous one
 * whose turn comes while a blocking one is in flight.)
 *
 * The callback gets the response, or the error that `phantomdb_connection_run` would have
 * returned. After `phantomdb_cancel` that is `PHANTOMDB_ERR_CANCELLED`, unless the response came
 * first; a request in flight is cut off, and the connection's next request opens a new socket.
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
 * Sends a request on a connection that you have acquired, without waiting for it. `method`,
 * `path`, `body` and `body_length` are those of `phantomdb_connection_request`.
 *
 * Otherwise like `phantomdb_connection_run_async`.
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
 * Cancels an asynchronous call. Its callback runs soon, with `PHANTOMDB_ERR_CANCELLED`, or with
 * the outcome if that came first. A request in flight is cut off, and it is unknown whether it
 * took effect. A call may be cancelled twice, and also when its callback is running or has run.
 *
 * Never waits, and may be called from any thread, also in a callback.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE`.
 */
int32_t phantomdb_cancel(phantomdb_ticket *ticket, phantomdb_error *error);

/**
 * Closes the pool like `phantomdb_pool_close_timeout`, without waiting for it. `timeout_ms` may
 * be `PHANTOMDB_POOL_TIMEOUT`.
 *
 * The callback is the last one of this pool, and gets what `phantomdb_pool_close` would have
 * returned. This function may be called in a callback. A blocking close that is called meanwhile
 * returns after the callback has run.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`, `PHANTOMDB_ERR_INVALID_HANDLE`;
 * `PHANTOMDB_ERR_OVERLOADED` if the system refuses a thread; the message says why. Nothing is
 * closed then.
 */
int32_t phantomdb_pool_close_async(phantomdb_pool *pool,
                                   int64_t timeout_ms,
                                   phantomdb_close_callback callback,
                                   void *user_data,
                                   phantomdb_error *error);

/* ---- Asynchronous calls in an event loop: completion queues ---- */

/**
 * Where asynchronous calls leave their outcomes for your event loop, instead of calling a
 * function of yours on a thread of the library.
 *
 * Wherever a call takes a callback and its `user_data`, pass `phantomdb_post_result()` (or
 * `phantomdb_post_connection()`, `phantomdb_post_close()`) and the address of a
 * `phantomdb_completion_target`, which names the queue. When the call is over, it adds one
 * `phantomdb_completion` to the queue and wakes your loop, which calls
 * `phantomdb_completion_queue_take` until it gets fewer completions than there is room for:
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
 *     } while (count == 16);
 *
 * The loop is woken by the function that was passed to `phantomdb_completion_queue_create`, by
 * the descriptor that `phantomdb_completion_queue_descriptor` returns, or by both. A thread with
 * nothing else to do may wait in `phantomdb_completion_queue_take` instead. A take that gets
 * fewer completions than there is room for has emptied the queue. The first completion after it
 * wakes the loop, and later ones don't until another take gets fewer than there is room for. So
 * always take until then. What completes between two takes, also by your own releases and
 * cancels, wakes nobody if the first filled its array; the second gets it.
 *
 * Any number of pools may share a queue, and a pool may use any number of queues. Every function
 * may be called from any thread; if several threads take, each completion goes to one of them.
 * Completions are in the order in which their calls ended. Each call that returned
 * `PHANTOMDB_OK` has exactly one, also after `phantomdb_cancel` and after its pool was closed.
 *
 * Create it with `phantomdb_completion_queue_create`, free it with
 * `phantomdb_completion_queue_free`. In a forked child a queue of the parent is
 * `PHANTOMDB_ERR_INVALID_HANDLE`: create another one there.
 */
typedef struct phantomdb_completion_queue phantomdb_completion_queue;

/**
 * Where the outcome of one asynchronous call goes. It is read during the call that it is passed
 * to, and need not live longer.
 */
typedef struct phantomdb_completion_target {
    /** The queue. */
    phantomdb_completion_queue *queue;
    /** Passed on unchanged, in `phantomdb_completion.user_data`. */
    void *user_data;
    /** For later versions; must be zero. */
    uint64_t reserved[2];
} phantomdb_completion_target;

/** The outcome of one asynchronous call; filled by `phantomdb_completion_queue_take`. */
typedef struct phantomdb_completion {
    /** The `user_data` of the call's `phantomdb_completion_target`. */
    void *user_data;
    /** After an acquire that succeeded: the connection, yours to release. Otherwise NULL. */
    phantomdb_connection *connection;
    /** The pool of that connection, where it is to be released. Otherwise NULL. */
    phantomdb_pool *pool;
    /** After a request that succeeded: its result, yours to free. Otherwise NULL. */
    phantomdb_result *result;
    /** For later versions; zero. */
    uint64_t reserved[4];
    /** Its `code` is `PHANTOMDB_OK`, or says why the call failed. */
    phantomdb_error error;
} phantomdb_completion;

/**
 * Wakes the loop that takes from a queue. It runs on the thread that brings the completion: one
 * of the library, or one of yours, within a call that ended another. So it must only wake the
 * loop, or record that there is something to take; it must call nothing of this library, and
 * return at once.
 */
typedef void (*phantomdb_wake_callback)(void *user_data);

/**
 * Returns the callback for `phantomdb_pool_acquire_async` and `phantomdb_pool_acquire_direct`
 * that posts the outcome to a queue. The `user_data` of the call is the address of a
 * `phantomdb_completion_target`, which is read during the call.
 *
 * A callback of your own may call it, too, to pass on its arguments.
 */
phantomdb_acquire_callback phantomdb_post_connection(void);

/**
 * Returns the callback for `phantomdb_pool_run_async` and all other asynchronous requests that
 * posts the outcome to a queue. Otherwise like `phantomdb_post_connection`.
 */
phantomdb_result_callback phantomdb_post_result(void);

/**
 * Returns the callback for `phantomdb_pool_close_async` that posts the outcome to a queue.
 * Otherwise like `phantomdb_post_connection`.
 */
phantomdb_close_callback phantomdb_post_close(void);

/**
 * Creates a queue. `wake` is called with `wake_user_data` to wake the loop that takes from it.
 * It may be NULL if the loop watches the queue's descriptor, or if a thread waits in
 * `phantomdb_completion_queue_take`.
 *
 * On success `*queue` is the new queue, to be freed with `phantomdb_completion_queue_free`; on
 * failure it is NULL.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT`.
 */
int32_t phantomdb_completion_queue_create(phantomdb_wake_callback wake,
                                          void *wake_user_data,
                                          phantomdb_completion_queue **queue,
                                          phantomdb_error *error);

/**
 * Gives the descriptor that becomes readable when the queue wakes its loop, for poll, epoll and
 * the like. It stays readable until a take gets fewer completions than there was room for. It is
 * the same one each time, and belongs to the library: only watch it.
 * `phantomdb_completion_queue_free` closes it.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE`; `PHANTOMDB_ERR_OVERLOADED` if the system has no
 * descriptor left.
 */
int32_t phantomdb_completion_queue_descriptor(phantomdb_completion_queue *queue,
                                              int32_t *descriptor,
                                              phantomdb_error *error);

/**
 * Takes completions, in the order in which they came, and fills `completions`, which has room
 * for `capacity` of them. `*count` is their number; if it is less than `capacity`, nothing is
 * left, and the next completion wakes the loop.
 *
 * If the queue is empty, it waits for the first completion, at most `timeout_ms` milliseconds.
 * With 0, which is what an event loop needs, it never waits.
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
 * Lets no completion wake the loop until a take gets fewer completions than there is room for.
 * For a loop that is at work, and will take before it sleeps: what its own releases and cancels
 * complete does not wake it then.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE`.
 */
int32_t phantomdb_completion_queue_defer_wake(phantomdb_completion_queue *queue,
                                              phantomdb_error *error);

/**
 * Frees a queue. Connections and results in it that nobody has taken are released and freed.
 * Calls that name the queue and are in progress go on, unless you cancel them, and what they
 * bring is released and freed, too. After this has returned, the wake function does not run any
 * more.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE` for NULL and for a queue that has already been freed;
 * `PHANTOMDB_ERR_WOULD_DEADLOCK` in the wake function, where it frees nothing.
 */
int32_t phantomdb_completion_queue_free(phantomdb_completion_queue *queue, phantomdb_error *error);

/* ---- Requests step by step, in an event loop of the program ---- */

/** How far a request has come that the program drives step by step; see `phantomdb_step.state`. */
typedef enum phantomdb_step_state {
    /** It is over: the call has returned its outcome. */
    PHANTOMDB_STEP_OVER = 0,
    /**
     * It waits for its socket. Call `phantomdb_connection_resume` when the socket is ready or
     * the time is over.
     */
    PHANTOMDB_STEP_WAITS = 1,
    /**
     * It has to open a socket, or `phantomdb_connection_resume_unread` has found a large response
     * to read, which takes a thread. Call `phantomdb_connection_finish_async`.
     */
    PHANTOMDB_STEP_NEEDS_THREAD = 2,
} phantomdb_step_state;

/**
 * What a request waits for that the program drives step by step.
 *
 * `phantomdb_connection_start` sends a request without waiting for its response, and
 * `phantomdb_connection_resume` continues it, again and again, until it is over. In between the
 * program watches a socket. No thread of the library takes part, and no callback runs. For a
 * program that has an event loop, as the runtimes of some languages do, this is the cheapest way
 * to make a request.
 *
 * No step waits. The step that receives the end of a response also reads the response, which
 * takes a few milliseconds per megabyte; `phantomdb_connection_resume_unread` leaves a large one
 * unread. A step that has much to send or receive does part of it, and says by `events` 0 that it
 * can go on at once. At any time the program may leave the rest of a request to the library, by
 * `phantomdb_connection_finish_async`.
 *
 * While such a request is in progress, another one on the same connection is refused with
 * `PHANTOMDB_ERR_BUSY`. `phantomdb_connection_interrupt` cuts it off: the socket becomes ready,
 * and the next `phantomdb_connection_resume` returns `PHANTOMDB_ERR_CANCELLED`. Releasing the
 * connection ends the request, too: its socket is closed, and an open transaction is rolled
 * back. Closing the pool cuts it off like any other request; so resume it, or release the
 * connection.
 */
typedef struct phantomdb_step {
    /**
     * One of `phantomdb_step_state`. Only `PHANTOMDB_STEP_WAITS` sets the members below;
     * otherwise they are 0.
     */
    int32_t state;
    /**
     * The descriptor to watch. It belongs to the library: do nothing but watch it, and not after
     * the request is over. To keep a descriptor for longer, ask
     * `phantomdb_connection_watch_socket` for a duplicate.
     */
    int32_t descriptor;
    /**
     * What to watch it for: `POLLIN`, or `POLLIN | POLLOUT`, from `<poll.h>`. 0: it can go on at
     * once.
     */
    int32_t events;
    /** For later versions; zero. */
    uint32_t reserved;
    /**
     * The number of the socket. No other socket of this process ever has it, whereas descriptors
     * are reused.
     */
    uint64_t socket;
    /** In how many milliseconds to resume at the latest, because its time is over then. */
    int64_t timeout_ms;
} phantomdb_step;

/**
 * A socket has been closed: its number, and the `user_data` that was passed with this function.
 * It runs on the thread that closes the socket, within any call, which may hold locks of the
 * library. It must only record that and wake another thread, call nothing of this library, and
 * return at once.
 */
typedef void (*phantomdb_socket_callback)(uint64_t socket, void *user_data);

/**
 * Starts an operation on a connection, and sends as much of it as can be sent without waiting.
 * `operation`, `arguments` and `argument_count` are those of `phantomdb_connection_run`.
 *
 * On success `step` says how it goes on. If it is over, `*result` is the response, to be freed
 * with `phantomdb_result_free`; otherwise it is NULL. After an error it is over.
 *
 * Errors: like `phantomdb_connection_run`; `PHANTOMDB_ERR_BUSY` if a request is already in
 * progress.
 */
int32_t phantomdb_connection_start(phantomdb_connection *connection,
                                   int32_t operation,
                                   const char *const *arguments,
                                   uint64_t argument_count,
                                   phantomdb_step *step,
                                   phantomdb_result **result,
                                   phantomdb_error *error);

/**
 * Starts a request that has no function of its own. `method`, `path`, `body` and `body_length`
 * are those of `phantomdb_connection_request`.
 *
 * Otherwise like `phantomdb_connection_start`.
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
 * Continues the request that was started on this connection, as far as that is possible without
 * waiting. It may be called at any time; if it is too early, nothing changes.
 *
 * `step`, `result` and the errors are those of `phantomdb_connection_start`; also
 * `PHANTOMDB_ERR_INVALID_STATE` if no request was started.
 */
int32_t phantomdb_connection_resume(phantomdb_connection *connection,
                                    phantomdb_step *step,
                                    phantomdb_result **result,
                                    phantomdb_error *error);

/**
 * Like `phantomdb_connection_resume`, but does not read a response of more than 64 KiB, so that
 * this takes some ten microseconds at most. The request needs a thread then
 * (`PHANTOMDB_STEP_NEEDS_THREAD`). For event loops that nothing may hold up.
 */
int32_t phantomdb_connection_resume_unread(phantomdb_connection *connection,
                                           phantomdb_step *step,
                                           phantomdb_result **result,
                                           phantomdb_error *error);

/**
 * Finishes the request that was started on this connection, however far it has come, on a thread
 * of the library. It is for a request that needs a thread (`PHANTOMDB_STEP_NEEDS_THREAD`), and
 * for a program that does not want to go on with one itself: because it has another request for
 * the connection, which then follows this one, or because it releases the connection, which then
 * is free when this is over.
 *
 * Otherwise like `phantomdb_connection_run_async`; `PHANTOMDB_ERR_INVALID_STATE` if there is no
 * such request.
 */
int32_t phantomdb_connection_finish_async(phantomdb_connection *connection,
                                          phantomdb_result_callback callback,
                                          void *user_data,
                                          phantomdb_ticket **ticket,
                                          phantomdb_error *error);

/**
 * Finishes the request that was started on this connection, however far it has come, and waits
 * for it on this thread. For programs that can't watch its socket, for lack of descriptors, for
 * example.
 *
 * Otherwise like `phantomdb_connection_run`; `PHANTOMDB_ERR_INVALID_STATE` if no request was
 * started. `phantomdb_connection_interrupt` cuts it off.
 */
int32_t phantomdb_connection_finish(phantomdb_connection *connection,
                                    phantomdb_result **result,
                                    phantomdb_error *error);

/**
 * Duplicates the descriptor of the socket that a request waits for (`PHANTOMDB_STEP_WAITS`). The
 * program may watch the duplicate for as many requests as the socket serves, and has to close
 * it. It does not keep the connection open: when the library closes the socket, the duplicate
 * becomes ready, and `closed` is called, exactly once for each call of this function that
 * returned `PHANTOMDB_OK`, possibly before it has returned. `closed` may be NULL. It is not
 * called in a forked child.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_STATE` if no request is waiting; `PHANTOMDB_ERR_OVERLOADED` if
 * the system has no descriptor left: the request goes on, and `phantomdb_connection_finish` can
 * finish it.
 */
int32_t phantomdb_connection_watch_socket(phantomdb_connection *connection,
                                          phantomdb_socket_callback closed,
                                          void *user_data,
                                          int32_t *descriptor,
                                          phantomdb_error *error);

/* ---- Status and statistics ---- */

/**
 * The numbers of a pool at one moment. Fill it once with `phantomdb_status_init`, then pass it
 * to `phantomdb_pool_status` as often as you like.
 */
typedef struct phantomdb_status {
    /** Set by `phantomdb_status_init`; leave it alone. */
    uint32_t struct_size;
    /** Connections that can be handed out at once. */
    uint32_t available;
    /** Connections that callers have acquired. */
    uint32_t used;
    /** Callers that are waiting for a connection. */
    uint32_t pending;
    /** All connections: available, used, and those being opened, checked, cleaned or closed. */
    uint32_t total;
    /** The option `min_connections`. */
    uint32_t min;
    /** The option `max_connections`. */
    uint32_t max;
} phantomdb_status;

/**
 * Prepares `status` for `phantomdb_pool_status`. Pass `sizeof(phantomdb_status)` as
 * `struct_size`.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_ARGUMENT` if `status` is NULL or no version has this size;
 * nothing is written then.
 */
int32_t phantomdb_status_init(phantomdb_status *status, uint32_t struct_size);

/**
 * Fills `status` with the current numbers. Never waits for the network.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`;
 * `PHANTOMDB_ERR_INVALID_ARGUMENT` if `status` was not prepared by `phantomdb_status_init`.
 */
int32_t phantomdb_pool_status(phantomdb_pool *pool,
                              phantomdb_status *status,
                              phantomdb_error *error);

/**
 * The current numbers as JSON:
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
 * What the pool has done so far, as JSON: acquires by outcome, histograms of how long acquiring
 * and using connections took, connections created and closed by reason, and how long the oldest
 * waiter has waited. Reading it delays nobody.
 *
 * On success `*result` holds the text, to be freed with `phantomdb_result_free`.
 *
 * Errors: `PHANTOMDB_ERR_INVALID_HANDLE`, `PHANTOMDB_ERR_CLOSED`.
 */
int32_t phantomdb_pool_stats_json(phantomdb_pool *pool,
                                  phantomdb_result **result,
                                  phantomdb_error *error);

/**
 * The statistics and the status as OpenMetrics text, for Prometheus and similar tools.
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
