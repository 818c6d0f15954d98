#include "fake_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST_OPEN = 64, DRIP_MS = 5, LARGEST_REQUEST = 64 * 1024 };

/* One connection and its thread; its place is used again when the thread has ended. */
typedef struct visit {
    fake_server *server;
    enum { FREE, OPEN, ENDED } state;
    pthread_t thread;
    int socket;
    uint64_t number;
} visit;

struct fake_server {
    char url[64];
    fake_step *steps;
    size_t step_count;
    int listener;
    int stop; /* becomes readable when all threads are to end */
    pthread_t acceptor;
    pthread_mutex_t lock; /* guards what follows */
    uint64_t requests;
    uint64_t last_connection;
    uint64_t connections;
    visit all[MOST_OPEN];
};

static void need(bool is_so, const char *what) {
    if (is_so) return;
    fprintf(stderr, "fake server: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* Waits for the socket, at most `ms` (-1: for ever); false when the server is to stop. */
static bool wait_for(fake_server *server, int socket, short events, int ms) {
    struct pollfd polled[2] = {{.fd = server->stop, .events = POLLIN},
                               {.fd = socket, .events = events}};
    poll(polled, 2, ms);
    return polled[0].revents == 0;
}

static bool send_all(visit *at, const char *bytes, size_t length) {
    while (length > 0) {
        if (!wait_for(at->server, at->socket, POLLOUT, -1)) return false;
        ssize_t sent = send(at->socket, bytes, length, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0) return false;
        bytes += sent;
        length -= (size_t)sent;
    }
    return true;
}

/* The length that the request must have, known once its head is complete; 0 before. */
static size_t whole_length(const char *request) {
    const char *end = strstr(request, "\r\n\r\n");
    if (end == NULL) return 0;
    const char *length = strcasestr(request, "\r\ncontent-length:");
    size_t body = length != NULL && length < end ? strtoul(length + 17, NULL, 10) : 0;
    return (size_t)(end - request) + 4 + body;
}

/* Reads one request to its end; false if none came. */
static bool read_request(visit *at) {
    char request[LARGEST_REQUEST];
    size_t length = 0;
    for (;;) {
        if (!wait_for(at->server, at->socket, POLLIN, -1)) return false;
        ssize_t got = recv(at->socket, request + length, sizeof request - 1 - length, MSG_DONTWAIT);
        if (got <= 0) return false;
        length += (size_t)got;
        request[length] = '\0';
        size_t whole = whole_length(request);
        if (whole != 0 && length >= whole) return true;
    }
}

static fake_step next_step(visit *at) {
    fake_server *server = at->server;
    pthread_mutex_lock(&server->lock);
    size_t last = server->step_count - 1;
    size_t index = server->requests < last ? server->requests : last;
    server->requests++;
    server->last_connection = at->number;
    fake_step step = server->steps[index];
    pthread_mutex_unlock(&server->lock);
    return step;
}

static void pour(visit *at, int pause_ms, size_t portion) {
    char drops[64 * 1024];
    memset(drops, 'x', sizeof drops);
    while (send_all(at, drops, portion)) {
        if (pause_ms > 0 && !wait_for(at->server, -1, 0, pause_ms)) return;
    }
}

/* Does what a step says after its bytes; true if the connection goes on. */
static bool go_on(visit *at, fake_then then) {
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    switch (then) {
    case FAKE_KEEP: return true;
    case FAKE_CLOSE: return false;
    case FAKE_RESET:
        setsockopt(at->socket, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        return false;
    case FAKE_HOLD: wait_for(at->server, at->socket, POLLRDHUP, -1); return false;
    case FAKE_DRIP: pour(at, DRIP_MS, 1); return false;
    case FAKE_FLOOD: pour(at, 0, 64 * 1024); return false;
    }
    return false;
}

static bool send_step(visit *at, const fake_step *step) {
    if (step->bytes == NULL) return true;
    size_t length = step->length != 0 ? step->length : strlen(step->bytes);
    if (!send_all(at, step->bytes, length)) return false;
    if (step->body == NULL) return true;
    char rest[4096];
    length = strlen(step->body);
    int head = snprintf(rest, sizeof rest, "Content-Length: %zu\r\n\r\n", length);
    need(head > 0 && (size_t)head < sizeof rest, "a Content-Length");
    if ((size_t)head + length < sizeof rest) {
        memcpy(rest + head, step->body, length);
        return send_all(at, rest, (size_t)head + length);
    }
    return send_all(at, rest, (size_t)head) && send_all(at, step->body, length);
}

static void *serve(void *argument) {
    visit *at = argument;
    while (read_request(at)) {
        fake_step step = next_step(at);
        if (!send_step(at, &step) || !go_on(at, step.then)) break;
    }
    close(at->socket);
    pthread_mutex_lock(&at->server->lock);
    at->state = ENDED;
    pthread_mutex_unlock(&at->server->lock);
    return NULL;
}

/* A place for one more; the lock is held. */
static visit *free_place(fake_server *server) {
    for (int i = 0; i < MOST_OPEN; i++) {
        visit *at = &server->all[i];
        if (at->state == ENDED) pthread_join(at->thread, NULL);
        if (at->state != OPEN) return at;
    }
    need(false, "more connections at once than a test can mean");
    return NULL;
}

static void *accept_all(void *argument) {
    fake_server *server = argument;
    while (wait_for(server, server->listener, POLLIN, -1)) {
        int socket = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
        if (socket < 0) continue;
        /* A response sent in two pieces is not to wait for the client's acknowledgement. */
        setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
        pthread_mutex_lock(&server->lock);
        visit *at = free_place(server);
        *at = (visit){.server = server, .state = OPEN, .socket = socket};
        at->number = ++server->connections;
        need(pthread_create(&at->thread, NULL, serve, at) == 0, "no thread");
        pthread_mutex_unlock(&server->lock);
    }
    return NULL;
}

static int bind_somewhere(struct sockaddr_in *address) {
    *address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof *address;
    int bound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    need(bound >= 0, "no socket");
    need(bind(bound, (struct sockaddr *)address, size) == 0, "no port");
    need(getsockname(bound, (struct sockaddr *)address, &size) == 0, "no address");
    return bound;
}

fake_server *fake_server_start(const fake_step *steps, size_t count) {
    fake_server *server = calloc(1, sizeof *server);
    need(server != NULL, "no memory");
    server->steps = calloc(count, sizeof *steps);
    need(server->steps != NULL, "no memory");
    memcpy(server->steps, steps, count * sizeof *steps);
    server->step_count = count;
    struct sockaddr_in address;
    server->listener = bind_somewhere(&address);
    need(listen(server->listener, 128) == 0, "can't listen");
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    server->stop = eventfd(0, EFD_CLOEXEC);
    need(server->stop >= 0, "no eventfd");
    pthread_mutex_init(&server->lock, NULL);
    need(pthread_create(&server->acceptor, NULL, accept_all, server) == 0, "no thread");
    return server;
}

void fake_server_stop(fake_server *server) {
    eventfd_write(server->stop, 1);
    pthread_join(server->acceptor, NULL);
    for (int i = 0; i < MOST_OPEN; i++) {
        if (server->all[i].state != FREE) pthread_join(server->all[i].thread, NULL);
    }
    close(server->listener);
    close(server->stop);
    pthread_mutex_destroy(&server->lock);
    free(server->steps);
    free(server);
}

const char *fake_server_url(const fake_server *server) {
    return server->url;
}

static uint64_t locked(fake_server *server, const uint64_t *number) {
    pthread_mutex_lock(&server->lock);
    uint64_t value = *number;
    pthread_mutex_unlock(&server->lock);
    return value;
}

uint64_t fake_server_requests(fake_server *server) {
    return locked(server, &server->requests);
}

uint64_t fake_server_connections(fake_server *server) {
    return locked(server, &server->connections);
}

int fake_server_open(fake_server *server) {
    int open = 0;
    pthread_mutex_lock(&server->lock);
    for (int i = 0; i < MOST_OPEN; i++) open += server->all[i].state == OPEN;
    pthread_mutex_unlock(&server->lock);
    return open;
}

uint64_t fake_server_last_connection(fake_server *server) {
    return locked(server, &server->last_connection);
}

const char *url_of_nobody(void) {
    static char url[64];
    if (url[0] == '\0') {
        struct sockaddr_in address;
        /* Stays bound, so that nobody else gets the port, but does not listen. */
        bind_somewhere(&address);
        snprintf(url, sizeof url, "http://127.0.0.1:%u", ntohs(address.sin_port));
    }
    return url;
}
