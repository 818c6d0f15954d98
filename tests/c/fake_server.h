/* A server that misbehaves as it is told: it responds to each request with the next step of a
 * script, byte for byte, and the last step again and again. */
#ifndef FAKE_SERVER_H
#define FAKE_SERVER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What it does when the bytes of a step are sent. */
typedef enum fake_then {
    FAKE_KEEP,  /* waits for the next request on this connection */
    FAKE_CLOSE, /* closes it */
    FAKE_RESET, /* resets it, so that the client gets ECONNRESET */
    FAKE_HOLD,  /* neither sends nor reads nor closes, until the client or the test goes */
    FAKE_DRIP,  /* sends an "x" every few milliseconds, for ever */
    FAKE_FLOOD, /* sends "x" as fast as it can, for ever */
} fake_then;

typedef struct fake_step {
    const char *bytes; /* NULL for none */
    size_t length;     /* 0 for as many as there are before the NUL */
    fake_then then;
    const char *body; /* or NULL; sent after the bytes, which are a head without its blank line,
                       * and a Content-Length that is right */
} fake_step;

typedef struct fake_server fake_server;

/* Starts it on a free port of 127.0.0.1; the script is copied, its bytes are not. */
fake_server *fake_server_start(const fake_step *steps, size_t count);

/* Cuts all connections, joins all threads, and frees it. */
void fake_server_stop(fake_server *server);

const char *fake_server_url(const fake_server *server);

/* How many requests came, and how many connections. */
uint64_t fake_server_requests(fake_server *server);
uint64_t fake_server_connections(fake_server *server);

/* How many connections it has not closed. */
int fake_server_open(fake_server *server);

/* Which connection, counted from 1, the last request came on. */
uint64_t fake_server_last_connection(fake_server *server);

/* The URL of a port on which nobody listens. */
const char *url_of_nobody(void);

#ifdef __cplusplus
}
#endif

#endif
