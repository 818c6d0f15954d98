// What the two agents for C++ share: pools and leases by their names, and the calls on them that
// do not wait.
#pragma once

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <phantomdb.hpp>

#include "lines.h"

/// A pool, with what it has logged.
struct named_pool {
    std::mutex lock;
    std::vector<std::pair<phantomdb::log_level, std::string>> messages;
    std::unique_ptr<phantomdb::pool> pool;
};

/// What the driver has given names to; released leases keep theirs.
class things {
public:
    std::shared_ptr<named_pool> pool(const std::string &name) {
        const std::lock_guard guard(lock_);
        return pools_.at(name);
    }

    /// A lease of this name, or nothing.
    std::shared_ptr<phantomdb::lease> lease(const std::string &name) {
        const std::lock_guard guard(lock_);
        const auto found = leases_.find(name);
        return found == leases_.end() ? nullptr : found->second;
    }

    void keep(const std::string &name, std::shared_ptr<named_pool> pool) {
        const std::lock_guard guard(lock_);
        pools_[name] = std::move(pool);
    }

    void keep(const std::string &name, phantomdb::lease lease) {
        const auto kept = std::make_shared<phantomdb::lease>(std::move(lease));
        const std::lock_guard guard(lock_);
        leases_[name] = kept;
    }

    /// Closes each pool at once, and forgets all names.
    void end() {
        std::map<std::string, std::shared_ptr<named_pool>> pools;
        std::map<std::string, std::shared_ptr<phantomdb::lease>> leases;
        {
            const std::lock_guard guard(lock_);
            pools.swap(pools_);
            leases.swap(leases_);
        }
        for (const auto &[name, named] : pools) named->pool->close_for(std::chrono::seconds(0));
    }

private:
    std::mutex lock_;
    std::map<std::string, std::shared_ptr<named_pool>> pools_;
    std::map<std::string, std::shared_ptr<phantomdb::lease>> leases_;
};

inline things all;

/// Reports with an error.
inline void report(cJSON *command, const phantomdb::error &error) {
    ::phantomdb_error told{};
    told.code = error.code();
    told.http_status = error.http_status();
    told.retriable = error.retriable();
    told.retry_after_ms = error.retry_after().count();
    std::snprintf(told.message, sizeof told.message, "%s", error.what());
    report_error(command, &told);
}

/// Keeps a lease under the name that the command gives it, and reports.
inline void keep_lease(cJSON *command, phantomdb::lease lease) {
    if (const char *owner = text_of(command, "owner")) lease.set_owner(owner);
    all.keep(text_of(command, "as"), std::move(lease));
    report_nothing(command);
}

/// A text that may be missing.
inline std::optional<std::string_view> optional_text(const cJSON *command, const char *name) {
    const char *text = text_of(command, name);
    return text == nullptr ? std::nullopt : std::optional<std::string_view>(text);
}

/// The time-out of a command, if it has one.
inline std::optional<std::chrono::milliseconds> timeout_of(const cJSON *command) {
    constexpr std::int64_t none = INT64_MIN;
    const std::int64_t timeout = number_of(command, "timeout", none);
    if (timeout == none) return std::nullopt;
    return std::chrono::milliseconds(timeout);
}

inline phantomdb::validation validation_of(std::string_view name) {
    if (name == "ping") return phantomdb::validation::ping;
    return name == "none" ? phantomdb::validation::none : phantomdb::validation::socket;
}

template <class Value>
void set_value(Value &value, const cJSON *given) {
    if constexpr (std::is_same_v<Value, bool>) value = cJSON_IsTrue(given);
    else if constexpr (std::is_same_v<Value, phantomdb::validation>) {
        value = validation_of(given->valuestring);
    } else if constexpr (std::is_same_v<Value, std::chrono::milliseconds>) {
        value = Value(static_cast<std::int64_t>(given->valuedouble));
    } else if constexpr (std::is_integral_v<Value>) {
        value = static_cast<std::uint32_t>(given->valuedouble);
    } else {
        value = given->valuestring;
    }
}

inline void set_option(phantomdb::options &options, std::string_view name, const cJSON *given) {
    bool is_known = false;
    phantomdb_pool_options unused{};
    phantomdb::detail::each_option(options, unused, [&](std::string_view known, auto &value, auto &) {
        if (known != name) return;
        set_value(value, given);
        is_known = true;
    });
    if (is_known) return;
    std::cerr << "there is no option " << name << '\n';
    std::abort();
}

inline void create(cJSON *command) {
    const auto made = std::make_shared<named_pool>();
    phantomdb::options options;
    const cJSON *given;
    cJSON_ArrayForEach(given, cJSON_GetObjectItemCaseSensitive(command, "options")) {
        if (std::string_view(given->string) != "log") {
            set_option(options, given->string, given);
            continue;
        }
        // Its pool is closed before it goes.
        options.log = [log = made.get()](phantomdb::log_level level, std::string_view message) {
            const std::lock_guard guard(log->lock);
            log->messages.emplace_back(level, message);
        };
    }
    made->pool = std::make_unique<phantomdb::pool>(options);
    all.keep(text_of(command, "as"), made);
    report_nothing(command);
}

inline void tell_log(cJSON *command, named_pool &of) {
    cJSON *list = cJSON_CreateArray();
    {
        const std::lock_guard guard(of.lock);
        for (const auto &[level, message] : of.messages) {
            cJSON *line = cJSON_CreateArray();
            const bool is_warning = level == phantomdb::log_level::warning;
            cJSON_AddItemToArray(line, cJSON_CreateString(is_warning ? "warning" : "info"));
            cJSON_AddItemToArray(line, cJSON_CreateString(message.c_str()));
            cJSON_AddItemToArray(list, line);
        }
    }
    char *text = cJSON_PrintUnformatted(list);
    report_json(command, text);
    cJSON_free(text);
    cJSON_Delete(list);
}

/// Carries out a command that does not wait, and reports; false if it is another.
inline bool carry_out(cJSON *command) {
    const std::string on = on_of(command);
    if (is(command, "create")) {
        create(command);
    } else if (is(command, "try_acquire")) {
        std::string reason;
        auto lease = all.pool(on)->pool->try_acquire(&reason);
        if (lease) {
            keep_lease(command, std::move(*lease));
        } else {
            ::phantomdb_error none{};
            none.code = PHANTOMDB_ERR_WOULD_BLOCK;
            none.retriable = true;
            reason.copy(none.message, sizeof none.message - 1);
            report_error(command, &none);
        }
    } else if (is(command, "release")) {
        all.lease(on)->release();
        report_nothing(command);
    } else if (is(command, "discard")) {
        all.lease(on)->discard();
        report_nothing(command);
    } else if (is(command, "interrupt")) {
        all.lease(on)->interrupt();
        report_nothing(command);
    } else if (is(command, "status")) {
        report_json(command, all.pool(on)->pool->status_json().c_str());
    } else if (is(command, "stats")) {
        report_json(command, all.pool(on)->pool->stats_json().c_str());
    } else if (is(command, "metrics")) {
        report_text(command, all.pool(on)->pool->metrics().c_str());
    } else if (is(command, "log")) {
        tell_log(command, *all.pool(on));
    } else if (is(command, "reset")) {
        all.pool(on)->pool->reset();
        report_nothing(command);
    } else if (is(command, "resize")) {
        all.pool(on)->pool->resize(static_cast<std::uint32_t>(number_of(command, "min", 0)),
                                   static_cast<std::uint32_t>(number_of(command, "max", 0)));
        report_nothing(command);
    } else if (is(command, "set_token")) {
        all.pool(on)->pool->set_token(optional_text(command, "token"));
        report_nothing(command);
    } else {
        return false;
    }
    return true;
}

/// The arguments of an operation, and the operation.
struct operation {
    std::array<const char *, MOST_ARGUMENTS> texts{};
    std::uint64_t count = 0;
    std::string name;

    explicit operation(const cJSON *command) : name(text_of(command, "operation")) {
        operation_of(command, texts.data(), &count);
    }

    std::string_view text(std::size_t index) const {
        return texts[index] == nullptr ? std::string_view() : texts[index];
    }

    std::optional<std::string_view> optional(std::size_t index) const {
        return texts[index] == nullptr ? std::nullopt : std::optional(text(index));
    }

    /// Calls the function of its name on a lease, or on one of the forms that do not wait.
    template <class On>
    auto call(On &&on) const {
        using in = On &&;
        if (name == "health_check") return static_cast<in>(on).health_check();
        if (name == "list_databases") return static_cast<in>(on).list_databases();
        if (name == "create_database") return static_cast<in>(on).create_database(text(0));
        if (name == "drop_database") return static_cast<in>(on).drop_database(text(0));
        if (name == "list_tables") return static_cast<in>(on).list_tables(text(0));
        if (name == "create_table") return static_cast<in>(on).create_table(text(0), text(1), text(2));
        if (name == "drop_table") return static_cast<in>(on).drop_table(text(0), text(1));
        if (name == "insert") return static_cast<in>(on).insert(text(0), text(1), text(2));
        if (name == "select") return static_cast<in>(on).select(text(0), text(1), optional(2));
        if (name == "update") return static_cast<in>(on).update(text(0), text(1), text(2), optional(3));
        if (name == "delete") return static_cast<in>(on).delete_rows(text(0), text(1), text(2));
        return static_cast<in>(on).execute_query(text(0), text(1), optional(2));
    }

    /// As call, with the operations of transactions.
    template <class On>
    auto call_on_lease(On &&on) const {
        using in = On &&;
        if (name == "begin_transaction") return static_cast<in>(on).begin_transaction(optional(0));
        if (name == "commit_transaction") return static_cast<in>(on).commit_transaction(optional(0));
        if (name == "rollback_transaction") {
            return static_cast<in>(on).rollback_transaction(optional(0));
        }
        return call(static_cast<in>(on));
    }
};
