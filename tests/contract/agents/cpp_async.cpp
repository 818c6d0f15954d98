// The agent for C++'s calls that do not wait: one thread, and callbacks that report.
#include "things.hpp"

namespace {

/// Of the calls by the numbers of their commands; so many of the latest: what is older is over.
std::map<std::int64_t, phantomdb::ticket> tickets;
constexpr std::size_t most_tickets = 1 << 10;

void keep(std::int64_t id, phantomdb::ticket ticket) {
    tickets[id] = std::move(ticket);
    if (tickets.size() > most_tickets) tickets.erase(tickets.begin());
}

/// Reports a result or an error.
auto reporting(cJSON *command) {
    return [command](phantomdb::outcome<phantomdb::result> it) {
        if (it) report_json(command, std::string(it.value().text()).c_str());
        else report(command, it.reason());
    };
}

phantomdb::ticket acquire(cJSON *command) {
    const auto named = all.pool(on_of(command));
    auto done = [command](phantomdb::outcome<phantomdb::lease> it) {
        if (it) keep_lease(command, std::move(it).value());
        else report(command, it.reason());
    };
    const auto timeout = timeout_of(command);
    return timeout ? named->pool->acquire_async_for(*timeout, done)
                   : named->pool->acquire_async(done);
}

phantomdb::ticket run(cJSON *command) {
    const operation wanted(command);
    const std::string on = on_of(command);
    if (const auto lease = all.lease(on)) {
        return wanted.call_on_lease(lease->async(reporting(command)));
    }
    return wanted.call(all.pool(on)->pool->async(reporting(command)));
}

phantomdb::ticket request(cJSON *command) {
    const std::string on = on_of(command);
    const std::string_view method = text_of(command, "method"), path = text_of(command, "path");
    const auto body = optional_text(command, "body");
    if (const auto lease = all.lease(on)) {
        return lease->async(reporting(command)).request(method, path, body);
    }
    return all.pool(on)->pool->async(reporting(command)).request(method, path, body);
}

void close(cJSON *command) {
    const auto named = all.pool(on_of(command));
    const auto done = [command, named](phantomdb::outcome<void> it) {
        if (it) report_nothing(command);
        else report(command, it.reason());
    };
    if (const auto timeout = timeout_of(command)) named->pool->close_async_for(*timeout, done);
    else named->pool->close_async(done);
}

void carry_out_any(cJSON *command) try {
    // Before the call, because its report frees the command.
    const std::int64_t id = number_of(command, "id", 0);
    if (is(command, "acquire")) {
        keep(id, acquire(command));
    } else if (is(command, "run")) {
        keep(id, run(command));
    } else if (is(command, "request")) {
        keep(id, request(command));
    } else if (is(command, "close")) {
        close(command);
    } else if (is(command, "cancel")) {
        tickets[number_of(command, "call", 0)].cancel();
        report_nothing(command);
    } else if (is(command, "end")) {
        all.end();
        tickets.clear();
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
    while (cJSON *command = next_command()) carry_out_any(command);
}
