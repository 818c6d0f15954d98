// phantomdb.hpp: the calls that do not wait. What the C interface promises of them has its own suite.
#include <phantomdb.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <exception>
#include <future>
#include <thread>
#include <type_traits>
#include <vector>

#include "devserver.h"
#include "fake_server.h"
#include "support.h"

namespace {

using namespace std::chrono_literals;
using phantomdb::lease, phantomdb::outcome, phantomdb::pool, phantomdb::result;
using phantomdb::scoped_ticket, phantomdb::ticket;

devserver server;

phantomdb::options options_for_url(const char *url, std::uint32_t connections = 3) {
    phantomdb::options options(url);
    options.min_connections = 0;
    options.max_connections = connections;
    options.acquire_timeout = std::chrono::milliseconds(WAIT_LIMIT_MS);
    return options;
}

// Waits for one outcome; keeps what is told twice from passing unseen.
template <class Value>
class receiver {
public:
    auto put() {
        return [this](outcome<Value> it) {
            times_++;
            promise_.set_value(std::move(it));
        };
    }

    outcome<Value> take() {
        auto future = promise_.get_future();
        if (future.wait_for(std::chrono::milliseconds(WAIT_LIMIT_MS)) != std::future_status::ready) {
            check_fail(__FILE__, __LINE__, "the callback never ran");
            return outcome<Value>(::phantomdb_error{});
        }
        return future.get();
    }

    int times() const { return times_; }

private:
    std::atomic<int> times_{0};
    std::promise<outcome<Value>> promise_;
};

// A step that never responds, and one that responds.
constexpr fake_step holds = {"", 0, FAKE_HOLD, nullptr};
constexpr fake_step responds = {"HTTP/1.1 200 OK\r\n", 0, FAKE_KEEP, "{\"status\":\"healthy\"}"};

template <class Expected, class Function>
void throws(const char *said, Function &&function) {
    try {
        function();
        check_fail(__FILE__, __LINE__, "nothing was thrown: %s", said);
    } catch (const phantomdb::error &error) {
        check_true(__FILE__, __LINE__, said, typeid(error) == typeid(Expected));
    }
}
#define THROWS(expected, ...) throws<phantomdb::expected>(#__VA_ARGS__, [&] { (void)(__VA_ARGS__); })

void what_can_be_moved_and_what_copied() {
    CHECK((std::is_nothrow_move_constructible_v<outcome<result>>));
    CHECK((std::is_nothrow_move_constructible_v<outcome<lease>>));
    CHECK(!std::is_copy_constructible_v<outcome<result>>);
    CHECK(std::is_nothrow_copy_constructible_v<ticket>);
    CHECK((std::is_nothrow_move_constructible_v<scoped_ticket> &&
           std::is_nothrow_move_assignable_v<scoped_ticket>));
    CHECK(!std::is_copy_constructible_v<scoped_ticket>);
}

void a_response_comes_to_its_callback() {
    receiver<result> response;
    std::atomic<std::thread::id> where{};
    pool p(options_for_url(server.url));
    // It can't be copied, and so is moved.
    auto alone = std::make_unique<int>(7);
    p.async([&, alone = std::move(alone), put = response.put()](outcome<result> it) {
         where = std::this_thread::get_id();
         CHECK_INT(*alone, 7);
         put(std::move(it));
     }).execute_query("async", "SELECT ? AS n", "[7]");
    const result got = response.take().value();
    CHECK_INT(got[0]["n"].as<int>(), 7);
    CHECK(where.load() != std::this_thread::get_id());
    CHECK_INT(p.status().used, 0);
}

void an_error_comes_to_its_callback() {
    receiver<result> response;
    pool p(options_for_url(server.url));
    p.async(response.put()).list_tables("no such database");
    outcome<result> it = response.take();
    CHECK(!it);
    CHECK_INT(it.code(), PHANTOMDB_ERR_HTTP);
    CHECK_INT(it.reason().http_status(), 404);
    CHECK_HAS(it.reason().what(), "no such database");
    THROWS(http_error, it.value());
    THROWS(http_error, std::move(it).value());
}

void a_function_that_was_named_may_be_the_callback() {
    receiver<result> one, other;
    pool p(options_for_url(server.url));
    const std::function<void(outcome<result>)> done = one.put();
    p.async(done).health_check();
    p.async(other.put()).request("GET", "/health");
    CHECK(static_cast<bool>(one.take()));
    CHECK(static_cast<bool>(other.take()));
    CHECK(done != nullptr);
}

void every_operation() {
    pool p(options_for_url(server.url));
    const auto comes_to = [](auto &&submit) {
        receiver<result> response;
        submit(response.put());
        return response.take().value();
    };
#define ON_POOL(...) \
    comes_to([&](auto done) { p.async(std::move(done)).__VA_ARGS__; })
    ON_POOL(create_database("ops"));
    ON_POOL(create_table("ops", "t", R"([{"name":"n","type":"integer"}])"));
    ON_POOL(insert("ops", "t", R"({"n":1})"));
    ON_POOL(insert("ops", "t", R"({"n":2})"));
    CHECK_INT(ON_POOL(update("ops", "t", R"({"n":3})", "n = 2")).affected_rows().value_or(-1), 1);
    CHECK_INT(ON_POOL(select("ops", "t")).row_count(), 2);
    CHECK_INT(ON_POOL(select("ops", "t", "n = 3")).row_count(), 1);
    CHECK_INT(ON_POOL(delete_rows("ops", "t", "n = 3")).affected_rows().value_or(-1), 1);
    CHECK_INT(ON_POOL(execute_query("ops", "SELECT n FROM t")).row_count(), 1);
    CHECK_INT(ON_POOL(list_tables("ops")).item_count(), 1);
    const result databases = ON_POOL(list_databases());
    CHECK(databases.item_count() >= 1);
    ON_POOL(drop_table("ops", "t"));
    ON_POOL(request("POST", "/databases/ops/tables", R"({"name":"u","columns":[{"name":"n","type":"integer"}]})"));
    ON_POOL(health_check());

    lease l = p.acquire();
#define ON_LEASE(...) \
    comes_to([&](auto done) { l.async(std::move(done)).__VA_ARGS__; })
    const result begun = ON_LEASE(begin_transaction("ops"));
    ON_LEASE(execute_query("ops", "CREATE TABLE w (n INTEGER)"));
    ON_LEASE(rollback_transaction(begun[0]["transaction_id"].text()));
    ON_LEASE(begin_transaction());
    ON_LEASE(commit_transaction());
    ON_LEASE(request("GET", "/health"));
    ON_LEASE(drop_database("ops"));
}

void a_lease_comes_to_its_callback() {
    receiver<lease> acquired;
    pool p(options_for_url(server.url, 1));
    p.acquire_async(acquired.put());
    {
        lease l = acquired.take().value();
        l.health_check();
        CHECK_INT(p.status().used, 1);
        receiver<lease> late;
        p.acquire_async_for(20ms, late.put());
        THROWS(timeout_error, late.take().value());
    }
    CHECK_INT(p.status().used, 0);
    // One that the callback does not keep is released with the outcome.
    std::promise<void> seen;
    p.acquire_async([&](outcome<lease> it) {
        CHECK(static_cast<bool>(it));
        seen.set_value();
    });
    seen.get_future().wait();
    p.acquire().health_check();
}

void requests_on_one_lease_take_turns() {
    constexpr int count = 20;
    std::vector<int> order;
    std::promise<void> last;
    pool p(options_for_url(server.url));
    lease l = p.acquire();
    for (int i = 0; i < count; i++) {
        l.async([&, i](outcome<result> it) {
             CHECK(static_cast<bool>(it));
             order.push_back(i);
             if (i == count - 1) last.set_value();
         }).health_check();
    }
    last.get_future().wait();
    for (int i = 0; i < count; i++) CHECK_INT(order[static_cast<std::size_t>(i)], i);
}

void tickets_cancel() {
    const fake_step steps[] = {holds, responds};
    fake_server *fake = fake_server_start(steps, 2);
    {
        receiver<result> cut, later;
        receiver<lease> waiting;
        pool p(options_for_url(fake_server_url(fake), 1));
        const ticket of_request = p.async(cut.put()).health_check();
        EVENTUALLY(fake_server_requests(fake) == 1);
        const ticket of_acquire = p.acquire_async(waiting.put());
        of_acquire.cancel();
        THROWS(cancelled, waiting.take().value());
        of_request.cancel();
        THROWS(cancelled, cut.take().value());
        of_request.cancel();
        p.async(later.put()).health_check();
        CHECK(static_cast<bool>(later.take()));
        ticket().cancel();
        CHECK_INT(cut.times(), 1);
    }
    fake_server_stop(fake);
}

void scoped_tickets_cancel_at_the_end_of_their_scope() {
    receiver<lease> dropped, replaced, kept;
    pool p(options_for_url(server.url, 1));
    lease held = p.acquire();
    { scoped_ticket it = p.acquire_async(dropped.put()); }
    THROWS(cancelled, dropped.take().value());
    {
        scoped_ticket it = p.acquire_async(replaced.put());
        scoped_ticket other = p.acquire_async(kept.put());
        it = std::move(other);
        THROWS(cancelled, replaced.take().value());
        it.detach();
    }
    held.release();
    CHECK(static_cast<bool>(kept.take()));
}

void a_call_that_is_refused_never_runs_its_callback() {
    pool p(options_for_url(server.url));
    const auto guard = std::make_shared<int>();
    const auto never = [guard](auto) { check_fail(__FILE__, __LINE__, "it ran"); };
    using namespace std::string_view_literals;
    THROWS(invalid_argument, p.async(never).drop_database("a\0b"sv));
    THROWS(invalid_argument, p.async(never).drop_database(".."));
    THROWS(invalid_argument, p.async(never).delete_rows("d", "t", " "));
    THROWS(invalid_argument, p.acquire_async_for(-1ms, never));
    lease l = p.acquire();
    l.release();
    THROWS(invalid_handle, l.async(never).health_check());
    p.close();
    THROWS(closed_error, p.async(never).health_check());
    THROWS(closed_error, p.acquire_async(never));
    // `never` has one, and no callback that was refused is left over.
    CHECK_INT(guard.use_count(), 2);
}

void callbacks_are_gone_when_they_have_run() {
    auto guard = std::make_shared<int>();
    const std::weak_ptr<int> watch = guard;
    pool p(options_for_url(server.url));
    p.async([guard](outcome<result>) {}).health_check();
    guard.reset();
    p.close();
    CHECK(watch.expired());
}

void closing() {
    receiver<void> over, again;
    receiver<lease> waiting;
    pool p(options_for_url(server.url, 1));
    lease held = p.acquire();
    p.acquire_async(waiting.put());
    p.close_async_for(0ms, over.put());
    THROWS(closed_error, waiting.take().value());
    over.take().value();
    THROWS(closed_error, held.health_check());
    p.close_async(again.put());
    again.take().value();
    p.close_for(0ms);
}

void what_waits_is_refused_in_a_callback() {
    std::promise<void> seen;
    pool p(options_for_url(server.url));
    p.async([&](outcome<result>) {
         THROWS(would_deadlock, p.acquire());
         THROWS(would_deadlock, p.close());
         CHECK(p.try_acquire().has_value());
         // Calls that do not wait are fine.
         p.async([&](outcome<result> it) {
              CHECK(static_cast<bool>(it));
              seen.set_value();
          }).health_check();
     }).health_check();
    seen.get_future().wait();
}

// What an exception out of a callback comes to, in a process of its own.
void an_exception_out_of_a_callback_ends_the_program() {
    const pid_t child = fork();
    if (child == 0) {
        std::set_terminate([] { _exit(42); });
        pool p(options_for_url(server.url));
        p.async([](outcome<result>) { throw 1; }).health_check();
        sleep(WAIT_LIMIT_MS / 1000);
        _exit(1);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

} // namespace

int main() {
    server = devserver_start(nullptr);
    {
        pool p(options_for_url(server.url));
        p.acquire().create_database("async");
    }
    check_run("what can be moved and what copied", what_can_be_moved_and_what_copied);
    check_run("a response comes to its callback", a_response_comes_to_its_callback);
    check_run("an error comes to its callback", an_error_comes_to_its_callback);
    check_run("a function that was named may be the callback",
              a_function_that_was_named_may_be_the_callback);
    check_run("every operation", every_operation);
    check_run("a lease comes to its callback", a_lease_comes_to_its_callback);
    check_run("requests on one lease take turns", requests_on_one_lease_take_turns);
    check_run("tickets cancel", tickets_cancel);
    check_run("scoped tickets cancel at the end of their scope",
              scoped_tickets_cancel_at_the_end_of_their_scope);
    check_run("a call that is refused never runs its callback",
              a_call_that_is_refused_never_runs_its_callback);
    check_run("callbacks are gone when they have run", callbacks_are_gone_when_they_have_run);
    check_run("closing", closing);
    check_run("what waits is refused in a callback", what_waits_is_refused_in_a_callback);
    check_run("an exception out of a callback ends the program",
              an_exception_out_of_a_callback_ends_the_program);
    devserver_stop(&server);
    return check_end();
}
