/* What the two agents for C share: pools and clients by their names, and the calls on them that
 * do not wait. */
#ifndef THINGS_H
#define THINGS_H

#include "lines.h"

typedef struct journal journal;

/* A pool, or a client and its pool. */
typedef struct thing {
    phantomdb_pool *pool;
    phantomdb_connection *connection;
    journal *log;
} thing;

/* What has this name; a released client keeps it. NULLs if nothing has. */
thing find(const char *name);
void keep(const char *name, thing named);
/* Keeps a client under the name that the command gives it, and reports. */
void keep_client(cJSON *command, phantomdb_pool *pool, phantomdb_connection *connection);

/* Carries out a command that does not wait, and reports; false if it is another. */
bool carry_out(cJSON *command);

/* Closes each pool at once, and forgets all names. */
void end_all(void);

#endif
