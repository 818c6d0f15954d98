#include "devserver.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void give_up(const char *why) {
    fprintf(stderr, "the development server did not start: %s\n", why);
    exit(1);
}

/* Its URL is the first line that it prints. */
static void read_url(int from, char *url, size_t size) {
    FILE *lines = fdopen(from, "r");
    if (lines == NULL || fgets(url, (int)size, lines) == NULL) give_up("it printed no URL");
    url[strcspn(url, "\n")] = '\0';
    fclose(lines);
}

devserver devserver_start(const char *token) {
    char *program = getenv("DEVSERVER");
    if (program == NULL) give_up("DEVSERVER must hold the path of phantomdb-devserver");
    char *arguments[] = {program, "--port", "0", "--stop-on-stdin-eof", NULL, NULL, NULL};
    if (token != NULL) {
        arguments[4] = "--token";
        arguments[5] = (char *)token;
    }
    int input[2];
    int output[2];
    /* Not inherited by other children, or the server would not see its input end. */
    if (pipe2(input, O_CLOEXEC) != 0 || pipe2(output, O_CLOEXEC) != 0) give_up("no pipe");
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input[0], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);

    devserver server = {.stdin_of_server = input[1]};
    if (posix_spawn(&server.pid, program, &actions, NULL, arguments, environ) != 0) {
        give_up(program);
    }
    posix_spawn_file_actions_destroy(&actions);
    close(input[0]);
    close(output[1]);
    read_url(output[0], server.url, sizeof server.url);
    return server;
}

void devserver_stop(devserver *server) {
    close(server->stdin_of_server);
    kill(server->pid, SIGTERM);
    waitpid(server->pid, NULL, 0);
}
