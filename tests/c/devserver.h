/* The development server as a child process. Its path is in DEVSERVER. */
#ifndef DEVSERVER_H
#define DEVSERVER_H

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct devserver {
    char url[128];
    pid_t pid;
    int stdin_of_server;
} devserver;

/* Starts it on a free port, `--token TOKEN` if there is one; exits if that fails. */
devserver devserver_start(const char *token);

/* Stops it and waits for its end. */
void devserver_stop(devserver *server);

#ifdef __cplusplus
}
#endif

#endif
