/* Threads that are cancelled (pthread_cancel) in the midst of a call, and a system that refuses what
 * asynchronous calls need. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "devserver.h"
#include "fake_server.h"
#include "support.h"

static devserver server;

/* What a thread does that is to be cancelled meanwhile. */
typedef struct doomed {
    phantomdb_pool *pool;
    phantomdb_connection *connection;
    int32_t code;
    _Atomic bool has_begun;
    _Atomic bool has_returned;
} doomed;

/* Starts a thread, cancels it once it has begun and `is_inside`, and sees it end after its call. */
static void cancel_within(doomed *it, void *(*run)(void *), bool (*is_inside)(doomed *)) {
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, run, it), 0);
    EVENTUALLY(it->has_begun && is_inside(it));
    CHECK_INT(pthread_cancel(thread), 0);
    void *end = NULL;
    CHECK_INT(pthread_join(thread, &end), 0);
    CHECK(end == PTHREAD_CANCELED);
    CHECK(it->has_returned);
}

static bool waits(doomed *it) { return status_of(it->pool).pending == 1; }

static void *acquire(void *argument) {
    doomed *it = argument;
    it->has_begun = true;
    it->code = phantomdb_pool_acquire_timeout(it->pool, 300, &it->connection, NULL);
    it->has_returned = true;
    pthread_testcancel();
    return NULL;
}

static void a_cancelled_thread_ends_after_its_acquire(void) {
    phantomdb_pool_options options = options_for(server.url);
    options.min_connections = options.max_connections = 1;
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_connection *held = acquired(pool);
    doomed it = {.pool = pool};
    cancel_within(&it, acquire, waits);
    CHECK_INT(it.code, PHANTOMDB_ERR_TIMEOUT);
    released(pool, held);
    at_rest(pool);
    closed(pool);
}

static bool is_in_request(doomed *it) {
    (void)it;
    return true;
}

static void *request(void *argument) {
    doomed *it = argument;
    it->has_begun = true;
    it->code = phantomdb_pool_request(it->pool, "GET", "/silence", NULL, 0, NULL, NULL);
    it->has_returned = true;
    pthread_testcancel();
    return NULL;
}

static void a_cancelled_thread_ends_after_its_request(void) {
    const fake_step never = {NULL, 0, FAKE_HOLD, NULL};
    fake_server *silent = fake_server_start(&never, 1);
    phantomdb_pool_options options = options_for(fake_server_url(silent));
    options.request_timeout_ms = 300;
    phantomdb_pool *pool = new_pool(&options);
    doomed it = {.pool = pool};
    cancel_within(&it, request, is_in_request);
    CHECK_INT(it.code, PHANTOMDB_ERR_TIMEOUT);
    closed(pool);
    fake_server_stop(silent);
}

static void give_back(void *argument) {
    doomed *it = argument;
    if (it->connection != NULL) phantomdb_pool_release(it->pool, it->connection, NULL);
}

/* Uses the pool until it is cancelled, wherever that is. */
static void *work(void *argument) {
    doomed *it = argument;
    it->has_begun = true;
    pthread_cleanup_push(give_back, it);
    for (;;) {
        if (phantomdb_pool_acquire(it->pool, &it->connection, NULL) == PHANTOMDB_OK) {
            phantomdb_connection_health_check(it->connection, NULL, NULL);
            phantomdb_connection *connection = it->connection;
            it->connection = NULL;
            phantomdb_pool_release(it->pool, connection, NULL);
        }
        phantomdb_pool_request(it->pool, "GET", "/databases", NULL, 0, NULL, NULL);
        pthread_testcancel();
    }
    pthread_cleanup_pop(0);
    return NULL;
}

static void nothing_is_lost_of_threads_that_are_cancelled_anywhere(void) {
    enum { AT_ONCE = 8 };
    phantomdb_pool_options options = options_for(server.url);
    options.max_connections = 3;
    phantomdb_pool *pool = new_pool(&options);
    for (int64_t round = setting("ROUNDS", 10); round > 0; round--) {
        pthread_t threads[AT_ONCE];
        doomed all[AT_ONCE];
        memset(all, 0, sizeof all);
        for (int i = 0; i < AT_ONCE; i++) {
            all[i].pool = pool;
            CHECK_INT(pthread_create(&threads[i], NULL, work, &all[i]), 0);
        }
        for (int i = 0; i < AT_ONCE; i++) {
            EVENTUALLY(all[i].has_begun);
            CHECK_INT(pthread_cancel(threads[i]), 0);
        }
        for (int i = 0; i < AT_ONCE; i++) {
            void *end = NULL;
            CHECK_INT(pthread_join(threads[i], &end), 0);
            CHECK(end == PTHREAD_CANCELED);
        }
        at_rest(pool);
    }
    closed(pool);
}

static void never(phantomdb_result *result, const phantomdb_error *error, void *user_data) {
    (void)result, (void)error, (void)user_data;
    check_fail(__FILE__, __LINE__, "the callback of a call that was refused runs");
}

/* Runs `refuse` and then an asynchronous call in a process of its own; that says what is wrong. */
static void refused(bool (*refuse)(void), const char *why, bool is_retriable) {
    pid_t child = fork();
    if (child == 0) {
        phantomdb_pool_options options = options_for(server.url);
        phantomdb_pool *pool = new_pool(&options);
        int before = check_failures();
        CHECK(refuse());
        phantomdb_error error;
        int32_t code =
            phantomdb_pool_request_async(pool, "GET", "/health", NULL, 0, never, NULL, NULL, &error);
        CHECK_CODE(code, PHANTOMDB_ERR_OVERLOADED, &error, why);
        CHECK_INT(error.retriable, is_retriable);
        _exit(check_failures() == before ? 0 : 1);
    }
    int status = 0;
    CHECK_INT(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static bool forbid_epoll(void) {
    struct sock_filter program[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_epoll_create1, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof program / sizeof *program, program};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

static bool use_up_descriptors(void) {
    struct rlimit few;
    if (getrlimit(RLIMIT_NOFILE, &few) != 0) return false;
    few.rlim_cur = 3;
    return setrlimit(RLIMIT_NOFILE, &few) == 0;
}

static void what_the_system_refuses_is_said(void) {
    refused(forbid_epoll, "Operation not permitted", false);
    refused(use_up_descriptors, "Too many open files", true);
}

int main(void) {
    server = devserver_start(NULL);
    check_run("a cancelled thread ends after its acquire", a_cancelled_thread_ends_after_its_acquire);
    check_run("a cancelled thread ends after its request", a_cancelled_thread_ends_after_its_request);
    check_run("nothing is lost of threads that are cancelled anywhere",
              nothing_is_lost_of_threads_that_are_cancelled_anywhere);
    check_run("what the system refuses is said", what_the_system_refuses_is_said);
    devserver_stop(&server);
    return check_end();
}
