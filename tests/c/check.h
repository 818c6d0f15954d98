/* Assertions that say what they saw, for C11 and C++17. A failed one is reported and counted,
 * and the test goes on, so that one run shows all that is wrong. Any thread may check. */
#ifndef CHECK_H
#define CHECK_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Each is true if it held. */
#define CHECK(condition) check_true(__FILE__, __LINE__, #condition, (condition))
#define CHECK_INT(actual, expected) \
    check_int(__FILE__, __LINE__, #actual, (int64_t)(actual), (int64_t)(expected))
#define CHECK_TEXT(actual, expected) check_text(__FILE__, __LINE__, #actual, (actual), (expected))
#define CHECK_HAS(actual, part) check_has(__FILE__, __LINE__, #actual, (actual), (part), true)
#define CHECK_LACKS(actual, part) check_has(__FILE__, __LINE__, #actual, (actual), (part), false)

/* Runs a test as one case, which passes if no check of it failed. */
void check_run(const char *name, void (*test)(void));

/* Prints the totals as the last line and gives the exit code. */
int check_end(void);

/* Names what is being tried, for the reports of a case that goes through a table. */
void check_about(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* How many checks have failed so far. */
int check_failures(void);

bool check_true(const char *file, int line, const char *said, bool is_so);
bool check_int(const char *file, int line, const char *said, int64_t actual, int64_t expected);
bool check_text(const char *file, int line, const char *said, const char *actual,
                const char *expected);
bool check_has(const char *file, int line, const char *said, const char *actual, const char *part,
               bool wanted);
void check_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif

#endif
