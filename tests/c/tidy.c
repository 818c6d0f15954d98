/* A program that uses what there is and leaves nothing behind: valgrind finds nothing in it that is lost,
 * nor that may be. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "devserver.h"
#include "support.h"

static devserver server;
static atomic_int callbacks;

static void on_result(phantomdb_result *result, const phantomdb_error *error, void *user_data) {
    (void)user_data;
    CHECK_INT(error->code, PHANTOMDB_OK);
    phantomdb_result_free(result);
    callbacks++;
}

static void *wait_in_vain(void *pool) {
    phantomdb_connection *connection = NULL;
    phantomdb_error error;
    CHECK_CODE(phantomdb_pool_acquire_timeout(pool, 50, &connection, &error), PHANTOMDB_ERR_TIMEOUT,
               &error, "Timeout");
    return NULL;
}

static void a_tidy_program(void) {
    char url[64];
    /* A name, so that it is looked up. */
    snprintf(url, sizeof url, "http://localhost%s", strrchr(server.url, ':'));
    phantomdb_pool_options options = options_for(url);
    options.max_connections = 1;
    options.min_connections = 1;
    phantomdb_pool *pool = new_pool(&options);
    phantomdb_error error;
    phantomdb_result *result;
    CHECK_OK(phantomdb_pool_request(pool, "GET", "/databases", NULL, 0, &result, &error), &error);
    phantomdb_result_free(result);
    phantomdb_connection *connection = acquired(pool);
    pthread_t thread;
    CHECK_INT(pthread_create(&thread, NULL, wait_in_vain, pool), 0);
    wait_in_vain(pool);
    pthread_join(thread, NULL);
    released(pool, connection);
    CHECK_OK(phantomdb_pool_request_async(pool, "GET", "/health", NULL, 0, on_result, NULL, NULL,
                                          &error),
             &error);
    EVENTUALLY(callbacks == 1);
    closed(pool);
}

int main(void) {
    server = devserver_start(NULL);
    check_run("a tidy program", a_tidy_program);
    devserver_stop(&server);
    return check_end();
}
