/* Reads whatever a hostile server sends, by the C interface: cell by cell and in bulk, with buffers of any
 * size, from three threads, one of which does not wait.
 *
 *     client URL SECONDS SEED
 */
#include <phantomdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static phantomdb_pool *pool;
static double end;
static atomic_long values, errors, under_way;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void must(bool is_so, const char *what) {
    if (is_so) return;
    fprintf(stderr, "not so: %s\n", what);
    abort();
}

/* The sum of the bytes, so that each is read. */
static unsigned touch(const char *text, uint64_t length) {
    unsigned sum = 0;
    for (uint64_t i = 0; i < length; i++) sum += (unsigned char)text[i];
    return sum;
}

static void by_cells(const phantomdb_result *result, uint64_t rows, uint64_t columns) {
    uint64_t seen = 0;
    for (uint64_t row = 0; row < rows; row++) {
        for (uint64_t column = 0; column < columns && seen < 2000; column++, seen++) {
            const char *text = NULL;
            uint64_t length = 0;
            int64_t integer;
            double number;
            bool truth;
            must(phantomdb_result_cell_text(result, row, column, &text, &length, NULL) == PHANTOMDB_OK, "a cell");
            touch(text, length);
            must(text[length] == '\0', "a NUL after a cell");
            phantomdb_result_cell_int64(result, row, column, &integer, NULL);
            phantomdb_result_cell_double(result, row, column, &number, NULL);
            phantomdb_result_cell_bool(result, row, column, &truth, NULL);
        }
    }
}

typedef int32_t reader(const phantomdb_result *, uint64_t *, phantomdb_value *, uint64_t, uint64_t *,
                       phantomdb_error *);

/* Reads all there is in chunks of `capacity`; false if the result is of another kind. */
static bool in_bulk(const phantomdb_result *result, reader *read, uint64_t capacity) {
    phantomdb_value *chunk = calloc(capacity, sizeof *chunk);
    uint64_t position = 0, count = capacity;
    bool is_good = true;
    while (is_good && count == capacity) {
        is_good = read(result, &position, chunk, capacity, &count, NULL) == PHANTOMDB_OK;
        for (uint64_t i = 0; is_good && i < count; i++) {
            touch(chunk[i].text, chunk[i].length);
            must(chunk[i].text[chunk[i].length] == '\0', "a NUL after a value");
        }
    }
    free(chunk);
    return is_good;
}

static void as_json(const phantomdb_result *result, uint64_t row, uint64_t column, uint64_t capacity, uint64_t size) {
    phantomdb_value *chunk = calloc(capacity, sizeof *chunk);
    char *buffer = malloc(size);
    uint64_t position = 0, count = 0;
    int depth = 0;
    for (;;) {
        int32_t code = phantomdb_result_read_json(result, row, column, &position, chunk, capacity, &count, buffer,
                                                  size, NULL);
        if (code == PHANTOMDB_ERR_INVALID_ARGUMENT && chunk[0].length > size) {
            size = chunk[0].length;
            free(buffer);
            buffer = malloc(size);
            continue;
        }
        if (code != PHANTOMDB_OK || count == 0) break;
        for (uint64_t i = 0; i < count; i++) {
            if (chunk[i].kind == PHANTOMDB_VALUE_ARRAY || chunk[i].kind == PHANTOMDB_VALUE_OBJECT) depth++;
            if (chunk[i].kind == PHANTOMDB_VALUE_END) depth--;
            must(depth >= 0 && depth <= 128, "a depth of at most 128");
            if (chunk[i].text != NULL) touch(chunk[i].text, chunk[i].length);
        }
    }
    free(buffer);
    free(chunk);
}

static void look(phantomdb_result *result, unsigned *seed) {
    const char *text = NULL;
    uint64_t length = 0, rows = 0, columns = 0;
    int64_t number;
    if (phantomdb_result_text(result, &text, &length, NULL) == PHANTOMDB_OK) touch(text, length);
    uint64_t capacity = 1 + (uint64_t)(rand_r(seed) % 40);
    if (phantomdb_result_row_count(result, &rows, NULL) == PHANTOMDB_OK &&
        phantomdb_result_column_count(result, &columns, NULL) == PHANTOMDB_OK) {
        by_cells(result, rows, columns);
        must(in_bulk(result, phantomdb_result_read_columns, capacity), "columns in bulk");
        must(in_bulk(result, phantomdb_result_read_cells, capacity), "cells in bulk");
        if (rows > 0 && columns > 0) as_json(result, rows - 1, columns - 1, capacity, 1 + capacity);
    }
    in_bulk(result, phantomdb_result_read_items, capacity);
    as_json(result, PHANTOMDB_WHOLE, PHANTOMDB_WHOLE, capacity, 1 + capacity * capacity);
    phantomdb_result_affected_rows(result, &number, NULL);
    phantomdb_result_free(result);
    atomic_fetch_add(&values, 1);
}

static const char *const query[] = {"d", "SELECT 1", NULL};
static const char *const selection[] = {"d", "t", NULL};
static const char *const row[] = {"d", "t", "{\"a\":1}"};

static int32_t operation_of(unsigned *seed, const char *const **arguments, uint64_t *count) {
    switch (rand_r(seed) % 6) {
    case 0:
    case 1:
        *arguments = query, *count = 3;
        return PHANTOMDB_EXECUTE_QUERY;
    case 2:
    case 3:
        *arguments = selection, *count = 3;
        return PHANTOMDB_SELECT;
    case 4:
        *arguments = row, *count = 3;
        return PHANTOMDB_INSERT;
    default:
        *arguments = NULL, *count = 0;
        return PHANTOMDB_LIST_DATABASES;
    }
}

static void *work(void *argument) {
    unsigned seed = *(unsigned *)argument;
    while (now() < end) {
        const char *const *arguments;
        uint64_t count;
        int32_t operation = operation_of(&seed, &arguments, &count);
        phantomdb_result *result = NULL;
        phantomdb_error error;
        int32_t code = rand_r(&seed) % 6 == 0
                           ? phantomdb_pool_request(pool, "GET", "/any", NULL, 0, &result, &error)
                           : phantomdb_pool_run(pool, operation, arguments, count, &result, &error);
        must(code != PHANTOMDB_ERR_PANIC, error.message);
        if (code == PHANTOMDB_OK) look(result, &seed);
        else atomic_fetch_add(&errors, 1);
    }
    return NULL;
}

static void on_result(phantomdb_result *result, const phantomdb_error *error, void *user_data) {
    must(error->code != PHANTOMDB_ERR_PANIC, error->message);
    if (result != NULL) look(result, user_data);
    else atomic_fetch_add(&errors, 1);
    atomic_fetch_sub(&under_way, 1);
}

static void *work_without_waiting(void *argument) {
    static unsigned of_callbacks = 1;
    unsigned seed = *(unsigned *)argument;
    while (now() < end) {
        if (atomic_load(&under_way) >= 4) {
            struct timespec moment = {0, 200000};
            nanosleep(&moment, NULL);
            continue;
        }
        const char *const *arguments;
        uint64_t count;
        int32_t operation = operation_of(&seed, &arguments, &count);
        phantomdb_ticket *ticket = NULL;
        atomic_fetch_add(&under_way, 1);
        int32_t code = phantomdb_pool_run_async(pool, operation, arguments, count, on_result, &of_callbacks, &ticket, NULL);
        must(code == PHANTOMDB_OK, "a call that is accepted");
        if (rand_r(&seed) % 10 == 0) phantomdb_cancel(ticket, NULL);
    }
    while (atomic_load(&under_way) > 0) {
        struct timespec moment = {0, 200000};
        nanosleep(&moment, NULL);
    }
    return NULL;
}

int main(int argc, char **argv) {
    must(argc == 4, "three arguments");
    end = now() + strtod(argv[2], NULL);
    phantomdb_pool_options options;
    phantomdb_pool_options_init(&options, sizeof options);
    options.base_url = argv[1];
    options.max_connections = 4;
    options.request_timeout_ms = 500;
    must(phantomdb_pool_create(&options, &pool, NULL) == PHANTOMDB_OK, "a pool");
    pthread_t threads[3];
    unsigned seeds[3];
    for (unsigned i = 0; i < 3; i++) {
        seeds[i] = (unsigned)strtoul(argv[3], NULL, 10) + i;
        pthread_create(&threads[i], NULL, i == 2 ? work_without_waiting : work, &seeds[i]);
    }
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    phantomdb_pool_close(pool, NULL);
    printf("values %ld errors %ld\n", atomic_load(&values), atomic_load(&errors));
    must(atomic_load(&values) > 0 && atomic_load(&errors) > 0, "some of both");
}
