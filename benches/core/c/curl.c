/* libcurl's easy handles, each with its own kept connection, on a shelf. */
#include "contender.h"
#include "shelf.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct handle {
    CURL *easy;
    char *body;
    size_t length, size;
} handle;

typedef struct pool {
    shelf *handles;
    int connections;
} pool;

static size_t take_in(char *bytes, size_t size, size_t count, void *opaque) {
    handle *it = opaque;
    size_t length = size * count;
    if (it->length + length > it->size) {
        it->size = (it->length + length) * 2;
        it->body = realloc(it->body, it->size);
        if (!it->body) abort();
    }
    memcpy(it->body + it->length, bytes, length);
    it->length += length;
    return length;
}

static void *open_curl(int connections, const char *host, int port, const char *path,
                       const char *ca_file) {
    (void)ca_file;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) return NULL;
    pool *self = calloc(1, sizeof *self);
    if (!self) abort();
    self->handles = shelf_new(connections);
    self->connections = connections;
    char url[512];
    snprintf(url, sizeof url, "http://%s:%d%s/databases", host, port, path);
    for (int i = 0; i < connections; i++) {
        handle *it = calloc(1, sizeof *it);
        if (!it || !(it->easy = curl_easy_init())) abort();
        curl_easy_setopt(it->easy, CURLOPT_URL, url);
        curl_easy_setopt(it->easy, CURLOPT_WRITEFUNCTION, take_in);
        curl_easy_setopt(it->easy, CURLOPT_WRITEDATA, it);
        curl_easy_setopt(it->easy, CURLOPT_NOSIGNAL, 1L);
        curl_easy_setopt(it->easy, CURLOPT_TCP_NODELAY, 1L);
        shelf_put(self->handles, it);
    }
    return self;
}

static int request(handle *it) {
    it->length = 0;
    long status = 0;
    return curl_easy_perform(it->easy) == CURLE_OK &&
                   curl_easy_getinfo(it->easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK &&
                   status == 200 && bench_parse(it->body, it->length) > 0
               ? 0
               : -1;
}

static int run(void *opaque, uint64_t count) {
    pool *self = opaque;
    int failed = 0;
    for (uint64_t i = 0; i < count && !failed; i++) {
        handle *it = shelf_take(self->handles);
        failed = request(it);
        shelf_put(self->handles, it);
    }
    return failed;
}

static void close_curl(void *opaque) {
    pool *self = opaque;
    for (int i = 0; i < self->connections; i++) {
        handle *it = shelf_take(self->handles);
        curl_easy_cleanup(it->easy);
        free(it->body);
        free(it);
    }
    free(self->handles);
    free(self);
}

const contender curl_requests = {open_curl, run, close_curl};
