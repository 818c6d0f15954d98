// The agent for C++: calls that wait, each on a thread of its own.
#include <thread>

#include "things.hpp"

namespace {

/// A request on a lease, or on one that is acquired for it: the class pool has no operations by
/// name but query and request.
template <class Request>
void send(cJSON *command, Request &&request) {
    const std::string on = on_of(command);
    if (const auto lease = all.lease(on)) {
        report_json(command, std::string(request(*lease).text()).c_str());
        return;
    }
    phantomdb::lease lease = all.pool(on)->pool->acquire();
    const phantomdb::result result = request(lease);
    lease.release();
    report_json(command, std::string(result.text()).c_str());
}

void request(cJSON *command) {
    const std::string_view method = text_of(command, "method"), path = text_of(command, "path");
    const auto body = optional_text(command, "body");
    const std::string on = on_of(command);
    const auto lease = all.lease(on);
    const phantomdb::result result = lease ? lease->request(method, path, body)
                                           : all.pool(on)->pool->request(method, path, body);
    report_json(command, std::string(result.text()).c_str());
}

void acquire(cJSON *command) {
    const auto named = all.pool(on_of(command));
    const auto timeout = timeout_of(command);
    keep_lease(command, timeout ? named->pool->acquire_for(*timeout) : named->pool->acquire());
}

void close(cJSON *command) {
    const auto named = all.pool(on_of(command));
    if (const auto timeout = timeout_of(command)) named->pool->close_for(*timeout);
    else named->pool->close();
    report_nothing(command);
}

void work(cJSON *command) try {
    if (is(command, "acquire")) {
        acquire(command);
    } else if (is(command, "run")) {
        const operation wanted(command);
        send(command, [&](phantomdb::lease &lease) { return wanted.call_on_lease(lease); });
    } else if (is(command, "request")) {
        request(command);
    } else if (is(command, "close")) {
        close(command);
    } else if (is(command, "end")) {
        all.end();
        report_nothing(command);
    } else if (!carry_out(command)) {
        std::cerr << "there is no command " << text_of(command, "do") << '\n';
        std::abort();
    }
} catch (const phantomdb::error &error) {
    report(command, error);
}

} // namespace

int main() {
    while (cJSON *command = next_command()) std::thread(work, command).detach();
}
