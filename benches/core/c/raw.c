/* Sockets kept open, and HTTP as far as this one request needs it: what the wire itself costs. */
#define _GNU_SOURCE
#include "contender.h"
#include "shelf.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct line {
    int socket;
    char *buffer;
    size_t size;
} line;

typedef struct raw {
    shelf *lines;
    int connections;
    char request[512];
    size_t request_length;
} raw;

static int dial(const char *host, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) return -1;
    int dialled = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    if (dialled < 0 || connect(dialled, (struct sockaddr *)&address, sizeof address) != 0 ||
        setsockopt(dialled, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        perror("raw: connect");
        return -1;
    }
    return dialled;
}

static void *open_raw(int connections, const char *host, int port, const char *path,
                      const char *ca_file) {
    (void)ca_file;
    raw *self = calloc(1, sizeof *self);
    if (!self) abort();
    self->connections = connections;
    self->lines = shelf_new(connections);
    self->request_length = (size_t)snprintf(
        self->request, sizeof self->request,
        "GET %s/databases HTTP/1.1\r\nhost: %s:%d\r\nuser-agent: raw\r\naccept: */*\r\n"
        "accept-encoding: identity\r\n\r\n",
        path, host, port);
    for (int i = 0; i < connections; i++) {
        line *it = calloc(1, sizeof *it);
        if (!it || (it->socket = dial(host, port)) < 0) return NULL;
        it->size = 256 * 1024;
        it->buffer = malloc(it->size);
        if (!it->buffer) abort();
        shelf_put(self->lines, it);
    }
    return self;
}

/* One request and its response; gives 0 if the response was understood. */
static int request(const raw *self, line *it) {
    if (send(it->socket, self->request, self->request_length, MSG_NOSIGNAL) !=
        (ssize_t)self->request_length) {
        return -1;
    }
    size_t filled = 0, body = 0, end = 0;
    do {
        ssize_t received = recv(it->socket, it->buffer + filled, it->size - 1 - filled, 0);
        if (received <= 0) return -1;
        filled += (size_t)received;
        it->buffer[filled] = '\0';
        if (!body) {
            const char *head_end = strstr(it->buffer, "\r\n\r\n");
            const char *length = strcasestr(it->buffer, "\r\ncontent-length:");
            if (!head_end || !length) continue;
            body = (size_t)(head_end + 4 - it->buffer);
            end = body + strtoul(length + strlen("\r\ncontent-length:"), NULL, 10);
            if (end >= it->size) return -1;
        }
    } while (!body || filled < end);
    return memcmp(it->buffer, "HTTP/1.1 200 ", 13) == 0 &&
                   bench_parse(it->buffer + body, end - body) > 0
               ? 0
               : -1;
}

static int run(void *opaque, uint64_t count) {
    raw *self = opaque;
    int failed = 0;
    for (uint64_t i = 0; i < count && !failed; i++) {
        line *it = shelf_take(self->lines);
        failed = request(self, it);
        shelf_put(self->lines, it);
    }
    return failed;
}

static void close_raw(void *opaque) {
    raw *self = opaque;
    for (int i = 0; i < self->connections; i++) {
        line *it = shelf_take(self->lines);
        close(it->socket);
        free(it->buffer);
        free(it);
    }
    free(self->lines);
    free(self);
}

const contender raw_requests = {open_raw, run, close_raw};
