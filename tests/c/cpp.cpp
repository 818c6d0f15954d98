// phantomdb.hpp: what it adds to the C interface, which has its own suites.
#include <phantomdb.hpp>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <thread>
#include <type_traits>
#include <vector>

#include "devserver.h"
#include "fake_server.h"
#include "support.h"

// Of cpp_second_unit.cpp, which includes the header too.
std::string default_url_of_second_unit();

namespace {

using namespace std::chrono_literals;

devserver server;

phantomdb::options options_here() {
    phantomdb::options options(server.url);
    options.max_connections = 3;
    options.acquire_timeout = std::chrono::milliseconds(WAIT_LIMIT_MS);
    return options;
}

// Checks that something throws exactly this class, and gives it back for a closer look.
template <class Expected, class Function>
phantomdb::error thrown(const char *file, int line, const char *said, Function &&function) {
    try {
        function();
    } catch (const phantomdb::error &error) {
        check_true(file, line, said, typeid(error) == typeid(Expected));
        if (typeid(error) != typeid(Expected)) check_fail(file, line, "it said: %s", error.what());
        return error;
    }
    check_fail(file, line, "nothing was thrown: %s", said);
    return phantomdb::error(::phantomdb_error{});
}
#define THROWN(expected, ...) \
    thrown<phantomdb::expected>(__FILE__, __LINE__, #__VA_ARGS__, [&] { (void)(__VA_ARGS__); })

std::string text(std::string_view view) {
    return std::string(view);
}
#define CHECK_VIEW(actual, expected) CHECK_TEXT(text(actual).c_str(), expected)

// A database that is gone at the end of its scope.
class database {
public:
    explicit database(phantomdb::lease &lease) : lease_(lease) { lease_.create_database(name); }
    ~database() { lease_.drop_database(name); }
    database(const database &) = delete;
    database &operator=(const database &) = delete;

    static constexpr const char *name = "c++/é #?%";

private:
    phantomdb::lease &lease_;
};

void what_can_be_moved_and_what_copied() {
    using phantomdb::lease, phantomdb::pool, phantomdb::result, phantomdb::transaction;
    CHECK((std::is_nothrow_move_constructible_v<pool> && std::is_nothrow_move_assignable_v<pool>));
    CHECK((std::is_nothrow_move_constructible_v<lease> && std::is_nothrow_move_assignable_v<lease>));
    CHECK((std::is_nothrow_move_constructible_v<result> &&
           std::is_nothrow_move_assignable_v<result>));
    CHECK((std::is_nothrow_move_constructible_v<transaction> &&
           std::is_nothrow_move_assignable_v<transaction>));
    CHECK(!std::is_copy_constructible_v<pool> && !std::is_copy_assignable_v<pool>);
    CHECK(!std::is_copy_constructible_v<lease> && !std::is_copy_assignable_v<lease>);
    CHECK(!std::is_copy_constructible_v<result> && !std::is_copy_assignable_v<result>);
    CHECK(!std::is_copy_constructible_v<transaction> && !std::is_copy_assignable_v<transaction>);
    CHECK((std::is_nothrow_destructible_v<pool> && std::is_nothrow_destructible_v<lease>));
    CHECK((std::is_base_of_v<std::runtime_error, phantomdb::error>));
    CHECK((std::is_nothrow_copy_constructible_v<phantomdb::error>));
}

void defaults_come_from_the_library() {
    const phantomdb::options options;
    ::phantomdb_pool_options given;
    ::phantomdb_pool_options_init(&given, sizeof given);
    CHECK_TEXT(options.base_url.c_str(), given.base_url);
    CHECK_INT(options.min_connections, given.min_connections);
    CHECK_INT(options.max_connections, given.max_connections);
    CHECK_INT(options.max_connecting, given.max_connecting);
    CHECK_INT(options.max_waiters, given.max_waiters);
    CHECK(options.acquire_timeout == 30s && options.idle_timeout == 60s);
    CHECK_INT(options.max_lifetime.count(), given.max_lifetime_ms);
    CHECK(options.validation == phantomdb::validation::socket);
    CHECK_INT(options.validate_after.count(), given.validate_after_ms);
    CHECK_INT(options.validation_timeout.count(), given.validation_timeout_ms);
    CHECK_INT(options.request_timeout.count(), given.request_timeout_ms);
    CHECK_INT(options.connect_timeout.count(), given.connect_timeout_ms);
    CHECK_INT(options.close_timeout.count(), given.close_timeout_ms);
    CHECK_INT(options.max_response_bytes, given.max_response_bytes);
    CHECK_INT(options.leak_threshold.count(), given.leak_threshold_ms);
    CHECK(!options.log);
    CHECK(!options.preconnect && !options.token && !options.tls_ca_file);
    CHECK_TEXT(default_url_of_second_unit().c_str(), given.base_url);
    CHECK_VIEW(phantomdb::version(), ::phantomdb_version());
}

template <class Value>
bool is_of_type(std::int32_t type) {
    if (type == PHANTOMDB_OPTION_COUNT) return std::is_same_v<Value, std::uint32_t>;
    if (type == PHANTOMDB_OPTION_SIZE) return std::is_same_v<Value, std::uint64_t>;
    if (type == PHANTOMDB_OPTION_TIME) return std::is_same_v<Value, std::chrono::milliseconds>;
    if (type == PHANTOMDB_OPTION_FLAG) return std::is_same_v<Value, bool>;
    if (type == PHANTOMDB_OPTION_CHOICE) return std::is_same_v<Value, phantomdb::validation>;
    if (type == PHANTOMDB_OPTION_FILE) return std::is_same_v<Value, std::optional<std::string>>;
    return type == PHANTOMDB_OPTION_TEXT &&
           (std::is_same_v<Value, std::string> || std::is_same_v<Value, std::optional<std::string>>);
}

void the_options_are_those_of_the_library() {
    std::uint64_t count = 0;
    const ::phantomdb_option_info *table = ::phantomdb_option_table(&count);
    std::uint64_t visited = 0;
    const phantomdb::options options;
    ::phantomdb_pool_options given;
    ::phantomdb_pool_options_init(&given, sizeof given);
    phantomdb::detail::each_option(options, given, [&](const char *name, auto &value, auto &member) {
        check_about("%s", name);
        visited++;
        const auto *option = table;
        while (option < table + count && std::strcmp(option->name, name) != 0) option++;
        CHECK(option < table + count);
        if (option == table + count) return;
        using type = std::remove_const_t<std::remove_reference_t<decltype(value)>>;
        CHECK(is_of_type<type>(option->type));
        const auto *place = reinterpret_cast<const char *>(&member);
        CHECK_INT(place - reinterpret_cast<const char *>(&given), option->offset);
        CHECK_INT(sizeof member, option->size);
        if constexpr (std::is_same_v<type, std::chrono::milliseconds>) {
            CHECK_INT(value.count(), option->default_number);
        } else if constexpr (std::is_same_v<type, std::optional<std::string>>) {
            CHECK(!value && option->default_text == nullptr);
        } else if constexpr (std::is_same_v<type, std::string>) {
            CHECK_TEXT(value.c_str(), option->default_text);
        } else {
            CHECK_INT(static_cast<std::int64_t>(value), option->default_number);
        }
    });
    // All but log, which is a function.
    CHECK_INT(visited, count - 1);
}

// Each option reaches the library: a senseless value of each is refused by name.
void every_option_is_passed_on() {
    const auto refused = [](const char *name, auto &&change) {
        check_about("%s", name);
        phantomdb::options options("https://localhost");
        change(options);
        const phantomdb::error error = THROWN(invalid_argument, phantomdb::pool(options));
        CHECK_HAS(error.what(), name);
        CHECK_INT(error.code(), PHANTOMDB_ERR_INVALID_ARGUMENT);
    };
    refused("base_url", [](auto &o) { o.base_url = "nowhere"; });
    refused("token", [](auto &o) { o.token = "a b"; });
    refused("min_connections", [](auto &o) { o.min_connections = 11; });
    refused("max_connections", [](auto &o) { o.max_connections = 0; });
    refused("max_connecting", [](auto &o) { o.max_connecting = 0; });
    refused("acquire_timeout", [](auto &o) { o.acquire_timeout = 0s; });
    refused("idle_timeout", [](auto &o) { o.idle_timeout = -1s; });
    refused("max_lifetime", [](auto &o) { o.max_lifetime = 24h * 366; });
    refused("validation", [](auto &o) { o.validation = static_cast<phantomdb::validation>(7); });
    refused("validate_after", [](auto &o) { o.validate_after = -1ms; });
    refused("validation_timeout", [](auto &o) { o.validation_timeout = 0ms; });
    refused("request_timeout", [](auto &o) { o.request_timeout = 0ms; });
    refused("connect_timeout", [](auto &o) { o.connect_timeout = 0ms; });
    refused("close_timeout", [](auto &o) { o.close_timeout = -1ms; });
    refused("leak_threshold", [](auto &o) { o.leak_threshold = -1ms; });
    refused("max_response_bytes", [](auto &o) { o.max_response_bytes = 0; });
    refused("tls_ca_file", [](auto &o) { o.tls_ca_file = "/no/such/file"; });
    refused("tls_cert_file", [](auto &o) { o.tls_cert_file = "/no/such/file"; });
    refused("tls_key_file", [](auto &o) { o.tls_key_file = "/no/such/file"; });

    phantomdb::options one = options_here();
    one.max_connections = 1;
    one.min_connections = 1;
    one.max_waiters = 0;
    phantomdb::pool pool(one);
    const phantomdb::lease lease = pool.acquire();
    CHECK_HAS(THROWN(overloaded_error, pool.acquire()).what(), "max_waiters");

    phantomdb::options eager(server.url);
    eager.preconnect = true;
    const phantomdb::pool opened(eager);
    EVENTUALLY(opened.status().available == eager.min_connections);
}

// The table of codes has a class for each, in the one place that maps them.
void every_code_has_its_class() {
    std::uint64_t count = 0;
    const ::phantomdb_code_info *table = ::phantomdb_code_table(&count);
    for (std::uint64_t i = 1; i < count; i++) {
        ::phantomdb_error reported{};
        reported.code = table[i].code;
        reported.http_status = 418;
        reported.retriable = true;
        reported.retry_after_ms = 1500;
        std::snprintf(reported.message, sizeof reported.message, "%s", "because");
        check_about("%s", table[i].name);
        try {
            phantomdb::detail::raise(reported);
        } catch (const phantomdb::error &error) {
            CHECK(typeid(error) != typeid(phantomdb::error));
            CHECK_INT(error.code(), table[i].code);
            CHECK_VIEW(error.code_name(), table[i].name);
            CHECK_TEXT(error.what(), "because");
            CHECK_INT(error.http_status(), 418);
            CHECK(error.retriable() && error.retry_after() == 1500ms);
        }
    }
}

void leases_release_themselves() {
    phantomdb::pool pool(options_here());
    {
        const phantomdb::lease first = pool.acquire();
        const phantomdb::lease second = pool.acquire_for(5s);
        CHECK_INT(pool.status().used, 2);
    }
    CHECK_INT(pool.status().used, 0);
    try {
        const phantomdb::lease lost = pool.acquire();
        throw std::logic_error("with a lease out");
    } catch (const std::logic_error &) {
        CHECK_INT(pool.status().used, 0);
    }
    std::vector<phantomdb::lease> leases;
    for (int i = 0; i < 3; i++) leases.push_back(pool.acquire());
    CHECK(!pool.try_acquire());
    leases.erase(leases.begin());
    const std::optional<phantomdb::lease> tried = pool.try_acquire();
    CHECK(tried.has_value());
    leases.clear();
    CHECK_INT(pool.status().used, 1);
}

void moves() {
    phantomdb::options options = options_here();
    options.close_timeout = 0s;
    phantomdb::pool pool(options);
    phantomdb::lease lease = pool.acquire();
    phantomdb::lease other(std::move(lease));
    CHECK(!lease && other);
    CHECK_HAS(THROWN(invalid_handle, lease.health_check()).what(), "connection");
    lease = std::move(other);
    CHECK(lease && !other);
    CHECK_INT(pool.status().used, 1);
    lease = pool.acquire();
    CHECK_INT(pool.status().used, 1);
    phantomdb::lease &itself = lease;
    lease = std::move(itself);
    CHECK_INT(pool.status().used, lease ? 1 : 0);

    phantomdb::pool elsewhere(std::move(pool));
    CHECK_INT(elsewhere.status().max, 3);
    CHECK_HAS(THROWN(invalid_handle, pool.acquire()).what(), "pool");
    elsewhere = phantomdb::pool(options_here());
    pool = std::move(elsewhere);
    phantomdb::result response = pool.request("GET", "/health");
    phantomdb::result moved = std::move(response);
    CHECK_HAS(text(moved.text()).c_str(), "healthy");
    CHECK_HAS(THROWN(invalid_handle, response.text()).what(), "result");
}

void release_and_discard_by_hand() {
    phantomdb::pool pool(options_here());
    phantomdb::lease lease = pool.acquire();
    lease.release();
    CHECK(!lease);
    CHECK_INT(pool.status().used, 0);
    THROWN(invalid_handle, lease.release());
    THROWN(invalid_handle, lease.interrupt());
    lease = pool.acquire();
    lease.discard();
    CHECK(!lease);
    CHECK_INT(pool.status().used, 0);
}

void times_of_all_kinds() {
    phantomdb::options options = options_here();
    options.max_connections = 1;
    options.min_connections = 1;
    phantomdb::pool pool(options);
    phantomdb::lease lease = pool.acquire();
    const auto started = std::chrono::steady_clock::now();
    const phantomdb::error error = THROWN(timeout_error, pool.acquire_for(20'500us));
    CHECK(std::chrono::steady_clock::now() - started >= 21ms);
    CHECK_HAS(error.what(), "Timeout");
    CHECK(error.retriable());
    THROWN(timeout_error, pool.acquire_for(0s));
    THROWN(timeout_error, pool.acquire_for(1ns));
    THROWN(timeout_error, pool.acquire_for(std::chrono::duration<double>(0.001)));
    THROWN(invalid_argument, pool.acquire_for(-1ms));
    THROWN(invalid_argument, pool.acquire_for(std::chrono::hours::min()));
    lease.release();
    lease = pool.acquire_for(std::chrono::hours::max());
    CHECK(static_cast<bool>(lease));
}

void texts_with_a_nul_are_refused() {
    phantomdb::pool pool(options_here());
    phantomdb::lease lease = pool.acquire();
    using namespace std::string_view_literals;
    CHECK_HAS(THROWN(invalid_argument, lease.drop_database("a\0b"sv)).what(), "database: ");
    CHECK_HAS(THROWN(invalid_argument, lease.drop_table("d", "t\0"sv)).what(), "table: ");
    CHECK_HAS(THROWN(invalid_argument, lease.delete_rows("d", "t", "a=1\0"sv)).what(), "condition: ");
    CHECK_HAS(THROWN(invalid_argument, lease.insert("d", "t", std::string(3, '\0'))).what(), "row: ");
    CHECK_HAS(THROWN(invalid_argument, pool.query("d", "SELECT\0 1"sv)).what(), "sql: ");
    CHECK_HAS(THROWN(invalid_argument, pool.set_token("a\0b"sv)).what(), "token: ");
    CHECK_HAS(THROWN(invalid_argument, pool.request("GET", "/\0"sv)).what(), "path: ");
    phantomdb::options options;
    options.base_url = std::string("http://localhost\0.evil", 22);
    CHECK_HAS(THROWN(invalid_argument, phantomdb::pool(options)).what(), "base_url: ");
    options = phantomdb::options();
    options.token = std::string("hush\0hush", 9);
    const phantomdb::error error = THROWN(invalid_argument, phantomdb::pool(options));
    CHECK_LACKS(error.what(), "hush");
}

void every_operation() {
    phantomdb::pool pool(options_here());
    phantomdb::lease lease = pool.acquire();
    CHECK_VIEW(lease.health_check()[0]["status"].text(), "healthy");
    const database here(lease);
    const std::string table = "zones & \"more\"";
    lease.create_table(here.name, table,
                       R"([{"name":"id","type":"integer"},{"name":"note","type":"string"}])");
    const phantomdb::result databases = lease.list_databases();
    const auto names = databases.items();
    CHECK(std::find(names.begin(), names.end(), std::string_view(here.name)) != names.end());
    const phantomdb::result tables = lease.list_tables(here.name);
    CHECK_INT(tables.item_count(), 1);
    CHECK_VIEW(tables.item(0), table.c_str());

    lease.insert(here.name, table, R"({"id":1,"note":"one"})");
    lease.insert(here.name, table, R"({"id":2,"note":null})");
    CHECK_INT(lease.select(here.name, table).row_count(), 2);
    CHECK_INT(lease.select(here.name, table, "id = 2").row_count(), 1);
    CHECK_INT(lease.update(here.name, table, R"({"note":"x"})", "id = 2").affected_rows().value(), 1);
    CHECK_INT(lease.update(here.name, table, R"({"note":"y"})").affected_rows().value(), 2);
    CHECK_HAS(THROWN(invalid_argument, lease.delete_rows(here.name, table, " ")).what(), "condition");
    CHECK_INT(lease.delete_rows(here.name, table, "id = 1").affected_rows().value(), 1);
    CHECK_INT(lease.execute_query(here.name, "SELECT ? + 1", "[41]")[0][0].as<int>(), 42);
    CHECK(!lease.health_check().affected_rows());
    CHECK_INT(pool.query(here.name, "SELECT 7")[0][0].as<int>(), 7);
    CHECK_HAS(text(pool.request("GET", "/databases").text()).c_str(), "databases");
    lease.request("POST", "/databases", R"({"name":"by request"})");
    lease.drop_database("by request");
    lease.drop_table(here.name, table);
    const phantomdb::error error = THROWN(http_error, lease.select(here.name, table));
    CHECK_INT(error.http_status(), 404);
    CHECK_HAS(pool.status_json().c_str(), "\"max\":3");
}

const fake_step numbers = {
    "HTTP/1.1 200 OK\r\n", 0, FAKE_KEEP,
    R"({"columns":["m","n","o","f","g","h"],"rows":[[18446744073709551615,18446744073709551616,)"
    R"(-9223372036854775809,1e300,-3.5e38,1e400]]})"};

void numbers_that_do_not_fit_are_refused_and_others_exact() {
    fake_server *fake = fake_server_start(&numbers, 1);
    phantomdb::pool pool(phantomdb::options(fake_server_url(fake)));
    const phantomdb::result result = pool.query("a", "SELECT 1");
    const phantomdb::row row = result[0];
    CHECK(row["m"].as<std::uint64_t>() == UINT64_MAX);
    CHECK(row["m"].as<std::optional<unsigned long long>>().value() == UINT64_MAX);
    THROWN(type_error, row["m"].as<std::int64_t>());
    THROWN(type_error, row["m"].as<std::uint32_t>());
    THROWN(type_error, row["n"].as<std::uint64_t>());
    THROWN(type_error, row["o"].as<std::uint64_t>());
    THROWN(type_error, row["f"].as<std::uint64_t>());
    const long double wide = 1e300;
    CHECK(row["f"].as<double>() == 1e300 && row["f"].as<long double>() == wide);
    THROWN(type_error, row["f"].as<float>());
    THROWN(type_error, row["g"].as<float>());
    THROWN(type_error, row["h"].as<double>());
    THROWN(type_error, row["h"].as<float>());
    CHECK_VIEW(row["h"].as<std::string_view>(), "1e400");
    fake_server_stop(fake);
}

const fake_step replaced = {
    "HTTP/1.1 200 OK\r\n", 0, FAKE_KEEP,
    R"({"columns":["a"],"rows":[["x\ud800"],["y"]],"rowCount":7,"affectedRows":"3"})"};

void replaced_characters_and_counts_are_told() {
    fake_server *fake = fake_server_start(&replaced, 1);
    phantomdb::pool pool(phantomdb::options(fake_server_url(fake)));
    const phantomdb::result result = pool.query("a", "SELECT 1");
    CHECK(result[0]["a"].is_replaced());
    CHECK_VIEW(result[0]["a"].text(), "x\uFFFD");
    CHECK(!result[1]["a"].is_replaced());
    CHECK_INT(result.row_count(), 2);
    CHECK_INT(result.reported_row_count(), 7);
    CHECK(!result.affected_rows());
    fake_server_stop(fake);
}

void cells() {
    phantomdb::pool pool(options_here());
    phantomdb::lease lease = pool.acquire();
    const database here(lease);
    const phantomdb::result result = lease.execute_query(
        here.name, "SELECT 9223372036854775807 AS big, 1.5 AS real, NULL AS none, 'a' || char(0) || 'b' "
                   "AS text, 300 AS byte, -1 AS minus, 1 AS yes UNION ALL SELECT 1,2,3,4,5,6,0");
    CHECK_INT(result.row_count(), 2);
    CHECK_INT(result.column_count(), 7);
    CHECK_VIEW(result.column_name(1), "real");
    CHECK_INT(result.column_index("text"), 3);
    const phantomdb::row first = result[0];
    CHECK_INT(first.size(), 7);
    CHECK_INT(first["big"].as<std::int64_t>(), INT64_MAX);
    CHECK(first["big"].as<std::uint64_t>() == static_cast<std::uint64_t>(INT64_MAX));
    CHECK(first["real"].as<double>() == 1.5 && first["real"].as<float>() == 1.5F);
    CHECK(first["none"].is_null() && first["none"].kind() == phantomdb::cell_kind::null);
    CHECK(!first["none"].as<std::optional<int>>());
    CHECK(first["big"].as<std::optional<std::int64_t>>().value() == INT64_MAX);
    CHECK(first["text"].as<std::string>() == std::string("a\0b", 3));
    CHECK_INT(first["text"].as<std::string_view>().size(), 3);
    CHECK(!first["none"].as<std::optional<std::string>>());
    CHECK_VIEW(first["none"].text(), "");
    CHECK(first["yes"].as<bool>());
    CHECK_VIEW(first["real"].as<std::string_view>(), "1.5");

    THROWN(type_error, first["none"].as<std::string>());
    THROWN(type_error, first["none"].as<int>());
    THROWN(type_error, first["text"].as<int>());
    THROWN(type_error, first["text"].as<std::optional<double>>());
    THROWN(type_error, first["byte"].as<std::uint8_t>());
    THROWN(type_error, first["minus"].as<unsigned>());
    THROWN(type_error, first["minus"].as<std::uint64_t>());
    THROWN(type_error, first["big"].as<int>());
    CHECK_INT(first["byte"].as<short>(), 300);
    THROWN(invalid_argument, first["nowhere"]);
    THROWN(invalid_argument, first[99].text());
    THROWN(invalid_argument, result[99][0].text());
    THROWN(type_error, result.items());

    std::int64_t sum = 0;
    for (const phantomdb::row row : result.rows()) sum += row["byte"].as<int>();
    CHECK_INT(sum, 305);
    CHECK_INT(result.rows().size(), 2);
    const phantomdb::result list = lease.list_databases();
    THROWN(type_error, list.rows());
    int count = 0;
    for (const std::string_view name : list.items()) count += name.empty() ? 0 : 1;
    CHECK_INT(count, list.item_count());
    const phantomdb::result none = lease.execute_query(here.name, "SELECT 1 WHERE 0");
    CHECK(none.rows().empty());
}

std::int64_t rows_of(phantomdb::pool &pool) {
    return pool.query(database::name, "SELECT count(*) FROM t")[0][0].as<std::int64_t>();
}

void transactions() {
    phantomdb::pool pool(options_here());
    phantomdb::lease lease = pool.acquire();
    const database here(lease);
    lease.create_table(here.name, "t", R"([{"name":"id","type":"integer"}])");
    const auto insert = [&] { lease.insert(here.name, "t", R"({"id":1})"); };
    {
        phantomdb::transaction transaction(lease, here.name);
        insert();
        THROWN(invalid_state, phantomdb::transaction(lease));
        transaction.commit();
        THROWN(invalid_handle, transaction.commit());
    }
    CHECK_INT(rows_of(pool), 1);
    {
        const phantomdb::transaction transaction(lease);
        insert();
    }
    CHECK_INT(rows_of(pool), 1);
    try {
        const phantomdb::transaction transaction(lease);
        insert();
        lease.insert(here.name, "no such table", "{}");
    } catch (const phantomdb::http_error &error) {
        CHECK_INT(error.http_status(), 404);
    }
    CHECK_INT(rows_of(pool), 1);
    {
        phantomdb::transaction transaction(lease);
        insert();
        phantomdb::transaction moved(std::move(transaction));
        moved.rollback();
        phantomdb::lease elsewhere = std::move(lease);
        transaction = phantomdb::transaction(elsewhere);
        lease = std::move(elsewhere);
        insert();
        transaction.commit();
    }
    CHECK_INT(rows_of(pool), 2);
    {
        const phantomdb::transaction outlives_its_lease(lease);
        insert();
        lease.release();
        lease = pool.acquire();
    }
    EVENTUALLY(rows_of(pool) == 2);
}

void closing() {
    phantomdb::options options = options_here();
    options.close_timeout = 0s;
    std::optional<phantomdb::lease> survivor;
    std::optional<phantomdb::result> response;
    {
        phantomdb::pool pool(options);
        survivor = pool.acquire();
        response = survivor->health_check();
        pool.close();
        pool.close();
        CHECK_HAS(THROWN(closed_error, pool.acquire()).what(), "closed");
        CHECK_HAS(THROWN(closed_error, pool.try_acquire()).what(), "closed");
        THROWN(closed_error, pool.status());
    }
    THROWN(closed_error, survivor->health_check());
    CHECK_HAS(text(response->text()).c_str(), "healthy");
    THROWN(closed_error, survivor->release());
}

void the_log_is_told_of_leaks() {
    std::atomic<int> messages{0};
    std::string told;
    phantomdb::options options = options_here();
    // Long enough for the owner to be set in time, also under valgrind.
    options.leak_threshold = 500ms;
    options.log = [&](phantomdb::log_level level, std::string_view message) {
        if (level == phantomdb::log_level::warning && messages == 0) told = message;
        messages++;
        throw std::runtime_error("which must not reach the library");
    };
    {
        phantomdb::pool made(options);
        options.log = nullptr;
        phantomdb::pool pool(std::move(made));
        phantomdb::lease lease = pool.acquire();
        lease.set_owner("the leaky one");
        EVENTUALLY(messages > 0);
    }
    CHECK_HAS(told.c_str(), "the leaky one");
}

void statistics_reset_and_resize() {
    phantomdb::pool pool(options_here());
    pool.request("GET", "/health");
    CHECK_HAS(pool.stats_json().c_str(), "acquires");
    CHECK_HAS(pool.metrics().c_str(), "# EOF");
    pool.reset();
    pool.resize(1, 1);
    CHECK_INT(pool.status().max, 1);
    CHECK_HAS(THROWN(invalid_argument, pool.resize(2, 1)).what(), "min_connections");
    pool.request("GET", "/health");
}

void threads() {
    const fake_step steps[] = {{nullptr, 0, FAKE_HOLD, nullptr},
                               {"HTTP/1.1 200 OK\r\n", 0, FAKE_KEEP, "{}"}};
    fake_server *const fake = fake_server_start(steps, 2);
    {
        phantomdb::pool pool{phantomdb::options(fake_server_url(fake))};
        phantomdb::lease lease = pool.acquire();
        std::thread requester([&] { THROWN(cancelled, lease.health_check()); });
        EVENTUALLY(fake_server_requests(fake) == 1);
        CHECK_HAS(THROWN(busy, lease.health_check()).what(), "one at a time");
        lease.interrupt();
        requester.join();
        lease.health_check();
    }
    fake_server_stop(fake);
}

void tokens() {
    devserver locked = devserver_start("right");
    {
        phantomdb::pool pool{phantomdb::options(locked.url)};
        CHECK_INT(THROWN(unauthorized, pool.request("GET", "/databases")).http_status(), 401);
        pool.set_token("right");
        pool.request("GET", "/databases");
        pool.set_token(std::nullopt);
        try {
            pool.request("GET", "/databases");
        } catch (const phantomdb::http_error &error) {
            CHECK_VIEW(error.code_name(), "UNAUTHORIZED");
        }
    }
    devserver_stop(&locked);
}

void an_outage_is_named() {
    phantomdb::pool pool{phantomdb::options(url_of_nobody())};
    const phantomdb::error error = THROWN(unavailable_error, pool.request("GET", "/health"));
    CHECK_HAS(error.what(), "refused");
    CHECK(error.retriable());
}

} // namespace

int main() {
    server = devserver_start(nullptr);
    check_run("what can be moved and what copied", what_can_be_moved_and_what_copied);
    check_run("defaults come from the library", defaults_come_from_the_library);
    check_run("the options are those of the library", the_options_are_those_of_the_library);
    check_run("every option is passed on", every_option_is_passed_on);
    check_run("every code has its class", every_code_has_its_class);
    check_run("leases release themselves", leases_release_themselves);
    check_run("moves", moves);
    check_run("release and discard by hand", release_and_discard_by_hand);
    check_run("times of all kinds", times_of_all_kinds);
    check_run("texts with a NUL are refused", texts_with_a_nul_are_refused);
    check_run("every operation", every_operation);
    check_run("cells", cells);
    check_run("numbers that don't fit", numbers_that_do_not_fit_are_refused_and_others_exact);
    check_run("replaced characters, counts", replaced_characters_and_counts_are_told);
    check_run("transactions", transactions);
    check_run("closing", closing);
    check_run("the log is told of leaks", the_log_is_told_of_leaks);
    check_run("statistics, reset and resize", statistics_reset_and_resize);
    check_run("threads", threads);
    check_run("tokens", tokens);
    check_run("an outage is named", an_outage_is_named);
    devserver_stop(&server);
    return check_end();
}
