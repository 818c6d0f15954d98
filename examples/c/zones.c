/* Loads the time zones of the world into PhantomDB, from several threads over one pool of
 * connections, and asks about them.
 *
 *     cc -std=c11 zones.c $(pkg-config --cflags --libs phantomdb) -lpthread -o zones
 *     ./zones http://localhost:8080 ../data
 */
#define _POSIX_C_SOURCE 200809L /* for getline and open_memstream */

#include <inttypes.h>
#include <phantomdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DATABASE "zones"
enum { THREADS = 4, MOST_ROWS = 4096, MOST_FIELDS = 4 };

/* One row that is to be inserted. */
typedef struct row {
    const char *table;
    char *json;
} row;

typedef struct row_list {
    row rows[MOST_ROWS];
    size_t count;
} row_list;

/* Writes a text as a JSON string. The tables hold no control characters. */
static void put_json(FILE *out, const char *text) {
    putc('"', out);
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') putc('\\', out);
        putc(*text, out);
    }
    putc('"', out);
}

/* One angle of ISO 6709, [+-]DDMM or [+-]DDMMSS with two or three digits of degrees, in degrees.
 * Moves `text` to what follows it. */
static double read_angle(const char **text, int degree_digits) {
    const char *digits = *text + 1;
    char *end;
    long number = strtol(digits, &end, 10);
    long seconds = 0;
    if (end - digits > degree_digits + 2) {
        seconds = number % 100;
        number /= 100;
    }
    double degrees = (double)(number / 100) + (double)(number % 100) / 60 + (double)seconds / 3600;
    if (**text == '-') degrees = -degrees;
    *text = end;
    return degrees;
}

/* Begins the JSON of one more row; the caller writes it and closes the stream. */
static FILE *add_row(row_list *list, const char *table) {
    static size_t ignored_size;
    if (list->count == MOST_ROWS) return NULL;
    row *added = &list->rows[list->count];
    FILE *out = open_memstream(&added->json, &ignored_size);
    if (out == NULL) return NULL;
    added->table = table;
    list->count++;
    return out;
}

static bool add_country(row_list *list, char **fields) {
    FILE *out = add_row(list, "countries");
    if (out == NULL) return false;
    fputs("{\"code\":", out);
    put_json(out, fields[0]);
    fputs(",\"name\":", out);
    put_json(out, fields[1]);
    putc('}', out);
    return fclose(out) == 0;
}

static bool add_zone(row_list *list, char **fields) {
    FILE *out = add_row(list, "zones");
    if (out == NULL) return false;
    const char *coordinates = fields[1];
    double latitude = read_angle(&coordinates, 2);
    double longitude = read_angle(&coordinates, 3);
    fputs("{\"name\":", out);
    put_json(out, fields[2]);
    fprintf(out, ",\"latitude\":%.4f,\"longitude\":%.4f}", latitude, longitude);
    return fclose(out) == 0;
}

/* A zone may cover several countries: "AE,OM,RE". */
static bool add_zone_and_places(row_list *list, char **fields) {
    if (!add_zone(list, fields)) return false;
    char *rest = fields[0];
    for (char *code; (code = strtok_r(rest, ",", &rest)) != NULL;) {
        FILE *out = add_row(list, "places");
        if (out == NULL) return false;
        fputs("{\"country\":", out);
        put_json(out, code);
        fputs(",\"zone\":", out);
        put_json(out, fields[2]);
        putc('}', out);
        if (fclose(out) != 0) return false;
    }
    return true;
}

/* Splits a line at its tabs; says how many fields it has. */
static int split(char *line, char **fields) {
    int count = 0;
    line[strcspn(line, "\n")] = '\0';
    for (char *field; count < MOST_FIELDS && (field = strtok_r(line, "\t", &line)) != NULL;) {
        fields[count++] = field;
    }
    return count;
}

/* Adds what a file says, line by line; the first thing that is wrong with it ends that. */
static bool read_table(const char *folder, const char *name, int least_fields, row_list *list,
                       bool (*add)(row_list *list, char **fields)) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        perror(path);
        return false;
    }
    bool is_good = true;
    char *line = NULL;
    size_t size = 0;
    for (int number = 1; is_good && getline(&line, &size, file) > 0; number++) {
        char *fields[MOST_FIELDS];
        if (*line == '#') continue;
        is_good = split(line, fields) >= least_fields && add(list, fields);
        if (!is_good) fprintf(stderr, "%s:%d: can't be read\n", path, number);
    }
    free(line);
    fclose(file);
    return is_good;
}

static int32_t make_tables(phantomdb_connection *connection, phantomdb_error *error) {
    static const char *const tables[][2] = {
        {"countries", "[{\"name\":\"code\",\"type\":\"string\",\"primaryKey\":true},"
                      "{\"name\":\"name\",\"type\":\"string\"}]"},
        {"zones", "[{\"name\":\"name\",\"type\":\"string\",\"primaryKey\":true},"
                  "{\"name\":\"latitude\",\"type\":\"float\"},"
                  "{\"name\":\"longitude\",\"type\":\"float\"}]"},
        {"places", "[{\"name\":\"country\",\"type\":\"string\"},"
                   "{\"name\":\"zone\",\"type\":\"string\"}]"},
    };
    /* What an earlier run left; on a server that never saw one there is nothing to drop. */
    int32_t code = phantomdb_connection_drop_database(connection, DATABASE, NULL, error);
    if (code != PHANTOMDB_OK && error->http_status != 404) return code;
    code = phantomdb_connection_create_database(connection, DATABASE, NULL, error);
    for (int i = 0; i < 3 && code == PHANTOMDB_OK; i++) {
        code = phantomdb_connection_create_table(connection, DATABASE, tables[i][0], tables[i][1],
                                                 NULL, error);
    }
    return code;
}

/* What the loading threads share. */
typedef struct loading {
    phantomdb_pool *pool;
    const row_list *list;
    atomic_size_t next;
    atomic_size_t loaded;
    atomic_int failures;
    phantomdb_error first_error;
} loading;

static void show_progress(loading *all) {
    size_t loaded = ++all->loaded;
    if (loaded % 50 == 0 && isatty(STDERR_FILENO)) {
        fprintf(stderr, "\rLoading row %zu of %zu ", loaded, all->list->count);
    }
}

static int32_t load_some(loading *all, phantomdb_error *error) {
    phantomdb_connection *connection;
    int32_t code = phantomdb_pool_acquire(all->pool, &connection, error);
    if (code != PHANTOMDB_OK) return code;
    while (code == PHANTOMDB_OK && all->failures == 0) {
        size_t index = all->next++;
        if (index >= all->list->count) break;
        const row *it = &all->list->rows[index];
        code =
            phantomdb_connection_insert(connection, DATABASE, it->table, it->json, NULL, error);
        show_progress(all);
    }
    phantomdb_pool_release(all->pool, connection, NULL);
    return code;
}

static void *load_in_thread(void *argument) {
    loading *all = argument;
    phantomdb_error error;
    bool has_failed = load_some(all, &error) != PHANTOMDB_OK;
    if (has_failed && all->failures++ == 0) all->first_error = error;
    return NULL;
}

static int32_t load(phantomdb_pool *pool, const row_list *list, phantomdb_error *error) {
    loading all = {.pool = pool, .list = list};
    pthread_t threads[THREADS];
    int started = 0;
    while (started < THREADS &&
           pthread_create(&threads[started], NULL, load_in_thread, &all) == 0) {
        started++;
    }
    /* With fewer threads than wanted it takes longer; without any, this one does it. */
    if (started == 0) load_in_thread(&all);
    for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
    if (isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
    if (all.failures == 0) return PHANTOMDB_OK;
    *error = all.first_error;
    return error->code;
}

/* Runs a query whose result is one whole number. */
static int32_t ask_number(phantomdb_connection *connection, const char *sql, int64_t *number,
                          phantomdb_error *error) {
    phantomdb_result *result;
    int32_t code =
        phantomdb_connection_execute_query(connection, DATABASE, sql, NULL, &result, error);
    if (code != PHANTOMDB_OK) return code;
    code = phantomdb_result_cell_int64(result, 0, 0, number, error);
    phantomdb_result_free(result);
    return code;
}

static int32_t show_counts(phantomdb_connection *connection, phantomdb_error *error) {
    int64_t countries = 0;
    int64_t zones = 0;
    int32_t code = ask_number(connection, "SELECT count(*) FROM countries", &countries, error);
    if (code == PHANTOMDB_OK) {
        code = ask_number(connection, "SELECT count(*) FROM zones", &zones, error);
    }
    if (code != PHANTOMDB_OK) return code;
    printf("Loaded %" PRId64 " countries and %" PRId64 " time zones, %d rows at a time.\n\n", countries,
           zones, THREADS);
    return PHANTOMDB_OK;
}

static int32_t show_countries(phantomdb_connection *connection, phantomdb_error *error) {
    phantomdb_result *result;
    int32_t code = phantomdb_connection_execute_query(
        connection, DATABASE,
        "SELECT count(*) AS zones, countries.name FROM places JOIN countries ON code = country "
        "GROUP BY code ORDER BY zones DESC, countries.name LIMIT ?", "[10]", &result, error);
    if (code != PHANTOMDB_OK) return code;

    uint64_t rows = 0;
    phantomdb_result_row_count(result, &rows, NULL);
    printf("zones  country\n-----  -------\n");
    for (uint64_t i = 0; i < rows && code == PHANTOMDB_OK; i++) {
        int64_t zones = 0;
        const char *country = "";
        code = phantomdb_result_cell_int64(result, i, 0, &zones, error);
        if (code == PHANTOMDB_OK) {
            code = phantomdb_result_cell_text(result, i, 1, &country, NULL, error);
        }
        if (code == PHANTOMDB_OK) printf("%5" PRId64 "  %s\n", zones, country);
    }
    phantomdb_result_free(result);
    return code;
}

static int32_t show_southernmost(phantomdb_connection *connection, phantomdb_error *error) {
    phantomdb_result *result;
    int32_t code = phantomdb_connection_select(
        connection, DATABASE, "zones", "latitude = (SELECT min(latitude) FROM zones)", &result,
        error);
    if (code != PHANTOMDB_OK) return code;

    /* A select gives its columns in the server's order, so they are found by name. */
    uint64_t name_column = 0;
    uint64_t latitude_column = 0;
    const char *name = "";
    double latitude = 0;
    code = phantomdb_result_column_index(result, "name", &name_column, error);
    if (code == PHANTOMDB_OK) {
        code = phantomdb_result_column_index(result, "latitude", &latitude_column, error);
    }
    if (code == PHANTOMDB_OK) {
        code = phantomdb_result_cell_text(result, 0, name_column, &name, NULL, error);
    }
    if (code == PHANTOMDB_OK) {
        code = phantomdb_result_cell_double(result, 0, latitude_column, &latitude, error);
    }
    if (code == PHANTOMDB_OK) {
        printf("\nSouthernmost: %s, %.2f degrees south.\n", name, -latitude);
    }
    phantomdb_result_free(result);
    return code;
}

static int32_t insert_atlantis(phantomdb_connection *connection, int64_t *count_within,
                               phantomdb_error *error) {
    int32_t code = phantomdb_connection_insert(
        connection, DATABASE, "zones",
        "{\"name\":\"Atlantis/Poseidonis\",\"latitude\":31.0,\"longitude\":-24.0}", NULL, error);
    if (code != PHANTOMDB_OK) return code;
    return ask_number(connection, "SELECT count(*) FROM zones", count_within, error);
}

static int32_t show_rollback(phantomdb_connection *connection, phantomdb_error *error) {
    int64_t before = 0;
    int64_t within = 0;
    int64_t after = 0;
    int32_t code = ask_number(connection, "SELECT count(*) FROM zones", &before, error);
    if (code != PHANTOMDB_OK) return code;
    code = phantomdb_connection_begin_transaction(connection, DATABASE, NULL, error);
    if (code != PHANTOMDB_OK) return code;
    /* If this fails, so does the program, and releasing the connection rolls back. */
    code = insert_atlantis(connection, &within, error);
    if (code != PHANTOMDB_OK) return code;
    code = phantomdb_connection_rollback_transaction(connection, NULL, NULL, error);
    if (code != PHANTOMDB_OK) return code;
    code = ask_number(connection, "SELECT count(*) FROM zones", &after, error);
    if (code != PHANTOMDB_OK) return code;
    printf("With Atlantis there are %" PRId64 " time zones; rolled back there are %" PRId64
           ", %s.\n", within, after, before == after ? "unchanged" : "CHANGED");
    return PHANTOMDB_OK;
}

static int32_t show_status(phantomdb_pool *pool, phantomdb_error *error) {
    phantomdb_status status;
    phantomdb_status_init(&status, sizeof status);
    int32_t code = phantomdb_pool_status(pool, &status, error);
    if (code != PHANTOMDB_OK) return code;
    printf("\nPool: %u available, %u used, %u pending; %u in all, at least %u, at most %u.\n",
           status.available, status.used, status.pending, status.total, status.min, status.max);
    return PHANTOMDB_OK;
}

static int32_t run_with(phantomdb_pool *pool, phantomdb_connection *connection,
                        const row_list *list, phantomdb_error *error) {
    int32_t code = make_tables(connection, error);
    if (code == PHANTOMDB_OK) code = load(pool, list, error);
    if (code == PHANTOMDB_OK) code = show_counts(connection, error);
    if (code == PHANTOMDB_OK) code = show_countries(connection, error);
    if (code == PHANTOMDB_OK) code = show_southernmost(connection, error);
    if (code == PHANTOMDB_OK) code = show_rollback(connection, error);
    return code;
}

static int32_t run(const char *url, const row_list *list, phantomdb_error *error) {
    phantomdb_pool_options options;
    phantomdb_pool_options_init(&options, sizeof options);
    options.base_url = url;
    /* One for each thread, and one for the questions. */
    options.min_connections = options.max_connections = THREADS + 1;

    phantomdb_pool *pool;
    int32_t code = phantomdb_pool_create(&options, &pool, error);
    if (code != PHANTOMDB_OK) return code;
    phantomdb_connection *connection;
    code = phantomdb_pool_acquire(pool, &connection, error);
    if (code == PHANTOMDB_OK) {
        code = run_with(pool, connection, list, error);
        phantomdb_pool_release(pool, connection, NULL);
    }
    if (code == PHANTOMDB_OK) code = show_status(pool, error);
    phantomdb_pool_close(pool, NULL);
    return code;
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: %s BASE_URL DATA_DIR\n", argv[0]);
        return 2;
    }
    static row_list list;
    bool is_read = read_table(argv[2], "iso3166.tab", 2, &list, add_country) &&
                   read_table(argv[2], "zone1970.tab", 3, &list, add_zone_and_places);
    phantomdb_error error;
    int32_t code = is_read ? run(argv[1], &list, &error) : 0;
    if (code != PHANTOMDB_OK) fprintf(stderr, "zones: %s\n", error.message);
    for (size_t i = 0; i < list.count; i++) free(list.rows[i].json);
    return is_read && code == PHANTOMDB_OK ? 0 : 1;
}
