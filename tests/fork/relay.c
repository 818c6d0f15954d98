#define _GNU_SOURCE
#include "relay.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HEAD_SIZE = 4096 };

struct link {
    int client;
    int server;
    size_t length;
    char head[HEAD_SIZE];
};

static struct link links[RELAY_MOST];

static void die(const char *what) {
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

/* Takes a whole request out of the bytes that came, if there is one. */
static void read_request(struct relay_connection *seen, struct link *link) {
    char *end = memmem(link->head, link->length, "\r\n\r\n", 4);
    if (end == NULL) return;
    size_t size = (size_t)(end + 4 - link->head);
    *end = '\0';
    int owner = 0;
    if (sscanf(link->head, "GET /databases/p%d/tables HTTP/1.1", &owner) != 1 ||
        (seen->owner != 0 && seen->owner != owner) || seen->requests != seen->responses ||
        size != link->length) {
        fprintf(stderr, "relay: of %d and %d: %.80s\n", seen->owner, owner, link->head);
        seen->spoiled = true;
    }
    seen->owner = owner;
    seen->requests++;
    link->length = 0;
}

static bool forward(int to, const char *bytes, ssize_t length) {
    while (length > 0) {
        ssize_t sent = send(to, bytes, (size_t)length, MSG_NOSIGNAL);
        if (sent <= 0) return false;
        bytes += sent;
        length -= sent;
    }
    return true;
}

static void hang_up(struct link *link) {
    close(link->client);
    close(link->server);
    link->client = link->server = -1;
}

static void from_client(struct relay *relay, unsigned number) {
    struct relay_connection *seen = &relay->connections[number];
    struct link *link = &links[number];
    char bytes[HEAD_SIZE];
    ssize_t length = recv(link->client, bytes, sizeof bytes, 0);
    if (length <= 0) {
        if (relay->is_plain && (length < 0 || link->length > 0)) seen->spoiled = true;
        seen->ended = true;
        hang_up(link);
        return;
    }
    seen->bytes += (unsigned long long)length;
    if (relay->is_plain) {
        if ((size_t)length > sizeof link->head - link->length) {
            seen->spoiled = true;
        } else {
            memcpy(link->head + link->length, bytes, (size_t)length);
            link->length += (size_t)length;
            read_request(seen, link);
        }
    }
    if (!forward(link->server, bytes, length)) hang_up(link);
}

static void from_server(struct relay *relay, unsigned number) {
    struct relay_connection *seen = &relay->connections[number];
    struct link *link = &links[number];
    char bytes[16 * 1024];
    ssize_t length = recv(link->server, bytes, sizeof bytes, 0);
    if (length <= 0) {
        hang_up(link);
        return;
    }
    if (seen->responses < seen->requests) seen->responses++;
    if (!forward(link->client, bytes, length)) hang_up(link);
}

static void begin(struct relay *relay, int listener, uint16_t server_port) {
    unsigned number = relay->accepted;
    int client = accept(listener, NULL, NULL);
    int server = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = loopback(server_port);
    int one = 1;
    if (number == RELAY_MOST || client < 0 || server < 0 ||
        connect(server, (struct sockaddr *)&address, sizeof address) != 0) {
        die("relay: a connection");
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(server, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    links[number].client = client;
    links[number].server = server;
    relay->accepted++;
}

static void run(struct relay *relay, int listener, uint16_t server_port) {
    static struct pollfd entries[1 + 2 * RELAY_MOST];
    for (;;) {
        unsigned count = relay->accepted;
        entries[0] = (struct pollfd){.fd = listener, .events = POLLIN};
        for (unsigned i = 0; i < count; i++) {
            entries[1 + 2 * i] = (struct pollfd){.fd = links[i].client, .events = POLLIN};
            entries[2 + 2 * i] = (struct pollfd){.fd = links[i].server, .events = POLLIN};
        }
        if (poll(entries, 1 + 2 * count, -1) < 0) die("relay: poll");
        for (unsigned i = 0; i < count; i++) {
            if (entries[1 + 2 * i].revents) from_client(relay, i);
            if (entries[2 + 2 * i].revents && links[i].server >= 0) from_server(relay, i);
        }
        if (entries[0].revents) begin(relay, listener, server_port);
    }
}

struct relay *relay_start(uint16_t server_port, bool is_plain) {
    struct relay *relay = mmap(NULL, sizeof *relay, PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (relay == MAP_FAILED) die("mmap");
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address = loopback(0);
    socklen_t length = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 128) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) != 0) {
        die("relay: listen");
    }
    relay->port = ntohs(address.sin_port);
    relay->is_plain = is_plain;
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0) die("fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent) run(relay, listener, server_port);
        _exit(1);
    }
    close(listener);
    relay->pid = pid;
    return relay;
}

void relay_stop(struct relay *relay) {
    kill(relay->pid, SIGKILL);
    waitpid(relay->pid, NULL, 0);
    munmap(relay, sizeof *relay);
}
