/* Every public function as a row: what its pointer arguments are, and how to call it with a
 * given set of them. */
#ifndef MISUSE_TABLE_H
#define MISUSE_TABLE_H

#include <phantomdb.h>
#include <stddef.h>

enum { MOST_ARGUMENTS = 7 };

typedef enum argument_kind {
    NO_ARGUMENT,
    POOL,
    CONNECTION,
    RESULT,
    TICKET,
    QUEUE,
    TEXT,           /* a text that must be there */
    OPTIONAL_TEXT,  /* a text that may be NULL */
    BYTES,          /* bytes that may not be NULL, as a length goes with them */
    TEXTS,          /* an array of one text, which must be there */
    CALLBACK,       /* a function that must be there */
    OPTIONAL_CALLBACK,
    USER_DATA,      /* whatever the callback likes */
    OPTIONS,        /* phantomdb_pool_options, which may be NULL */
    STRUCT,         /* a versioned struct that must be there */
    OUT_HANDLE,     /* where a handle is put; must be there */
    OPTIONAL_OUT_HANDLE,
    OUT_TEXT,  /* where a lent text is put; must be there */
    OUT_VALUE, /* where a number is put; must be there */
    OUT_STEP,  /* a phantomdb_step; must be there */
    OPTIONAL_OUT_VALUE,
} argument_kind;

typedef struct argument {
    argument_kind kind;
    const char *name; /* as the error must call it */
    const char *good; /* a text that makes the call succeed; the test has the rest */
} argument;

typedef enum trait {
    PLAIN = 0,
    HAS_NO_ERROR = 1,      /* takes no phantomdb_error */
    CANNOT_FAIL = 2,       /* returns no code */
    ENDS_ITS_HANDLE = 4,   /* the last of its handles is gone afterwards */
    NEEDS_TRANSACTION = 8, /* on its connection */
    OF_A_LIST = 16,        /* reads a result that is a list, not a table */
    NEEDS_TICKET = 32,     /* of a call that waits */
    NEEDS_STEP = 64,       /* a request that was started on its connection */
    NEEDS_SOCKET = 128,    /* and waits for its socket */
} trait;

typedef struct misuse_row {
    const char *function;
    int traits; /* of trait */
    int32_t (*call)(void *const *a, phantomdb_error *error);
    argument arguments[MOST_ARGUMENTS];
} misuse_row;

/* The callbacks that the table's calls are given. */
void misuse_on_acquire(phantomdb_connection *connection, const phantomdb_error *error,
                       void *user_data);
void misuse_on_result(phantomdb_result *result, const phantomdb_error *error, void *user_data);
void misuse_on_close(const phantomdb_error *error, void *user_data);

extern const misuse_row misuse_rows[];
extern const size_t misuse_row_count;

#endif
