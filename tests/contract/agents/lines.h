/* What the agents for C and C++ share: the driver's commands, and the reports to them. */
#ifndef LINES_H
#define LINES_H

#include <cjson/cJSON.h>
#include <phantomdb.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum { MOST_ARGUMENTS = 8 };

/* The next command; NULL when there are no more. It is freed by what reports to it. */
cJSON *next_command(void);
/* Whether there is one that has been read already, so that the input need not be readable. */
bool has_command(void);

bool is(const cJSON *command, const char *what);
/* A text of the command, or NULL. */
const char *text_of(const cJSON *command, const char *name);
/* A number of the command, or `otherwise`. */
int64_t number_of(const cJSON *command, const char *name, int64_t otherwise);
/* The name of the pool or client that it is for. */
const char *on_of(const cJSON *command);
/* The operation that `run` asks for, with its arguments. */
int32_t operation_of(const cJSON *command, const char **arguments, uint64_t *count);

void report_nothing(cJSON *command);
/* A text that is JSON, or may be. */
void report_json(cJSON *command, const char *text);
void report_text(cJSON *command, const char *text);
void report_error(cJSON *command, const phantomdb_error *error);
/* What a call without a value came to. */
void report_outcome(cJSON *command, const phantomdb_error *error);
/* The result, which it frees; or the error, if there is none. */
void report_result(cJSON *command, phantomdb_result *result, const phantomdb_error *error);

#ifdef __cplusplus
}
#endif

#endif
