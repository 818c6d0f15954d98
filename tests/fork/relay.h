#ifndef RELAY_H
#define RELAY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { RELAY_MOST = 4096 };

/* What the relay saw of one connection. */
struct relay_connection {
    /* The process that the requests name; 0 without a request in plain text. */
    atomic_int owner;
    atomic_uint requests;
    atomic_uint responses;
    atomic_ullong bytes;
    /* The client sent a FIN or a RST. */
    atomic_bool ended;
    /* A request that is not whole, or comes while another is in flight, or names another process. */
    atomic_bool spoiled;
};

/* In memory that the relay and every process of the test share. */
struct relay {
    pid_t pid;
    uint16_t port;
    bool is_plain;
    atomic_uint accepted;
    struct relay_connection connections[RELAY_MOST];
};

/*
 * Starts a process that stands between the pools and the server on `server_port`, and writes down
 * what each connection carries. It ends with the process that calls this.
 */
struct relay *relay_start(uint16_t server_port, bool is_plain);

void relay_stop(struct relay *relay);

#endif
