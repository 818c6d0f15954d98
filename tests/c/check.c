#include "check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static atomic_int failures;
static int cases_passed;
static int cases_failed;
static const char *current = "outside of any case";
static _Thread_local char about[256];

int check_failures(void) {
    return failures;
}

void check_about(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(about, sizeof about, format, arguments);
    va_end(arguments);
}

void check_fail(const char *file, int line, const char *format, ...) {
    char text[4096];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    fprintf(stderr, "%s:%d: %s%s%s: %s\n", file, line, current, about[0] ? ", " : "", about, text);
    failures++;
}

bool check_true(const char *file, int line, const char *said, bool is_so) {
    if (!is_so) check_fail(file, line, "not so: %s", said);
    return is_so;
}

bool check_int(const char *file, int line, const char *said, int64_t actual, int64_t expected) {
    if (actual == expected) return true;
    check_fail(file, line, "%s is %" PRId64 ", not %" PRId64, said, actual, expected);
    return false;
}

bool check_text(const char *file, int line, const char *said, const char *actual,
                const char *expected) {
    if (actual != NULL && strcmp(actual, expected) == 0) return true;
    check_fail(file, line, "%s is \"%s\", not \"%s\"", said, actual ? actual : "(NULL)", expected);
    return false;
}

bool check_has(const char *file, int line, const char *said, const char *actual, const char *part,
               bool wanted) {
    bool has = actual != NULL && strstr(actual, part) != NULL;
    if (has == wanted) return true;
    check_fail(file, line, "%s is \"%s\", which %s \"%s\"", said, actual ? actual : "(NULL)",
               wanted ? "lacks" : "must not have", part);
    return false;
}

void check_run(const char *name, void (*test)(void)) {
    int before = failures;
    current = name;
    about[0] = '\0';
    test();
    bool passed = failures == before;
    *(passed ? &cases_passed : &cases_failed) += 1;
    printf("%s %s\n", passed ? "ok    " : "FAILED", name);
    fflush(stdout);
}

int check_end(void) {
    printf("%d passed, %d failed\n", cases_passed, cases_failed);
    return cases_failed == 0 && cases_passed > 0 ? 0 : 1;
}
