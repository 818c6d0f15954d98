#include "things.h"

#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    struct entry *next;
    thing named;
    char name[];
} entry;

/* What a pool has logged: a list of [level, message]. */
struct journal {
    pthread_mutex_t lock;
    cJSON *messages;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static entry *entries;

static entry *look_up(const char *name) {
    entry *it = entries;
    while (it != NULL && strcmp(it->name, name) != 0) it = it->next;
    return it;
}

thing find(const char *name) {
    pthread_mutex_lock(&lock);
    const entry *found = look_up(name);
    const thing named = found == NULL ? (thing){0} : found->named;
    pthread_mutex_unlock(&lock);
    return named;
}

void keep(const char *name, thing named) {
    pthread_mutex_lock(&lock);
    entry *found = look_up(name);
    if (found == NULL) {
        const size_t size = strlen(name) + 1;
        found = malloc(sizeof *found + size);
        memcpy(found->name, name, size);
        found->next = entries;
        entries = found;
    }
    found->named = named;
    pthread_mutex_unlock(&lock);
}

void end_all(void) {
    pthread_mutex_lock(&lock);
    entry *all = entries;
    entries = NULL;
    pthread_mutex_unlock(&lock);
    for (const entry *it = all; it != NULL; it = it->next) {
        if (it->named.connection == NULL) phantomdb_pool_close_timeout(it->named.pool, 0, NULL);
    }
    while (all != NULL) {
        entry *next = all->next;
        if (all->named.log != NULL) {
            cJSON_Delete(all->named.log->messages);
            free(all->named.log);
        }
        free(all);
        all = next;
    }
}

void keep_client(cJSON *command, phantomdb_pool *pool, phantomdb_connection *connection) {
    const char *owner = text_of(command, "owner");
    if (owner != NULL) phantomdb_connection_set_owner(connection, owner, NULL);
    keep(text_of(command, "as"), (thing){.pool = pool, .connection = connection});
    report_nothing(command);
}

static int32_t choice_of(const phantomdb_option_info *option, const char *name) {
    int32_t choice = 0;
    while (strcmp(option->choices[choice], name) != 0) choice++;
    return choice;
}

static void set_option(phantomdb_pool_options *all, const cJSON *given) {
    uint64_t count = 0;
    const phantomdb_option_info *table = phantomdb_option_table(&count);
    for (uint64_t i = 0; i < count; i++) {
        if (strcmp(table[i].name, given->string) != 0) continue;
        void *member = (char *)all + table[i].offset;
        switch (table[i].type) {
        case PHANTOMDB_OPTION_COUNT: *(uint32_t *)member = (uint32_t)given->valuedouble; break;
        case PHANTOMDB_OPTION_TIME: *(int64_t *)member = (int64_t)given->valuedouble; break;
        case PHANTOMDB_OPTION_SIZE: *(uint64_t *)member = (uint64_t)given->valuedouble; break;
        case PHANTOMDB_OPTION_FLAG: *(int32_t *)member = cJSON_IsTrue(given); break;
        case PHANTOMDB_OPTION_CHOICE:
            *(int32_t *)member = choice_of(&table[i], given->valuestring);
            break;
        default: *(const char **)member = given->valuestring;
        }
        return;
    }
    fprintf(stderr, "there is no option %s\n", given->string);
    abort();
}

static void note(int32_t level, const char *message, void *user_data) {
    journal *log = user_data;
    cJSON *line = cJSON_CreateArray();
    const char *name = level == PHANTOMDB_LOG_WARNING ? "warning" : "info";
    cJSON_AddItemToArray(line, cJSON_CreateString(name));
    cJSON_AddItemToArray(line, cJSON_CreateString(message));
    pthread_mutex_lock(&log->lock);
    cJSON_AddItemToArray(log->messages, line);
    pthread_mutex_unlock(&log->lock);
}

static void create(cJSON *command) {
    phantomdb_pool_options chosen;
    phantomdb_pool_options_init(&chosen, sizeof chosen);
    journal *log = NULL;
    const cJSON *given;
    cJSON_ArrayForEach(given, cJSON_GetObjectItemCaseSensitive(command, "options")) {
        if (strcmp(given->string, "log") != 0) {
            set_option(&chosen, given);
            continue;
        }
        log = malloc(sizeof *log);
        pthread_mutex_init(&log->lock, NULL);
        log->messages = cJSON_CreateArray();
        chosen.log = note;
        chosen.log_user_data = log;
    }
    phantomdb_error error;
    phantomdb_pool *pool;
    if (phantomdb_pool_create(&chosen, &pool, &error) == PHANTOMDB_OK) {
        keep(text_of(command, "as"), (thing){.pool = pool, .log = log});
    }
    report_outcome(command, &error);
}

static void tell_status(cJSON *command, phantomdb_pool *pool) {
    phantomdb_error error;
    phantomdb_status now;
    phantomdb_status_init(&now, sizeof now);
    if (phantomdb_pool_status(pool, &now, &error) != PHANTOMDB_OK) {
        report_error(command, &error);
        return;
    }
    char text[256];
    snprintf(text, sizeof text,
             "{\"available\":%u,\"used\":%u,\"pending\":%u,\"total\":%u,\"min\":%u,\"max\":%u}",
             now.available, now.used, now.pending, now.total, now.min, now.max);
    report_json(command, text);
}

static void tell_metrics(cJSON *command, phantomdb_pool *pool) {
    phantomdb_error error;
    phantomdb_result *result;
    const char *text = "";
    if (phantomdb_pool_metrics(pool, &result, &error) != PHANTOMDB_OK) {
        report_error(command, &error);
        return;
    }
    phantomdb_result_text(result, &text, NULL, NULL);
    report_text(command, text);
    phantomdb_result_free(result);
}

static void tell_log(cJSON *command, journal *log) {
    pthread_mutex_lock(&log->lock);
    char *text = cJSON_PrintUnformatted(log->messages);
    pthread_mutex_unlock(&log->lock);
    report_json(command, text);
    cJSON_free(text);
}

bool carry_out(cJSON *command) {
    const thing on = find(on_of(command));
    const char *from = text_of(command, "from");
    phantomdb_pool *pool = from == NULL ? on.pool : find(from).pool;
    phantomdb_error error;
    if (is(command, "create")) {
        create(command);
    } else if (is(command, "try_acquire")) {
        phantomdb_connection *connection;
        if (phantomdb_pool_try_acquire(pool, &connection, &error) != PHANTOMDB_OK) {
            report_error(command, &error);
        } else {
            keep_client(command, pool, connection);
        }
    } else if (is(command, "release")) {
        phantomdb_pool_release(pool, on.connection, &error);
        report_outcome(command, &error);
    } else if (is(command, "discard")) {
        phantomdb_pool_discard(pool, on.connection, &error);
        report_outcome(command, &error);
    } else if (is(command, "interrupt")) {
        phantomdb_connection_interrupt(on.connection, &error);
        report_outcome(command, &error);
    } else if (is(command, "status")) {
        tell_status(command, pool);
    } else if (is(command, "stats")) {
        phantomdb_result *result;
        phantomdb_pool_stats_json(pool, &result, &error);
        report_result(command, result, &error);
    } else if (is(command, "metrics")) {
        tell_metrics(command, pool);
    } else if (is(command, "log")) {
        tell_log(command, on.log);
    } else if (is(command, "reset")) {
        phantomdb_pool_reset(pool, &error);
        report_outcome(command, &error);
    } else if (is(command, "resize")) {
        phantomdb_pool_resize(pool, (uint32_t)number_of(command, "min", 0),
                              (uint32_t)number_of(command, "max", 0), &error);
        report_outcome(command, &error);
    } else if (is(command, "set_token")) {
        phantomdb_pool_set_token(pool, text_of(command, "token"), &error);
        report_outcome(command, &error);
    } else {
        return false;
    }
    return true;
}
