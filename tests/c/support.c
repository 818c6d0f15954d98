#include "support.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t setting(const char *name, int64_t otherwise) {
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? strtoll(value, NULL, 10) : otherwise;
}

int64_t slack_ms(void) {
    return setting("SLACK_MS", 1000);
}

static int entries(const char *folder) {
    DIR *listing = opendir(folder);
    if (listing == NULL) return -1;
    int count = 0;
    for (struct dirent *entry; (entry = readdir(listing)) != NULL;) {
        count += entry->d_name[0] != '.';
    }
    closedir(listing);
    return count;
}

int thread_count(void) {
    return entries("/proc/self/task");
}

int settled_thread_count(int wanted) {
    int64_t until = now_ms() + WAIT_LIMIT_MS;
    while (thread_count() != wanted && now_ms() < until) look_again();
    return thread_count();
}

int descriptor_count(void) {
    return entries("/proc/self/fd");
}

void look_again(void) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

phantomdb_pool_options options_for(const char *url) {
    phantomdb_pool_options options;
    if (phantomdb_pool_options_init(&options, sizeof options) != PHANTOMDB_OK) {
        fputs("this phantomdb.h and this library do not belong together\n", stderr);
        exit(1);
    }
    options.base_url = url;
    return options;
}

phantomdb_status status_of(phantomdb_pool *pool) {
    phantomdb_status status;
    phantomdb_error error;
    CHECK_INT(phantomdb_status_init(&status, sizeof status), PHANTOMDB_OK);
    CHECK_OK(phantomdb_pool_status(pool, &status, &error), &error);
    return status;
}

phantomdb_pool *new_pool(const phantomdb_pool_options *options) {
    phantomdb_pool *pool = NULL;
    phantomdb_error error;
    CHECK_OK(phantomdb_pool_create(options, &pool, &error), &error);
    return pool;
}

phantomdb_connection *acquired(phantomdb_pool *pool) {
    phantomdb_connection *connection = NULL;
    phantomdb_error error;
    CHECK_OK(phantomdb_pool_acquire(pool, &connection, &error), &error);
    return connection;
}

void released(phantomdb_pool *pool, phantomdb_connection *connection) {
    phantomdb_error error;
    CHECK_OK(phantomdb_pool_release(pool, connection, &error), &error);
}

void closed(phantomdb_pool *pool) {
    phantomdb_error error;
    CHECK_OK(phantomdb_pool_close(pool, &error), &error);
}

static bool is_at_rest(phantomdb_pool *pool, const uint32_t *total) {
    phantomdb_status now = status_of(pool);
    return now.available == now.total && now.used == 0 && now.pending == 0 &&
           (total == NULL || now.total == *total);
}

void at_rest(phantomdb_pool *pool) {
    EVENTUALLY(is_at_rest(pool, NULL));
}

void settled(phantomdb_pool *pool, uint32_t total) {
    EVENTUALLY(is_at_rest(pool, &total));
}

const char *text_of(const phantomdb_result *result) {
    const char *text = "";
    phantomdb_error error;
    CHECK_OK(phantomdb_result_text(result, &text, NULL, &error), &error);
    return text;
}

bool check_code(const char *file, int line, const char *said, int32_t code, int32_t expected,
                const phantomdb_error *error, const char *part) {
    const char *name = phantomdb_code_name(code);
    const char *wanted = phantomdb_code_name(expected);
    if (code != expected) {
        check_fail(file, line, "%s gave %s, not %s: %s", said, name ? name : "a code without name",
                   wanted, error != NULL ? error->message : "");
        return false;
    }
    if (error == NULL) return true;
    if (code == PHANTOMDB_OK) return check_text(file, line, "the message", error->message, "");
    return check_int(file, line, "error.code", error->code, expected) &&
           check_true(file, line, "the message says something", error->message[0] != '\0') &&
           (part == NULL || check_has(file, line, "the message", error->message, part, true));
}
