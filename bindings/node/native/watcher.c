/* The sockets of requests that go step by step, watched by the event loop of JavaScript's thread, and their
 * deadlines. libuv watches one descriptor, of an epoll; that watches the sockets, which libuv would make
 * non-blocking, and forgets those that the library closes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "addon.h"

/* Of libuv, which is a part of Node.js; its header is not everywhere where node_api.h is. Weak, because other
 * runtimes have an event loop of their own. */
typedef struct uv_poll_s uv_poll_t;
extern size_t uv_handle_size(int type) __attribute__((weak));
extern int uv_poll_init(struct uv_loop_s *loop, uv_poll_t *handle, int descriptor) __attribute__((weak));
extern int uv_poll_start(uv_poll_t *handle, int events, void (*ready)(uv_poll_t *, int, int))
    __attribute__((weak));
extern void uv_handle_set_data(uv_poll_t *handle, void *data) __attribute__((weak));
extern void *uv_handle_get_data(const uv_poll_t *handle) __attribute__((weak));
extern void uv_unref(uv_poll_t *handle) __attribute__((weak));
extern void uv_close(uv_poll_t *handle, void (*closed)(uv_poll_t *)) __attribute__((weak));
enum { UV_POLL = 8, UV_READABLE = 1 };

/* How many sockets are looked at before others of the event loop have their turn. */
enum { READY = 64 };
/* What epoll says of the timer; no socket has it. */
#define TIMER UINT64_MAX

/* A socket, by its descriptor. */
typedef struct watched {
    uint64_t socket;
    /* The call whose request waits for it, and one more; 0 if none does. */
    uint32_t call;
} watched;

struct watcher {
    /* NULL once it has ended. */
    environment *state;
    napi_env env;
    napi_async_context context;
    napi_async_cleanup_hook_handle hook;
    uv_poll_t *handle;
    int epoll;
    int timer;
    /* When the timer is over, in milliseconds. */
    int64_t due;
    watched *sockets;
    uint32_t capacity;
};

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

static void on_closed(uv_poll_t *handle) {
    watcher *it = uv_handle_get_data(handle);
    close(it->timer);
    close(it->epoll);
    napi_remove_async_cleanup_hook(it->hook);
    free(it->sockets);
    free(it->handle);
    free(it);
}

void watcher_end(watcher *it) {
    if (it == NULL || it->state == NULL) return;
    it->state->watcher = NULL;
    it->state = NULL;
    napi_async_destroy(it->env, it->context);
    uv_close(it->handle, on_closed);
}

/* The thread of JavaScript ends, and waits until the handle is closed. */
static void on_end(napi_async_cleanup_hook_handle hook, void *data) {
    (void)hook;
    watcher_end(data);
}

static void set_timer(watcher *it, int64_t due) {
    int64_t wait = due - now_ms();
    if (wait < 1) wait = 1;
    struct itimerspec in = {.it_value = {.tv_sec = wait / 1000, .tv_nsec = wait % 1000 * 1000000}};
    it->due = due;
    timerfd_settime(it->timer, 0, &in, NULL);
}

/* Goes on with those whose time is over, and sets the timer for the next. */
static void on_time(watcher *it) {
    uint64_t times;
    int64_t now = now_ms(), next = INT64_MAX;
    it->due = INT64_MAX;
    if (read(it->timer, &times, sizeof times) < 0) return;
    for (uint32_t i = 0; i < it->capacity; i++) {
        uint32_t id = it->sockets[i].call;
        if (id == 0) continue;
        int64_t due = it->state->calls[id - 1].due;
        if (due <= now) {
            it->sockets[i].call = 0;
            steps_resume(it->state, id - 1);
        } else if (due < next) {
            next = due;
        }
    }
    if (next < it->due) set_timer(it, next);
}

static void on_socket(watcher *it, uint64_t which) {
    uint32_t descriptor = (uint32_t)(which >> 32);
    if (descriptor >= it->capacity) return;
    watched *socket = &it->sockets[descriptor];
    /* It tells of sockets without a request too: the server has closed it, say. */
    if ((uint32_t)socket->socket != (uint32_t)which || socket->call == 0) return;
    uint32_t id = socket->call - 1;
    socket->call = 0;
    steps_resume(it->state, id);
}

static void on_ready(uv_poll_t *handle, int status, int events) {
    (void)status;
    (void)events;
    watcher *it = uv_handle_get_data(handle);
    struct epoll_event ready[READY];
    int count = it->state != NULL ? epoll_wait(it->epoll, ready, READY, 0) : 0;
    if (count <= 0) return;
    napi_env env = it->env;
    napi_handle_scope scope;
    if (napi_open_handle_scope(env, &scope) != napi_ok) return;
    environment *state = it->state;
    environment_hold(state);
    /* What connections that go back bring others is told with the rest. */
    state->is_looking = true;
    for (int i = 0; i < count; i++) {
        if (ready[i].data.u64 == TIMER) on_time(it);
        else on_socket(it, ready[i].data.u64);
    }
    state->is_looking = false;
    if (state->over_count > 0 || state->has_found) {
        napi_callback_scope callback;
        napi_value exception;
        bool is_thrown = false;
        if (napi_open_callback_scope(env, NULL, it->context, &callback) == napi_ok) {
            messages_deliver(env, state);
            napi_is_exception_pending(env, &is_thrown);
            if (is_thrown && napi_get_and_clear_last_exception(env, &exception) == napi_ok) {
                napi_fatal_exception(env, exception);
            }
            napi_close_callback_scope(env, callback);
        }
    }
    environment_release(state);
    napi_close_handle_scope(env, scope);
}

static bool open_descriptors(watcher *it) {
    it->epoll = epoll_create1(EPOLL_CLOEXEC);
    it->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    struct epoll_event timer = {.events = EPOLLIN, .data.u64 = TIMER};
    if (it->epoll >= 0 && it->timer >= 0 && epoll_ctl(it->epoll, EPOLL_CTL_ADD, it->timer, &timer) == 0) {
        return true;
    }
    if (it->epoll >= 0) close(it->epoll);
    if (it->timer >= 0) close(it->timer);
    return false;
}

static bool open_handle(napi_env env, watcher *it) {
    struct uv_loop_s *loop;
    napi_value name, resource;
    if (uv_poll_init == NULL || napi_get_uv_event_loop(env, &loop) != napi_ok ||
        !environment_describe(env, it->state, &name, &resource) ||
        napi_async_init(env, resource, name, &it->context) != napi_ok) {
        return false;
    }
    it->handle = calloc(1, uv_handle_size(UV_POLL));
    if (it->handle == NULL || uv_poll_init(loop, it->handle, it->epoll) != 0) {
        free(it->handle);
        napi_async_destroy(env, it->context);
        return false;
    }
    uv_handle_set_data(it->handle, it);
    /* From here on only uv_close ends it. */
    it->state->watcher = it;
    napi_add_async_cleanup_hook(env, on_end, it, &it->hook);
    if (uv_poll_start(it->handle, UV_READABLE, on_ready) != 0) {
        watcher_end(it);
        return true;
    }
    /* Calls that are under way keep the process alive. */
    uv_unref(it->handle);
    return true;
}

bool watcher_begin(napi_env env, environment *state) {
    if (state->watcher != NULL) return true;
    if (!state->may_watch) return false;
    /* If it fails now, it is not tried again. */
    state->may_watch = false;
    watcher *it = calloc(1, sizeof *it);
    if (it == NULL) return false;
    it->state = state;
    it->env = env;
    it->due = INT64_MAX;
    if (!open_descriptors(it)) {
        free(it);
        return false;
    }
    if (!open_handle(env, it)) {
        close(it->timer);
        close(it->epoll);
        free(it);
        return false;
    }
    return state->watcher != NULL;
}

static bool reserve(watcher *it, uint32_t descriptor) {
    if (descriptor < it->capacity) return true;
    uint32_t capacity = it->capacity ? 2 * it->capacity : 64;
    while (capacity <= descriptor) capacity *= 2;
    watched *sockets = realloc(it->sockets, capacity * sizeof *sockets);
    if (sockets == NULL) return false;
    memset(sockets + it->capacity, 0, (capacity - it->capacity) * sizeof *sockets);
    it->sockets = sockets;
    it->capacity = capacity;
    return true;
}

/* Each time that a socket becomes ready is told once, so that it can stay watched between requests. */
static bool watch(watcher *it, int descriptor, uint64_t socket) {
    struct epoll_event all = {
        .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
        .data.u64 = (uint64_t)descriptor << 32 | (uint32_t)socket,
    };
    return epoll_ctl(it->epoll, EPOLL_CTL_ADD, descriptor, &all) == 0 ||
           (errno == EEXIST && epoll_ctl(it->epoll, EPOLL_CTL_MOD, descriptor, &all) == 0);
}

bool watcher_wait(environment *state, uint32_t id, const phantomdb_step *step) {
    watcher *it = state->watcher;
    if (it == NULL || !reserve(it, (uint32_t)step->descriptor)) return false;
    watched *socket = &it->sockets[step->descriptor];
    if (socket->socket != step->socket) {
        if (!watch(it, step->descriptor, step->socket)) return false;
        socket->socket = step->socket;
    }
    socket->call = id + 1;
    int64_t due = now_ms() + step->timeout_ms;
    state->calls[id].descriptor = step->descriptor;
    state->calls[id].due = due;
    if (due < it->due) set_timer(it, due);
    return true;
}

void watcher_forget(environment *state, uint32_t id) {
    watcher *it = state->watcher;
    uint32_t descriptor = (uint32_t)state->calls[id].descriptor;
    if (it != NULL && descriptor < it->capacity && it->sockets[descriptor].call == id + 1) {
        it->sockets[descriptor].call = 0;
    }
}
