/*
 * A pool and the children of its process (rule 20). Usage: fork PORT SCHEME [CA_FILE]
 *
 * Every process asks for the tables of a database that has its own number as its name and does
 * not exist: the response, a 404, shows a round trip, and the relay sees on each connection whose
 * requests it carries.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <phantomdb.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "relay.h"

enum { WORKERS = 4, OPEN = 7, FORKS = 20, MANY = 1000 };

static phantomdb_pool_options options;
static phantomdb_pool *pool;
static phantomdb_connection *held;
/* A call of the first process that waits for a connection all the time. */
static phantomdb_ticket *waiting;
static phantomdb_pool *narrow;
static phantomdb_connection *in_the_way;
/* A request of the first process that is carried on step by step, and is not over all the time. */
static phantomdb_pool *stepping;
static phantomdb_connection *begun;
static phantomdb_step next_step;
static atomic_bool is_over;
static atomic_uint asked;
static atomic_uint failures;
/* Connections that this process opened for other pools. */
static unsigned others;

#define CHECK(condition, ...)                                              \
    do {                                                                   \
        if (!(condition)) {                                                \
            failures++;                                                    \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                  \
            fputc('\n', stderr);                                           \
        }                                                                  \
    } while (0)

static void path_of_this_process(char path[64]) {
    snprintf(path, 64, "/databases/p%d/tables", (int)getpid());
}

static bool ask(void) {
    char path[64];
    phantomdb_error error;
    path_of_this_process(path);
    phantomdb_pool_request(pool, "GET", path, NULL, 0, NULL, &error);
    CHECK(error.http_status == 404, "%s", error.message);
    asked++;
    return error.http_status == 404;
}

/* What a callback was told, for the thread that waits for it. */
struct told {
    pthread_mutex_t lock;
    pthread_cond_t told;
    bool has_run;
    phantomdb_error error;
};

static void on_result(phantomdb_result *result, const phantomdb_error *error, void *user_data) {
    struct told *it = user_data;
    (void)result;
    pthread_mutex_lock(&it->lock);
    it->error = *error;
    it->has_run = true;
    pthread_cond_signal(&it->told);
    pthread_mutex_unlock(&it->lock);
}

static struct told waits = {.lock = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER};

static bool ask_without_waiting(void) {
    struct told it = {.lock = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER};
    char path[64];
    phantomdb_error error;
    path_of_this_process(path);
    int code = phantomdb_pool_request_async(pool, "GET", path, NULL, 0, on_result, &it, NULL, &error);
    CHECK(code == PHANTOMDB_OK, "%s", error.message);
    pthread_mutex_lock(&it.lock);
    while (code == PHANTOMDB_OK && !it.has_run) pthread_cond_wait(&it.told, &it.lock);
    pthread_mutex_unlock(&it.lock);
    CHECK(it.error.http_status == 404, "%s", it.error.message);
    asked++;
    return it.error.http_status == 404;
}

static bool ask_on(phantomdb_connection *connection) {
    char path[64];
    phantomdb_error error;
    path_of_this_process(path);
    phantomdb_connection_request(connection, "GET", path, NULL, 0, NULL, &error);
    CHECK(error.http_status == 404, "%s", error.message);
    return error.http_status == 404;
}

static void begin(phantomdb_connection *connection, phantomdb_step *step) {
    char path[64];
    phantomdb_error error;
    path_of_this_process(path);
    phantomdb_connection_start_request(connection, "GET", path, NULL, 0, step, NULL, &error);
    CHECK(error.code == PHANTOMDB_OK && step->state == PHANTOMDB_STEP_WAITS, "%s", error.message);
}

static void carry_on(phantomdb_connection *connection, phantomdb_step *step) {
    phantomdb_error error = {0};
    while (step->state == PHANTOMDB_STEP_WAITS) {
        struct pollfd socket = {.fd = step->descriptor, .events = (short)step->events};
        if (step->events != 0) poll(&socket, 1, (int)step->timeout_ms);
        phantomdb_connection_resume(connection, step, NULL, &error);
    }
    CHECK(error.http_status == 404, "%s", error.message);
}

static void ask_step_by_step(void) {
    phantomdb_connection *connection;
    phantomdb_error error;
    phantomdb_step step = {0};
    CHECK(phantomdb_pool_acquire(pool, &connection, &error) == PHANTOMDB_OK, "%s", error.message);
    /* It has a socket from then on. */
    ask_on(connection);
    begin(connection, &step);
    carry_on(connection, &step);
    CHECK(phantomdb_pool_release(pool, connection, &error) == PHANTOMDB_OK, "%s", error.message);
}

static void *ask_until_over(void *unused) {
    (void)unused;
    while (!is_over && ask()) {
    }
    return NULL;
}

static void *ask_without_waiting_until_over(void *unused) {
    (void)unused;
    while (!is_over && ask_without_waiting()) {
    }
    return NULL;
}

static void *ask_half_of_many(void *unused) {
    (void)unused;
    for (int i = 0; i < MANY / 2 && (i % 2 == 0 ? ask() : ask_without_waiting()); i++) {
    }
    return NULL;
}

/* The parent's threads do the most of it. */
static void ask_many_with_workers(void) {
    unsigned enough = asked + MANY;
    while (asked < enough && ask()) {
    }
}

static void ask_many_in_two_threads(void) {
    pthread_t second;
    pthread_create(&second, NULL, ask_half_of_many, NULL);
    ask_half_of_many(NULL);
    pthread_join(second, NULL);
}

static int sockets(void) {
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char target[64] = "";
        if (readlinkat(dirfd(folder), entry->d_name, target, sizeof target - 1) > 0 &&
            strncmp(target, "socket:", 7) == 0) {
            count++;
        }
    }
    closedir(folder);
    return count;
}

static phantomdb_status status_now(void) {
    phantomdb_status status;
    phantomdb_error error;
    phantomdb_status_init(&status, sizeof status);
    CHECK(phantomdb_pool_status(pool, &status, &error) == PHANTOMDB_OK, "%s", error.message);
    return status;
}

static void is_like_new(void) {
    phantomdb_error error;
    phantomdb_status status = status_now();
    CHECK(status.available == status.min && status.used == 0 && status.pending == 0,
          "%u available, %u used, %u pending", status.available, status.used, status.pending);
    CHECK(sockets() == 0, "%d sockets of the parent", sockets());
    int code = phantomdb_connection_list_databases(held, NULL, &error);
    CHECK(code == PHANTOMDB_ERR_INVALID_HANDLE, "request: %d", code);
    phantomdb_step step = next_step;
    code = phantomdb_connection_resume(begun, &step, NULL, &error);
    CHECK(code == PHANTOMDB_ERR_INVALID_HANDLE, "resume: %d", code);
    code = phantomdb_connection_interrupt(held, &error);
    CHECK(code == PHANTOMDB_ERR_INVALID_HANDLE, "interrupt: %d", code);
    code = phantomdb_pool_release(pool, held, &error);
    CHECK(code == PHANTOMDB_ERR_INVALID_HANDLE, "release: %d", code);
    code = phantomdb_cancel(waiting, &error);
    CHECK(code == PHANTOMDB_ERR_INVALID_HANDLE, "cancel: %d", code);
    CHECK(!waits.has_run, "a callback of the parent ran in the child");
}

static void close_pool(void) {
    phantomdb_error error;
    CHECK(phantomdb_pool_close(pool, &error) == PHANTOMDB_OK, "%s", error.message);
    CHECK(sockets() == 0, "%d sockets are left", sockets());
}

/* What a child does; its failures are its exit status. */
typedef void child_work(void);

static pid_t fork_child(child_work *work) {
    pid_t child = fork();
    if (child != 0) return child;
    failures = 0;
    work();
    /* Not _exit: whatever the library does at exit must leave the parent alone. */
    exit(failures == 0 ? 0 : 1);
}

static void wait_for_child(pid_t child) {
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0, "the child ended with %x", status);
}

static void goes_on(void) {
    is_like_new();
    ask_step_by_step();
    ask_many_in_two_threads();
    close_pool();
}

static void forks_again(void) {
    is_like_new();
    for (int i = 0; i < 50; i++) ask();
    pid_t grandchild = fork_child(goes_on);
    ask_many_in_two_threads();
    wait_for_child(grandchild);
    close_pool();
}

static void never_uses_the_pool(void) {}

static void closes_at_once(void) {
    phantomdb_error error;
    close_pool();
    int code = phantomdb_pool_request(pool, "GET", "/", NULL, 0, NULL, &error);
    CHECK(code == PHANTOMDB_ERR_CLOSED, "%d", code);
}

static void drops_what_it_cannot_use(void) {
    phantomdb_connection *own;
    phantomdb_error error;
    CHECK(phantomdb_pool_discard(pool, held, &error) == PHANTOMDB_ERR_INVALID_HANDLE, "%s", error.message);
    CHECK(phantomdb_pool_acquire(pool, &own, &error) == PHANTOMDB_OK, "%s", error.message);
    /* Ends with a lease of its own out. */
    ask_on(own);
}

static phantomdb_pool *closing;

static void *close_the_other(void *unused) {
    phantomdb_error error;
    (void)unused;
    CHECK(phantomdb_pool_close(closing, &error) == PHANTOMDB_OK, "%s", error.message);
    return NULL;
}

static void finds_the_other_closed(void) {
    phantomdb_connection *connection;
    phantomdb_error error;
    int code = phantomdb_pool_acquire(closing, &connection, &error);
    CHECK(code == PHANTOMDB_ERR_CLOSED, "%d", code);
    CHECK(phantomdb_pool_close(closing, &error) == PHANTOMDB_OK, "%s", error.message);
    goes_on();
}

static void rule_20_each_of_20_children_goes_on(void) {
    pid_t children[FORKS];
    for (int i = 0; i < FORKS; i++) {
        children[i] = fork_child(goes_on);
        ask_many_with_workers();
    }
    for (int i = 0; i < FORKS; i++) wait_for_child(children[i]);
}

static void with_one_kind_of_child(child_work *work, int times) {
    for (int i = 0; i < times; i++) {
        pid_t child = fork_child(work);
        ask_many_with_workers();
        wait_for_child(child);
    }
}

static void rule_20_children_fork(void) { with_one_kind_of_child(forks_again, 3); }
static void rule_20_children_never_use_it(void) { with_one_kind_of_child(never_uses_the_pool, 5); }
static void rule_20_children_close_it(void) { with_one_kind_of_child(closes_at_once, 5); }
static void rule_20_children_keep_a_lease(void) { with_one_kind_of_child(drops_what_it_cannot_use, 5); }

static void rule_20_a_thread_sits_in_close(void) {
    phantomdb_connection *out, *other;
    phantomdb_error error;
    pthread_t closer;
    CHECK(phantomdb_pool_create(&options, &closing, &error) == PHANTOMDB_OK, "%s", error.message);
    CHECK(phantomdb_pool_acquire(closing, &out, &error) == PHANTOMDB_OK, "%s", error.message);
    ask_on(out);
    others++;
    pthread_create(&closer, NULL, close_the_other, NULL);
    while (phantomdb_pool_try_acquire(closing, &other, &error) != PHANTOMDB_ERR_CLOSED) {
        if (error.code == PHANTOMDB_OK) phantomdb_pool_release(closing, other, &error);
        sched_yield();
    }
    with_one_kind_of_child(finds_the_other_closed, 3);
    /* It works until the time-out of the close, and its release ends the wait. */
    ask_on(out);
    CHECK(phantomdb_pool_release(closing, out, &error) == PHANTOMDB_OK, "%s", error.message);
    pthread_join(closer, NULL);
}

static void open_connections(void) {
    phantomdb_connection *all[OPEN];
    phantomdb_error error;
    for (int i = 0; i < OPEN; i++) {
        CHECK(phantomdb_pool_acquire(pool, &all[i], &error) == PHANTOMDB_OK, "%s", error.message);
        ask_on(all[i]);
    }
    held = all[0];
    phantomdb_pool_options one = options;
    one.min_connections = one.max_connections = 1;
    one.acquire_timeout_ms = 3600000;
    CHECK(phantomdb_pool_create(&one, &narrow, &error) == PHANTOMDB_OK, "%s", error.message);
    CHECK(phantomdb_pool_acquire(narrow, &in_the_way, &error) == PHANTOMDB_OK, "%s", error.message);
    CHECK(phantomdb_pool_run_async(narrow, PHANTOMDB_HEALTH_CHECK, NULL, 0, on_result, &waits,
                                   &waiting, &error) == PHANTOMDB_OK, "%s", error.message);
    for (int i = 1; i < OPEN; i++) phantomdb_pool_release(pool, all[i], NULL);
    one.request_timeout_ms = 3600000;
    CHECK(phantomdb_pool_create(&one, &stepping, &error) == PHANTOMDB_OK, "%s", error.message);
    CHECK(phantomdb_pool_acquire(stepping, &begun, &error) == PHANTOMDB_OK, "%s", error.message);
    ask_on(begun);
    others++;
    begin(begun, &next_step);
}

/* Nothing that children did shows on the connections of this process, which are the first. */
static void the_parents_connections_are_untouched(const struct relay *relay) {
    phantomdb_status status = status_now();
    CHECK(status.total == OPEN, "the parent has %u connections", status.total);
    unsigned own = 0;
    for (unsigned i = 0; i < relay->accepted; i++) {
        const struct relay_connection *seen = &relay->connections[i];
        CHECK(i >= OPEN || !seen->ended, "connection %u ended", i);
        CHECK(!seen->spoiled, "connection %u carried something odd", i);
        own += seen->owner == getpid();
    }
    CHECK(!relay->is_plain || own == OPEN + others, "the parent has opened %u connections", own);
    CHECK(ask_on(held), "the held connection");
}

static unsigned passed;
static unsigned failed;

static void run(const char *name, void (*scenario)(void), const struct relay *relay) {
    failures = 0;
    scenario();
    the_parents_connections_are_untouched(relay);
    printf("%s %s\n", failures == 0 ? "ok     " : "FAILED ", name);
    if (failures == 0) passed++;
    else failed++;
}

int main(int count, char **arguments) {
    if (count < 3) return 2;
    bool is_plain = strcmp(arguments[2], "http") == 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    struct relay *relay = relay_start((uint16_t)atoi(arguments[1]), is_plain);
    char url[64];
    snprintf(url, sizeof url, "%s://localhost:%u", arguments[2], relay->port);

    phantomdb_error error;
    phantomdb_pool_options_init(&options, sizeof options);
    options.base_url = url;
    options.close_timeout_ms = 60000;
    /* On a slow machine, or under valgrind, some are idle for long. */
    options.idle_timeout_ms = 0;
    if (count > 3) options.tls_ca_file = arguments[3];
    if (phantomdb_pool_create(&options, &pool, &error) != PHANTOMDB_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    open_connections();
    pthread_t workers[WORKERS];
    for (int i = 0; i < WORKERS; i++) {
        pthread_create(&workers[i], NULL,
                       i % 2 == 0 ? ask_until_over : ask_without_waiting_until_over, NULL);
    }

    run("20 forks, and parent and children go on", rule_20_each_of_20_children_goes_on, relay);
    run("children that fork", rule_20_children_fork, relay);
    run("children that never use the pool", rule_20_children_never_use_it, relay);
    run("children that close the pool", rule_20_children_close_it, relay);
    run("children that end with a lease", rule_20_children_keep_a_lease, relay);
    run("a fork while a thread sits in close", rule_20_a_thread_sits_in_close, relay);

    failures = 0;
    is_over = true;
    for (int i = 0; i < WORKERS; i++) pthread_join(workers[i], NULL);
    CHECK(phantomdb_pool_release(pool, held, &error) == PHANTOMDB_OK, "%s", error.message);
    CHECK(!waits.has_run, "%s", waits.error.message);
    CHECK(phantomdb_cancel(waiting, &error) == PHANTOMDB_OK, "%s", error.message);
    CHECK(phantomdb_pool_release(narrow, in_the_way, &error) == PHANTOMDB_OK, "%s", error.message);
    CHECK(phantomdb_pool_close(narrow, &error) == PHANTOMDB_OK, "%s", error.message);
    CHECK(waits.error.code == PHANTOMDB_ERR_CANCELLED, "%s", waits.error.message);
    carry_on(begun, &next_step);
    CHECK(phantomdb_pool_release(stepping, begun, &error) == PHANTOMDB_OK, "%s", error.message);
    CHECK(phantomdb_pool_close(stepping, &error) == PHANTOMDB_OK, "%s", error.message);
    close_pool();
    if (failures == 0) passed++;
    else failed++;
    relay_stop(relay);
    printf("%u passed, %u failed\n", passed, failed);
    return failed != 0;
}
