#include "lines.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;

/* What was read and is not a command yet; a NUL ends it. */
static char *input;
static size_t input_length;

bool has_command(void) { return input != NULL && strchr(input, '\n') != NULL; }

/* Reads what there is, or waits for more; false at the end. */
static bool read_more(void) {
    enum { PIECE = 1 << 16 };
    input = realloc(input, input_length + PIECE + 1);
    const ssize_t count = read(STDIN_FILENO, input + input_length, PIECE);
    if (count > 0) input_length += (size_t)count;
    input[input_length] = '\0';
    return count > 0;
}

cJSON *next_command(void) {
    while (!has_command()) {
        if (read_more()) continue;
        free(input);
        input = NULL;
        return NULL;
    }
    const char *rest = NULL;
    cJSON *command = cJSON_ParseWithOpts(input, &rest, false);
    if (command == NULL) {
        fprintf(stderr, "this is not JSON: %s\n", input);
        abort();
    }
    rest = strchr(rest, '\n') + 1;
    input_length -= (size_t)(rest - input);
    memmove(input, rest, input_length + 1);
    return command;
}

const char *text_of(const cJSON *command, const char *name) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(command, name));
}

bool is(const cJSON *command, const char *what) { return strcmp(text_of(command, "do"), what) == 0; }

int64_t number_of(const cJSON *command, const char *name, int64_t otherwise) {
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(command, name);
    return cJSON_IsNumber(number) ? (int64_t)number->valuedouble : otherwise;
}

const char *on_of(const cJSON *command) {
    const char *on = text_of(command, "on");
    return on == NULL ? "pool" : on;
}

int32_t operation_of(const cJSON *command, const char **arguments, uint64_t *count) {
    *count = 0;
    const cJSON *argument;
    cJSON_ArrayForEach(argument, cJSON_GetObjectItemCaseSensitive(command, "arguments")) {
        if (*count < MOST_ARGUMENTS) arguments[(*count)++] = cJSON_GetStringValue(argument);
    }
    uint64_t operations = 0;
    const phantomdb_operation_info *table = phantomdb_operation_table(&operations);
    for (uint64_t i = 0; i < operations; i++) {
        if (strcmp(table[i].name, text_of(command, "operation")) == 0) return table[i].operation;
    }
    return 0;
}

/* Sends the report, which holds this member. */
static void report(cJSON *command, const char *name, cJSON *value) {
    cJSON *line = cJSON_CreateObject();
    cJSON_AddNumberToObject(line, "id", (double)number_of(command, "id", 0));
    cJSON_AddItemToObject(line, name, value);
    char *text = cJSON_PrintUnformatted(line);
    pthread_mutex_lock(&output);
    puts(text);
    fflush(stdout);
    pthread_mutex_unlock(&output);
    cJSON_free(text);
    cJSON_Delete(line);
    cJSON_Delete(command);
}

void report_nothing(cJSON *command) { report(command, "ok", cJSON_CreateNull()); }

void report_json(cJSON *command, const char *text) { report(command, "text", cJSON_CreateString(text)); }

void report_text(cJSON *command, const char *text) { report(command, "ok", cJSON_CreateString(text)); }

void report_error(cJSON *command, const phantomdb_error *error) {
    cJSON *value = cJSON_CreateObject();
    cJSON_AddStringToObject(value, "code", phantomdb_code_name(error->code));
    cJSON_AddNumberToObject(value, "status", error->http_status);
    cJSON_AddBoolToObject(value, "retriable", error->retriable);
    cJSON_AddNumberToObject(value, "retry_after", (double)error->retry_after_ms);
    cJSON_AddStringToObject(value, "message", error->message);
    report(command, "error", value);
}

void report_outcome(cJSON *command, const phantomdb_error *error) {
    if (error->code == PHANTOMDB_OK) report_nothing(command);
    else report_error(command, error);
}

void report_result(cJSON *command, phantomdb_result *result, const phantomdb_error *error) {
    if (error->code != PHANTOMDB_OK) {
        report_error(command, error);
        return;
    }
    const char *text = "";
    phantomdb_result_text(result, &text, NULL, NULL);
    report_json(command, text);
    phantomdb_result_free(result);
}
