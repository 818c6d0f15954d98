// phantomdb.hpp - the C++17 interface of libphantomdb, over phantomdb.h and header-only
//
//
// INSTALL AND LINK
//
// With pkg-config:    c++ -std=c++17 program.cpp $(pkg-config --cflags --libs phantomdb)
// With CMake:         find_package(phantomdb REQUIRED)
//                     target_link_libraries(program PRIVATE phantomdb::phantomdb)
//
//
// A COMPLETE PROGRAM
//
//     #include <iostream>
//     #include <phantomdb.hpp>
//
//     int main(int argc, char **argv) try {
//         phantomdb::options options;
//         if (argc > 1) options.base_url = argv[1];
//         phantomdb::pool pool(options);
//         phantomdb::lease lease = pool.acquire();
//         const phantomdb::result databases = lease.list_databases();
//         for (std::string_view name : databases.items()) std::cout << name << '\n';
//     } catch (const phantomdb::error &error) {
//         std::cerr << error.what() << '\n';
//         return 1;
//     }
//
//
// AN ASYNCHRONOUS PROGRAM
//
//     #include <future>
//     #include <iostream>
//     #include <phantomdb.hpp>
//
//     using outcome = phantomdb::outcome<phantomdb::result>;
//
//     int main(int argc, char **argv) try {
//         phantomdb::options options;
//         if (argc > 1) options.base_url = argv[1];
//
//         // Before the pool, so that they live until its last callback has run.
//         std::promise<outcome> databases, tables;
//         phantomdb::pool pool(options);
//
//         // Both are under way at once, on connections of their own.
//         pool.async([&](outcome got) { databases.set_value(std::move(got)); }).list_databases();
//         pool.async([&](outcome got) { tables.set_value(std::move(got)); }).list_tables("alpha");
//
//         const phantomdb::result names = databases.get_future().get().value();
//         std::cout << "databases: " << names.text() << '\n';
//         const phantomdb::result of_alpha = tables.get_future().get().value();
//         std::cout << "tables of alpha: " << of_alpha.text() << '\n';
//     } catch (const phantomdb::error &error) {
//         std::cerr << error.what() << '\n';
//         return 1;
//     }
//
//
// OWNERSHIP
//
// pool, lease, transaction and result each own one thing, can be moved and not copied, and give
// it back in their destructors, which never throw. Views (std::string_view, row, cell, and the
// ranges of rows and items) are valid as long as the result that they come from. An object that
// was moved from may be assigned to or destroyed; anything else throws invalid_handle.
//
// Leases may outlive their pool: it then takes their connections back when it closes, and what
// is tried on them throws closed_error.
//
//
// THREADS
//
// A pool may be used by any number of threads at once. A lease serves one request at a time:
// while one is in flight, only interrupt() makes sense from another thread, others throw busy.
// A result may be read by any number of threads. Moving from, assigning to and destroying an
// object is for one thread while no other uses it, as everywhere in C++.
//
//
// CALLS THAT DO NOT WAIT
//
// pool::async() and lease::async() take what is to be done with the outcome, and give every
// operation in a form that returns at once: `pool.async(done).list_databases()`. pool::acquire_async()
// and pool::close_async() are the others. `done` is any callable, which is moved into the call; it
// may be one that can't be copied. It is called exactly once, on a thread of the library, with an
// outcome: the value, which is its own, or the error. If the call itself throws, it is never
// called. Each call gives a ticket, which cancels it; ignore it where that is not wanted.
//
// In a callback nothing may wait: what does (acquire(), every request, close(), and so the
// destructors of a pool and of a transaction) throws would_deadlock, or fails in silence where it
// can't throw. Calls that do not wait, try_acquire(), the release of leases and reading results are
// fine. A callback that takes its time holds up others. An exception must not leave it: there is
// nobody to catch it, and std::terminate is called. Whatever the callback refers to has to live
// until it has run; close() and the destructor of a pool return when the last one has, but for
// that of close_async().
//
//
// ERRORS
//
// What fails throws a phantomdb::error, or rather one of its subclasses below. Texts with a NUL
// in them can't be passed to C; they throw invalid_argument. Apart from errors of the library
// only std::bad_alloc is thrown.

#ifndef PHANTOMDB_HPP
#define PHANTOMDB_HPP

#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <initializer_list>
#include <iterator>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include "phantomdb.h"

namespace phantomdb {

/// The version of the library, "0.1.0" for example. It stays valid.
inline std::string_view version() noexcept { return ::phantomdb_version(); }

/// Why a call failed: the base of everything that this library throws.
class error : public std::runtime_error {
public:
    /// Takes over what the C interface reported.
    explicit error(const ::phantomdb_error &reported)
        : std::runtime_error(reported.message),
          code_(reported.code),
          http_status_(reported.http_status),
          retriable_(reported.retriable),
          retry_after_(reported.retry_after_ms) {}

    /// One of `phantomdb_code`.
    std::int32_t code() const noexcept { return code_; }

    /// The name of the code, "TIMEOUT" for example. It stays valid.
    std::string_view code_name() const noexcept {
        const char *name = ::phantomdb_code_name(code_);
        return name == nullptr ? "UNKNOWN" : name;
    }

    /// The HTTP status of the response; 0 if there was none.
    int http_status() const noexcept { return http_status_; }

    /// Whether the same call may succeed later, and is safe to repeat.
    bool retriable() const noexcept { return retriable_; }

    /// In how long a new try makes sense; zero if that is not known.
    std::chrono::milliseconds retry_after() const noexcept { return retry_after_; }

private:
    std::int32_t code_;
    int http_status_;
    bool retriable_;
    std::chrono::milliseconds retry_after_;
};

/// An argument or option is missing, out of range or contradicts another; what() begins with
/// its name.
class invalid_argument : public error { using error::error; };
/// The object was moved from or released, or the lease is of another pool.
class invalid_handle : public error { using error::error; };
/// The pool is closed.
class closed_error : public error { using error::error; };
/// The deadline passed first.
class timeout_error : public error { using error::error; };
/// No connection is free at this moment. pool::try_acquire() returns an empty optional instead.
class would_block : public error { using error::error; };
/// Too many callers wait already (options::max_waiters).
class overloaded_error : public error { using error::error; };
/// The server can't be reached.
class unavailable_error : public error { using error::error; };
/// The request was interrupted.
class cancelled : public error { using error::error; };
/// Another thread has a request in flight on this lease.
class busy : public error { using error::error; };
/// The call would wait for itself.
class would_deadlock : public error { using error::error; };
/// The operation does not fit the state of the connection: a commit with no transaction open.
class invalid_state : public error { using error::error; };
/// The server responded with an error; http_status() says which.
class http_error : public error { using error::error; };
/// The server refused the credentials (401 or 403); an http_error, too.
class unauthorized : public http_error { using http_error::http_error; };
/// The server's response is not valid HTTP or not valid JSON.
class protocol_error : public error { using error::error; };
/// The connection broke before the response was complete.
class connection_lost : public error { using error::error; };
/// The server's response is larger than options::max_response_bytes.
class too_large : public error { using error::error; };
/// The TLS settings are wrong, or the server's certificate was refused.
class tls_error : public error { using error::error; };
/// A value of a result has another type, or lies outside its range.
class type_error : public error { using error::error; };
/// A bug in libphantomdb, caught. The pool stays usable.
class panic_error : public error { using error::error; };
/// There is not enough memory for the request, or for a response that options::max_response_bytes allows.
class out_of_memory : public error { using error::error; };

namespace detail {

/// Throws the class of a code; the one place that knows which is which.
[[noreturn]] inline void raise(const ::phantomdb_error &reported) {
    switch (reported.code) {
    case PHANTOMDB_ERR_INVALID_ARGUMENT: throw invalid_argument(reported);
    case PHANTOMDB_ERR_INVALID_HANDLE: throw invalid_handle(reported);
    case PHANTOMDB_ERR_CLOSED: throw closed_error(reported);
    case PHANTOMDB_ERR_TIMEOUT: throw timeout_error(reported);
    case PHANTOMDB_ERR_WOULD_BLOCK: throw would_block(reported);
    case PHANTOMDB_ERR_OVERLOADED: throw overloaded_error(reported);
    case PHANTOMDB_ERR_UNAVAILABLE: throw unavailable_error(reported);
    case PHANTOMDB_ERR_CANCELLED: throw cancelled(reported);
    case PHANTOMDB_ERR_BUSY: throw busy(reported);
    case PHANTOMDB_ERR_WOULD_DEADLOCK: throw would_deadlock(reported);
    case PHANTOMDB_ERR_INVALID_STATE: throw invalid_state(reported);
    case PHANTOMDB_ERR_HTTP: throw http_error(reported);
    case PHANTOMDB_ERR_UNAUTHORIZED: throw unauthorized(reported);
    case PHANTOMDB_ERR_PROTOCOL: throw protocol_error(reported);
    case PHANTOMDB_ERR_CONNECTION_LOST: throw connection_lost(reported);
    case PHANTOMDB_ERR_TOO_LARGE: throw too_large(reported);
    case PHANTOMDB_ERR_TLS: throw tls_error(reported);
    case PHANTOMDB_ERR_TYPE: throw type_error(reported);
    case PHANTOMDB_ERR_PANIC: throw panic_error(reported);
    case PHANTOMDB_ERR_OUT_OF_MEMORY: throw out_of_memory(reported);
    default: throw error(reported);
    }
}

/// Throws what C++ alone finds out.
[[noreturn]] inline void refuse(::phantomdb_code code, const std::string &message) {
    ::phantomdb_error reported{};
    reported.code = code;
    std::snprintf(reported.message, sizeof reported.message, "%s", message.c_str());
    raise(reported);
}

/// Calls a function of the C interface, which is given the error to fill, and throws that.
template <class Function>
void call(Function &&function) {
    ::phantomdb_error reported;
    if (function(&reported) != PHANTOMDB_OK) raise(reported);
}

/// A text argument, ended by a NUL as C wants it, or absent.
class text {
public:
    text(const char *name, std::optional<std::string_view> value)
        : value_(value.value_or(std::string_view())), absent_(!value) {
        if (value_.find('\0') != std::string::npos) {
            refuse(PHANTOMDB_ERR_INVALID_ARGUMENT,
                   std::string(name) + ": contains a NUL character, which can't be passed on");
        }
    }

    const char *get() const noexcept { return absent_ ? nullptr : value_.c_str(); }

private:
    std::string value_;
    bool absent_;
};

/// Milliseconds, rounded up so that nobody waits for less than was said. What no integer can
/// hold becomes a time that the library takes for what it is: too long, or negative.
template <class Rep, class Period>
std::int64_t milliseconds(std::chrono::duration<Rep, Period> time) noexcept {
    const double approximate = std::chrono::duration<double, std::milli>(time).count();
    if (!(approximate >= 0)) return -1;
    if (approximate > 9.0e18) return std::numeric_limits<std::int64_t>::max();
    return std::chrono::ceil<std::chrono::duration<std::int64_t, std::milli>>(time).count();
}

template <class T>
struct is_optional : std::false_type {};
template <class T>
struct is_optional<std::optional<T>> : std::true_type {};

} // namespace detail

/// How an idle connection is checked before it is handed out.
enum class validation : std::int32_t {
    /// Ask the operating system whether the socket is still open: no round trip. The default.
    socket = PHANTOMDB_VALIDATION_SOCKET,
    /// Ask the server: a round trip.
    ping = PHANTOMDB_VALIDATION_PING,
    /// Do not check.
    none = PHANTOMDB_VALIDATION_NONE,
};

/// How much a message to options::log matters.
enum class log_level : std::int32_t {
    /// For information: nothing is wrong.
    info = PHANTOMDB_LOG_INFO,
    /// Something is wrong, and the pool deals with it.
    warning = PHANTOMDB_LOG_WARNING,
};

/// Everything that can be set on a pool. A new one holds the library's defaults; phantomdb.h
/// says what each option means and which values it takes. What makes no sense is refused by
/// pool's constructor, with an invalid_argument that begins with the option's name.
struct options {
    /// `http[s]://host[:port][/prefix]`.
    std::string base_url;
    /// The bearer token; without one, none is sent. No message ever shows it.
    std::optional<std::string> token;
    /// Connections that the pool keeps, even when nobody uses them.
    std::uint32_t min_connections;
    /// Connections that the pool never exceeds.
    std::uint32_t max_connections;
    /// How many connections may be opening at once.
    std::uint32_t max_connecting;
    /// How many callers may wait at once; 0 means that nobody ever waits.
    std::uint32_t max_waiters;
    /// How long acquire() waits.
    std::chrono::milliseconds acquire_timeout;
    /// After how long an unused connection above min_connections is closed; zero means never.
    std::chrono::milliseconds idle_timeout;
    /// After how long a connection is retired; zero means never.
    std::chrono::milliseconds max_lifetime;
    /// How an idle connection is checked before it is handed out.
    phantomdb::validation validation;
    /// How long a connection may be idle and still be handed out without validation.
    std::chrono::milliseconds validate_after;
    /// How long a validation by ping may take.
    std::chrono::milliseconds validation_timeout;
    /// How long a request may take, opening the connection included.
    std::chrono::milliseconds request_timeout;
    /// How long opening a connection may take.
    std::chrono::milliseconds connect_timeout;
    /// How long close() waits for connections to be released before it cuts them.
    std::chrono::milliseconds close_timeout;
    /// After how long a connection that was not released is reported to log and counted as
    /// leaked; zero means never.
    std::chrono::milliseconds leak_threshold;
    /// Called with what happens to the pool: leaked connections, outages. Empty: no log.
    ///
    /// It is called on a thread of the library, one message at a time, and not any more when
    /// pool::close() has returned. It must not close the pool or wait for a connection of it:
    /// that throws would_deadlock. What it throws itself is dropped.
    std::function<void(log_level level, std::string_view message)> log;
    /// Open min_connections at create, in the background.
    bool preconnect;
    /// A PEM file with the certificates that may sign the server's; without, the system's.
    std::optional<std::string> tls_ca_file;
    /// A PEM file with the client's certificate.
    std::optional<std::string> tls_cert_file;
    /// A PEM file with the private key of tls_cert_file.
    std::optional<std::string> tls_key_file;
    /// How large a response's body may be, in bytes.
    std::uint64_t max_response_bytes;

    /// The library's defaults.
    options() : options(defaults()) {}

    /// The library's defaults, but for this server.
    explicit options(std::string url) : options() { base_url = std::move(url); }

private:
    explicit options(const ::phantomdb_pool_options &from);

    static ::phantomdb_pool_options defaults() {
        ::phantomdb_pool_options filled;
        if (::phantomdb_pool_options_init(&filled, sizeof filled) != PHANTOMDB_OK) {
            detail::refuse(PHANTOMDB_ERR_INVALID_ARGUMENT,
                           "options: this library does not know the options of phantomdb.hpp");
        }
        return filled;
    }
};

namespace detail {

/// Visits every option but log: its name, the member of options, and that of the C struct.
template <class Options, class Given, class Visitor>
void each_option(Options &options, Given &given, Visitor &&visit) {
    visit("base_url", options.base_url, given.base_url);
    visit("token", options.token, given.token);
    visit("min_connections", options.min_connections, given.min_connections);
    visit("max_connections", options.max_connections, given.max_connections);
    visit("max_connecting", options.max_connecting, given.max_connecting);
    visit("max_waiters", options.max_waiters, given.max_waiters);
    visit("acquire_timeout", options.acquire_timeout, given.acquire_timeout_ms);
    visit("idle_timeout", options.idle_timeout, given.idle_timeout_ms);
    visit("max_lifetime", options.max_lifetime, given.max_lifetime_ms);
    visit("validation", options.validation, given.validation);
    visit("validate_after", options.validate_after, given.validate_after_ms);
    visit("validation_timeout", options.validation_timeout, given.validation_timeout_ms);
    visit("request_timeout", options.request_timeout, given.request_timeout_ms);
    visit("connect_timeout", options.connect_timeout, given.connect_timeout_ms);
    visit("close_timeout", options.close_timeout, given.close_timeout_ms);
    visit("leak_threshold", options.leak_threshold, given.leak_threshold_ms);
    visit("preconnect", options.preconnect, given.preconnect);
    visit("tls_ca_file", options.tls_ca_file, given.tls_ca_file);
    visit("tls_cert_file", options.tls_cert_file, given.tls_cert_file);
    visit("tls_key_file", options.tls_key_file, given.tls_key_file);
    visit("max_response_bytes", options.max_response_bytes, given.max_response_bytes);
}

/// Takes an option from the C struct.
struct option_reader {
    template <class To, class From>
    void operator()(const char *, To &to, const From &from) const {
        if constexpr (std::is_same_v<To, bool>) to = from != 0;
        else if constexpr (!std::is_pointer_v<From>) to = static_cast<To>(from);
        else if (from != nullptr) to = from;
    }
};

/// Puts an option into the C struct, which points to the texts of the options then.
struct option_writer {
    template <class From, class To>
    void operator()(const char *name, const From &from, To &to) const {
        if constexpr (std::is_same_v<From, std::optional<std::string>>) {
            to = nullptr;
            if (from) (*this)(name, *from, to);
        } else if constexpr (std::is_same_v<From, std::string>) {
            const text checked(name, from);
            to = from.c_str();
        } else if constexpr (std::is_same_v<From, std::chrono::milliseconds>) {
            to = from.count();
        } else {
            to = static_cast<To>(from);
        }
    }
};

} // namespace detail

inline options::options(const ::phantomdb_pool_options &from) {
    detail::each_option(*this, from, detail::option_reader());
}

/// The numbers of a pool at one moment: available, used, pending, total, min and max.
using pool_status = ::phantomdb_status;

/// What a cell holds.
enum class cell_kind : std::int32_t {
    /// No value.
    null = PHANTOMDB_CELL_NULL,
    /// True or false.
    boolean = PHANTOMDB_CELL_BOOL,
    /// A number, whole or not.
    number = PHANTOMDB_CELL_NUMBER,
    /// A text.
    string = PHANTOMDB_CELL_STRING,
    /// A JSON array or object.
    json = PHANTOMDB_CELL_JSON,
};

/// One value of a result's table. A view: valid as long as the result.
class cell {
public:
    /// What it holds.
    cell_kind kind() const {
        std::int32_t value = 0;
        detail::call([&](auto *e) {
            return ::phantomdb_result_cell_kind(result_, row_, column_, &value, e);
        });
        return static_cast<cell_kind>(value);
    }

    /// Whether it holds no value.
    bool is_null() const {
        bool value = false;
        detail::call([&](auto *e) {
            return ::phantomdb_result_cell_is_null(result_, row_, column_, &value, e);
        });
        return value;
    }

    /// A string's characters, of anything else its JSON, and "" of a null. Works for every cell.
    std::string_view text() const {
        const char *value = nullptr;
        std::uint64_t length = 0;
        detail::call([&](auto *e) {
            return ::phantomdb_result_cell_text(result_, row_, column_, &value, &length, e);
        });
        return {value, static_cast<std::size_t>(length)};
    }

    /// Whether the server sent characters that UTF-8 can't hold (half a surrogate pair), each of which is
    /// U+FFFD in the text.
    bool is_replaced() const {
        bool value = false;
        detail::call([&](auto *e) {
            return ::phantomdb_result_cell_is_replaced(result_, row_, column_, &value, e);
        });
        return value;
    }

    /// Its value: bool, any integer or floating-point type, std::string, std::string_view, or a
    /// std::optional of one of them, which is empty for a null.
    ///
    /// Throws type_error if it holds something else, a null, or a number out of T's range. Texts
    /// are as text() gives them, but a null is not a text.
    template <class T>
    T as() const {
        if constexpr (detail::is_optional<T>::value) {
            if (is_null()) return std::nullopt;
            return as<typename T::value_type>();
        } else if constexpr (std::is_same_v<T, bool>) {
            return boolean();
        } else if constexpr (std::is_integral_v<T>) {
            return integer<T>();
        } else if constexpr (std::is_floating_point_v<T>) {
            return floating<T>();
        } else {
            static_assert(
                std::is_same_v<T, std::string> || std::is_same_v<T, std::string_view>,
                "a cell is a bool, a number, a std::string, a std::string_view or an optional one");
            if (is_null()) mismatch("null, not a text; ask for a std::optional");
            return T(text());
        }
    }

private:
    friend class row;

    cell(const ::phantomdb_result *of, std::uint64_t row, std::uint64_t column) noexcept
        : result_(of), row_(row), column_(column) {}

    bool boolean() const {
        bool value = false;
        detail::call([&](auto *e) {
            return ::phantomdb_result_cell_bool(result_, row_, column_, &value, e);
        });
        return value;
    }

    double number() const {
        double value = 0;
        detail::call([&](auto *e) {
            return ::phantomdb_result_cell_double(result_, row_, column_, &value, e);
        });
        return value;
    }

    /// Converting what lies outside the range of T would be undefined.
    template <class T>
    T floating() const {
        const double value = number();
        if constexpr (std::numeric_limits<T>::max() < std::numeric_limits<double>::max()) {
            constexpr double most = std::numeric_limits<T>::max();
            if (value > most || value < -most) {
                mismatch("a number that the wanted floating-point type can't hold");
            }
        }
        return static_cast<T>(value);
    }

    template <class T>
    T integer() const {
        std::int64_t value = 0;
        ::phantomdb_error reported;
        if (::phantomdb_result_cell_int64(result_, row_, column_, &value, &reported) !=
            PHANTOMDB_OK) {
            if constexpr (std::is_unsigned_v<T> && sizeof(T) >= sizeof(std::uint64_t)) {
                std::uint64_t large = 0;
                if (reported.code == PHANTOMDB_ERR_TYPE && is_large(large)) return T(large);
            }
            detail::raise(reported);
        }
        const T narrowed = static_cast<T>(value);
        if (static_cast<std::int64_t>(narrowed) != value || (value < 0) != (narrowed < T())) {
            mismatch("a number that the wanted integer type can't hold");
        }
        return narrowed;
    }

    /// Whether it is a whole number beyond 63 bits, spelled as one, and fits 64.
    bool is_large(std::uint64_t &value) const {
        if (kind() != cell_kind::number) return false;
        const std::string_view digits = text();
        const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        return parsed.ec == std::errc() && parsed.ptr == digits.data() + digits.size();
    }

    [[noreturn]] void mismatch(const char *is_what) const {
        detail::refuse(PHANTOMDB_ERR_TYPE, "row " + std::to_string(row_) + ", column " +
                                               std::to_string(column_) + " is " + is_what);
    }

    const ::phantomdb_result *result_;
    std::uint64_t row_;
    std::uint64_t column_;
};

/// One row of a result's table. A view: valid as long as the result.
class row {
public:
    /// How many cells it has.
    std::uint64_t size() const {
        std::uint64_t count = 0;
        detail::call(
            [&](auto *e) { return ::phantomdb_result_column_count(result_, &count, e); });
        return count;
    }

    /// The cell of a column by its number; the first is 0. One that does not exist throws
    /// invalid_argument when it is read.
    cell operator[](std::uint64_t column) const noexcept { return {result_, index_, column}; }

    /// The cell of a column by its name; throws invalid_argument if there is none. In a loop
    /// over many rows result::column_index() and the number are faster.
    cell operator[](std::string_view column) const {
        const detail::text name("name", column);
        std::uint64_t found = 0;
        detail::call([&](auto *e) {
            return ::phantomdb_result_column_index(result_, name.get(), &found, e);
        });
        return {result_, index_, found};
    }

private:
    friend class result;

    row(const ::phantomdb_result *of, std::uint64_t index) noexcept : result_(of), index_(index) {}

    const ::phantomdb_result *result_;
    std::uint64_t index_;
};

/// A result: JSON text that can be read as a table (rows of cells; an object is a table of one
/// row) or as a list of names, with no JSON library.
///
/// Owns its data, and depends on neither the lease nor the pool that it came from. Reading a
/// value of another type, or a result that is not a table or not a list, throws type_error; a row,
/// column or item that does not exist, invalid_argument.
class result {
    template <class Value, Value (*Read)(const ::phantomdb_result *, std::uint64_t)>
    class sequence;
    static row read_row(const ::phantomdb_result *of, std::uint64_t index) { return {of, index}; }
    static std::string_view read_item(const ::phantomdb_result *of, std::uint64_t index) {
        const char *value = nullptr;
        std::uint64_t length = 0;
        detail::call(
            [&](auto *e) { return ::phantomdb_result_item(of, index, &value, &length, e); });
        return {value, static_cast<std::size_t>(length)};
    }

public:
    /// A range over the rows. A view: valid as long as the result.
    using row_range = sequence<row, &result::read_row>;
    /// A range over the names of a list. A view: valid as long as the result.
    using item_range = sequence<std::string_view, &result::read_item>;

    /// Takes over what a function of phantomdb.h gave.
    explicit result(::phantomdb_result *owned) noexcept : handle_(owned) {}

    /// Takes over what the other has; nothing is left in that.
    result(result &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}

    /// Gives back what it has, and takes over what the other has.
    result &operator=(result &&other) noexcept {
        result(std::move(other)).swap(*this);
        return *this;
    }

    ~result() {
        if (handle_ != nullptr) ::phantomdb_result_free(handle_);
    }

    /// Exchanges two results.
    void swap(result &other) noexcept { std::swap(handle_, other.handle_); }

    /// The result as JSON.
    std::string_view text() const {
        const char *value = nullptr;
        std::uint64_t length = 0;
        detail::call(
            [&](auto *e) { return ::phantomdb_result_text(handle_, &value, &length, e); });
        return {value, static_cast<std::size_t>(length)};
    }

    /// How many rows the table has. The server may say that there are more: reported_row_count().
    std::uint64_t row_count() const { return count(::phantomdb_result_row_count); }

    /// How many rows the server says there are; if it does not say, how many it sent.
    std::int64_t reported_row_count() const {
        std::int64_t value = 0;
        detail::call(
            [&](auto *e) { return ::phantomdb_result_reported_row_count(handle_, &value, e); });
        return value;
    }

    /// How many columns the table has.
    std::uint64_t column_count() const { return count(::phantomdb_result_column_count); }

    /// The name of a column; the first is 0.
    std::string_view column_name(std::uint64_t column) const {
        const char *value = nullptr;
        std::uint64_t length = 0;
        detail::call([&](auto *e) {
            return ::phantomdb_result_column_name(handle_, column, &value, &length, e);
        });
        return {value, static_cast<std::size_t>(length)};
    }

    /// The number of the column of this name; throws invalid_argument if there is none.
    std::uint64_t column_index(std::string_view name) const {
        const detail::text wanted("name", name);
        std::uint64_t found = 0;
        detail::call([&](auto *e) {
            return ::phantomdb_result_column_index(handle_, wanted.get(), &found, e);
        });
        return found;
    }

    /// A row of the table; the first is 0. One that does not exist throws invalid_argument when a
    /// cell of it is read.
    row operator[](std::uint64_t index) const noexcept { return {handle_, index}; }

    /// The rows of the table: `for (auto row : result.rows()) use(row["name"].as<int>());`
    row_range rows() const &;
    /// Not of a temporary: the rows would be gone at once. Keep the result in a variable.
    row_range rows() const && = delete;

    /// How many names the list has.
    std::uint64_t item_count() const { return count(::phantomdb_result_item_count); }

    /// A name of the list; the first is 0.
    std::string_view item(std::uint64_t index) const { return read_item(handle_, index); }

    /// The names of the list: `for (std::string_view name : result.items())`.
    item_range items() const &;
    /// Not of a temporary: the names would be gone at once. Keep the result in a variable.
    item_range items() const && = delete;

    /// How many rows a statement changed; empty if the server did not say.
    std::optional<std::int64_t> affected_rows() const {
        std::int64_t value = -1;
        detail::call(
            [&](auto *e) { return ::phantomdb_result_affected_rows(handle_, &value, e); });
        return value < 0 ? std::nullopt : std::optional<std::int64_t>(value);
    }

    /// For functions of phantomdb.h; the result keeps it.
    ::phantomdb_result *native_handle() const noexcept { return handle_; }

private:
    using counter = std::int32_t(const ::phantomdb_result *, std::uint64_t *, ::phantomdb_error *);

    std::uint64_t count(counter *function) const {
        std::uint64_t value = 0;
        detail::call([&](auto *e) { return function(handle_, &value, e); });
        return value;
    }

    ::phantomdb_result *handle_;
};

/// The values of a result, one after the other.
template <class Value, Value (*Read)(const ::phantomdb_result *, std::uint64_t)>
class result::sequence {
public:
    /// Walks over the values; it makes each when it is asked for it.
    class iterator {
    public:
        using iterator_category = std::input_iterator_tag;
        using value_type = Value;
        using difference_type = std::ptrdiff_t;
        using pointer = void;
        using reference = Value;

        Value operator*() const { return Read(result_, index_); }

        iterator &operator++() noexcept {
            ++index_;
            return *this;
        }

        iterator operator++(int) noexcept {
            iterator before = *this;
            ++index_;
            return before;
        }

        bool operator==(const iterator &other) const noexcept { return index_ == other.index_; }
        bool operator!=(const iterator &other) const noexcept { return index_ != other.index_; }

    private:
        friend class sequence;

        iterator(const ::phantomdb_result *of, std::uint64_t index) noexcept
            : result_(of), index_(index) {}

        const ::phantomdb_result *result_;
        std::uint64_t index_;
    };

    iterator begin() const noexcept { return {result_, 0}; }
    iterator end() const noexcept { return {result_, size_}; }

    /// How many there are.
    std::uint64_t size() const noexcept { return size_; }

    /// Whether there are none.
    bool empty() const noexcept { return size_ == 0; }

private:
    friend class result;

    sequence(const ::phantomdb_result *of, std::uint64_t size) noexcept
        : result_(of), size_(size) {}

    const ::phantomdb_result *result_;
    std::uint64_t size_;
};

inline result::row_range result::rows() const & { return {handle_, row_count()}; }
inline result::item_range result::items() const & { return {handle_, item_count()}; }

namespace detail {

/// Calls a function that gives a result, which it owns.
template <class Function>
result result_of(Function &&function) {
    ::phantomdb_result *given = nullptr;
    call([&](auto *e) { return function(&given, e); });
    return result(given);
}

/// The bytes of a body, which may be absent. One that is empty is there, whatever it points to.
inline const std::uint8_t *bytes(std::optional<std::string_view> body) noexcept {
    if (!body) return nullptr;
    return reinterpret_cast<const std::uint8_t *>(body->empty() ? "" : body->data());
}

inline std::uint64_t length(std::optional<std::string_view> body) noexcept {
    return body ? body->size() : 0;
}

} // namespace detail

/// What a call that did not wait has come to: a value, or the error. Can be moved.
template <class Value>
class outcome {
public:
    /// A call that succeeded.
    explicit outcome(Value value) noexcept : value_(std::move(value)), error_{} {}
    /// A call that failed.
    explicit outcome(const ::phantomdb_error &reported) noexcept : error_(reported) {}

    /// Whether there is a value.
    explicit operator bool() const noexcept { return value_.has_value(); }

    /// The value. Throws what the waiting call would have thrown if there is none.
    Value &value() & {
        check();
        return *value_;
    }
    /// The value, which is the caller's own.
    Value value() && {
        check();
        return std::move(*value_);
    }

    /// One of `phantomdb_code`; PHANTOMDB_OK if there is a value.
    std::int32_t code() const noexcept { return error_.code; }

    /// The error as an object, whose class is error itself. For an outcome without a value.
    error reason() const { return error(error_); }

private:
    void check() const {
        if (!value_) detail::raise(error_);
    }

    std::optional<Value> value_;
    ::phantomdb_error error_;
};

/// What a call without a value has come to.
template <>
class outcome<void> {
public:
    /// What the C interface reported.
    explicit outcome(const ::phantomdb_error &reported) noexcept : error_(reported) {}

    /// Whether the call succeeded.
    explicit operator bool() const noexcept { return error_.code == PHANTOMDB_OK; }

    /// Throws what the waiting call would have thrown, if it failed.
    void value() const {
        if (!*this) detail::raise(error_);
    }

    /// One of `phantomdb_code`.
    std::int32_t code() const noexcept { return error_.code; }

    /// The error as an object, whose class is error itself. For a call that failed.
    error reason() const { return error(error_); }

private:
    ::phantomdb_error error_;
};

/// Names a call that is under way, to cancel it. Can be copied, needs no care, and does nothing
/// any more when the call is over.
class ticket {
public:
    /// Of no call.
    ticket() noexcept = default;
    /// Takes over what a function of phantomdb.h gave.
    explicit ticket(::phantomdb_ticket *of) noexcept : handle_(of) {}

    /// Cancels the call: its callback soon gets the error cancelled, or its value if that was
    /// there first. A request in flight is cut. Never waits; may be called from any thread, and in
    /// callbacks too.
    void cancel() const noexcept { ::phantomdb_cancel(handle_, nullptr); }

    /// For functions of phantomdb.h.
    ::phantomdb_ticket *native_handle() const noexcept { return handle_; }

private:
    ::phantomdb_ticket *handle_ = nullptr;
};

/// A ticket that cancels its call at the end of the scope. The callback still runs, once.
class scoped_ticket {
public:
    /// Of no call.
    scoped_ticket() noexcept = default;
    /// Of this call.
    scoped_ticket(ticket of) noexcept : ticket_(of) {}

    /// Takes over what the other has; nothing is left in that.
    scoped_ticket(scoped_ticket &&other) noexcept : ticket_(other.detach()) {}

    /// Gives back what it has, and takes over what the other has.
    scoped_ticket &operator=(scoped_ticket &&other) noexcept {
        if (this != &other) {
            ticket_.cancel();
            ticket_ = other.detach();
        }
        return *this;
    }

    ~scoped_ticket() { ticket_.cancel(); }

    /// Cancels the call now.
    void cancel() const noexcept { ticket_.cancel(); }

    /// Lets the call go on; gives its ticket.
    ticket detach() noexcept { return std::exchange(ticket_, ticket()); }

private:
    ticket ticket_;
};

template <class Done>
class async_operations;
template <class Done>
class async_lease_operations;

/// A connection that was acquired from a pool; its destructor releases it.
///
/// One request at a time runs on it; it may be moved to another thread. Names may hold any
/// character but NUL. JSON arguments are checked before anything is sent. Every operation
/// throws what phantomdb.h says of phantomdb_connection, each code as its class.
class lease {
public:
    /// Takes over what a function of phantomdb.h gave.
    lease(::phantomdb_pool *from, ::phantomdb_connection *owned) noexcept
        : pool_(from), connection_(owned) {}

    /// Takes over what the other has; nothing is left in that.
    lease(lease &&other) noexcept
        : pool_(other.pool_), connection_(std::exchange(other.connection_, nullptr)) {}

    /// Gives back what it has, and takes over what the other has.
    lease &operator=(lease &&other) noexcept {
        lease(std::move(other)).swap(*this);
        return *this;
    }

    ~lease() {
        if (connection_ != nullptr) ::phantomdb_pool_release(pool_, connection_, nullptr);
    }

    /// Exchanges two leases.
    void swap(lease &other) noexcept {
        std::swap(pool_, other.pool_);
        std::swap(connection_, other.connection_);
    }

    /// Gives the connection back now. A transaction that is open on it is rolled back.
    ///
    /// The lease is empty afterwards, whatever is thrown: closed_error if the pool was closed
    /// and took the connection back itself, invalid_handle if it was released before.
    void release() {
        auto *connection = std::exchange(connection_, nullptr);
        detail::call([&](auto *e) { return ::phantomdb_pool_release(pool_, connection, e); });
    }

    /// Gives the connection back to be closed instead of reused. As release() in all else.
    void discard() {
        auto *connection = std::exchange(connection_, nullptr);
        detail::call([&](auto *e) { return ::phantomdb_pool_discard(pool_, connection, e); });
    }

    /// Cuts the request that another thread has in flight on this lease, which then throws
    /// cancelled there. With none in flight it does nothing. Safe from any thread.
    void interrupt() const {
        detail::call([&](auto *e) { return ::phantomdb_connection_interrupt(connection_, e); });
    }

    /// Whether it has a connection: it was neither moved from nor released.
    explicit operator bool() const noexcept { return connection_ != nullptr; }

    /// Checks the server's health: an object whose `status` is "healthy" or "unhealthy".
    result health_check() {
        return detail::result_of([&](auto **r, auto *e) {
            return ::phantomdb_connection_health_check(connection_, r, e);
        });
    }

    /// The names of the databases, as a list.
    result list_databases() {
        return detail::result_of([&](auto **r, auto *e) {
            return ::phantomdb_connection_list_databases(connection_, r, e);
        });
    }

    /// Creates a database. http_error with status 409 if there is one of this name.
    result create_database(std::string_view name) {
        const detail::text n("name", name);
        return detail::result_of([&](auto **r, auto *e) {
            return ::phantomdb_connection_create_database(connection_, n.get(), r, e);
        });
    }

    /// Drops a database with everything in it.
    result drop_database(std::string_view database) {
        const detail::text d("database", database);
        return detail::result_of([&](auto **r, auto *e) {
            return ::phantomdb_connection_drop_database(connection_, d.get(), r, e);
        });
    }

    /// The names of the tables of a database, as a list.
    result list_tables(std::string_view database) {
        const detail::text d("database", database);
        return detail::result_of([&](auto **r, auto *e) {
            return ::phantomdb_connection_list_tables(connection_, d.get(), r, e);
        });
    }

    /// Makes a table. `columns` is a JSON array of objects with `name` and `type`, and where
    /// wanted `nullable`, `primaryKey`, `defaultValue`.
    result create_table(std::string_view database, std::string_view name,
                        std::string_view columns) {
        const detail::text d("database", database), n("name", name), c("columns", columns);
        return detail::result_of([&](auto **r, auto *e) {
            return ::phantomdb_connection_create_table(connection_, d.get(), n.get(), c.get(), r,
                                                       e);
        });
    }

    /// Drops a table with all its rows.
    result drop_table(std::string_view database, std::string_view table) {
        const detail::text d("database", database), t("table", table);
        return detail::result_of([&](auto **r, auto *e) {
            return ::phantomdb_connection_drop_table(connection_, d.get(), t.get(), r, e);
        });
    }

    /// Adds one row: a JSON object of column to value. Never carried out twice.
    result insert(std::string_view database, std::string_view table, std::string_view row) {
        const detail::text d("database", database), t("table", table), o("row", row);
        return detail::result_of([&](auto **r, auto *e) {
            return ::phantomdb_connection_insert(connection_, d.get(), t.get(), o.get(), r, e);
        });
    }

    /// Reads the rows that match an SQL condition, or all: a table.
    result select(std::string_view database, std::string_view table,
                  std::optional<std::string_view> condition = std::nullopt) {
        const detail::text d("database", database), t("table", table), c("condition", condition);
        return detail::result_of([&](auto **r, auto *e) {
            return ::phantomdb_connection_select(connection_, d.get(), t.get(), c.get(), r, e);
        });
    }

    /// Updates the rows that match an SQL condition, or all. `data` is a JSON object of column
    /// to new value. result::affected_rows() says how many changed.
    result update(std::string_view database, std::string_view table, std::string_view data,
                  std::optional<std::string_view> condition = std::nullopt) {
        const detail::text d("database", database), t("table", table), o("data", data),
            c("condition", condition);
        return detail::result_of([&](auto **r, auto *e) {
            return ::phantomdb_connection_update(connection_, d.get(), t.get(), o.get(), c.get(),
                                                 r, e);
        });
    }

    /// Deletes the rows that match an SQL condition, which is never optional: say "1=1" for all
    /// rows. (`erase` in other libraries; `delete` is a word of C++.)
    result delete_rows(std::string_view database, std::string_view table,
                       std::string_view condition) {
        const detail::text d("database", database), t("table", table), c("condition", condition);
        return detail::result_of([&](auto **r, auto *e) {
            return ::phantomdb_connection_delete(connection_, d.get(), t.get(), c.get(), r, e);
        });
    }

    /// Runs one SQL statement. `parameters` is a JSON array, one value for each `?`. The result
    /// of a query is a table; result::affected_rows() tells of other statements.
    result execute_query(std::string_view database, std::string_view sql,
                         std::optional<std::string_view> parameters = std::nullopt) {
        const detail::text d("database", database), s("sql", sql), p("parameters", parameters);
        return detail::result_of([&](auto **r, auto *e) {
            return ::phantomdb_connection_execute_query(connection_, d.get(), s.get(), p.get(), r,
                                                        e);
        });
    }

    /// Begins a transaction, of one database or of whichever it touches first. The class
    /// transaction does this, and rolls back by itself.
    result begin_transaction(std::optional<std::string_view> database = std::nullopt) {
        const detail::text d("database", database);
        return detail::result_of([&](auto **r, auto *e) {
            return ::phantomdb_connection_begin_transaction(connection_, d.get(), r, e);
        });
    }

    /// Commits the transaction that is open on this lease.
    result commit_transaction(std::optional<std::string_view> transaction_id = std::nullopt) {
        const detail::text i("transaction_id", transaction_id);
        return detail::result_of([&](auto **r, auto *e) {
            return ::phantomdb_connection_commit_transaction(connection_, i.get(), r, e);
        });
    }

    /// Rolls back the transaction that is open on this lease.
    result rollback_transaction(std::optional<std::string_view> transaction_id = std::nullopt) {
        const detail::text i("transaction_id", transaction_id);
        return detail::result_of([&](auto **r, auto *e) {
            return ::phantomdb_connection_rollback_transaction(connection_, i.get(), r, e);
        });
    }

    /// Sends a request that has no name here yet. `path` begins with "/" and is sent as it is,
    /// so whatever needs it must be percent-encoded; `body` is JSON.
    result request(std::string_view method, std::string_view path,
                   std::optional<std::string_view> body = std::nullopt) {
        const detail::text m("method", method), p("path", path);
        return detail::result_of([&](auto **r, auto *e) {
            return ::phantomdb_connection_request(connection_, m.get(), p.get(),
                                                  detail::bytes(body), detail::length(body), r, e);
        });
    }

    /// Every operation in its form that does not wait: `lease.async(done).insert(...)`. `done` is
    /// called with an outcome<result>, once; see CALLS THAT DO NOT WAIT.
    template <class Done>
    async_lease_operations<std::decay_t<Done>> async(Done &&done) {
        return {connection_, std::forward<Done>(done)};
    }

    /// Names who has the connection, for the report of a leak (options::leak_threshold).
    void set_owner(std::string_view owner) {
        const detail::text o("owner", owner);
        detail::call(
            [&](auto *e) { return ::phantomdb_connection_set_owner(connection_, o.get(), e); });
    }

    /// For functions of phantomdb.h; the lease keeps it.
    ::phantomdb_connection *native_handle() const noexcept { return connection_; }

private:
    ::phantomdb_pool *pool_;
    ::phantomdb_connection *connection_;
};

namespace detail {

/// What is called when a call is over. It is the library's from the submission until then.
template <class Done>
class completion {
public:
    /// `from` is the pool of what the call hands out, if that is a lease.
    explicit completion(Done done, ::phantomdb_pool *from = nullptr)
        : kept_(new kept{std::move(done), from}) {}

    /// Submits a call: `function` is given the completion as user_data, where the ticket goes, and
    /// the error to fill. If that throws, the completion is never called.
    template <class Function>
    ticket submit(Function &&function) {
        ::phantomdb_ticket *made = nullptr;
        call([&](auto *e) { return function(static_cast<void *>(kept_.get()), &made, e); });
        // It may have run already.
        (void)kept_.release();
        return ticket(made);
    }

    /// For acquires.
    static void on_lease(::phantomdb_connection *owned, const ::phantomdb_error *reported,
                         void *user_data) noexcept {
        const std::unique_ptr<kept> it(static_cast<kept *>(user_data));
        if (reported->code == PHANTOMDB_OK) tell<lease>(*it, lease(it->from, owned));
        else tell<lease>(*it, *reported);
    }

    /// For results.
    static void on_result(::phantomdb_result *owned, const ::phantomdb_error *reported,
                          void *user_data) noexcept {
        const std::unique_ptr<kept> it(static_cast<kept *>(user_data));
        if (reported->code == PHANTOMDB_OK) tell<result>(*it, result(owned));
        else tell<result>(*it, *reported);
    }

    /// For the end of a close.
    static void on_closed(const ::phantomdb_error *reported, void *user_data) noexcept {
        const std::unique_ptr<kept> it(static_cast<kept *>(user_data));
        tell<void>(*it, *reported);
    }

private:
    struct kept {
        Done done;
        ::phantomdb_pool *from;
    };

    template <class Value, class What>
    static void tell(kept &it, What &&what) {
        std::invoke(std::move(it.done), outcome<Value>(std::forward<What>(what)));
    }

    std::unique_ptr<kept> kept_;
};

} // namespace detail

/// The operations in their form that does not wait, with what is to be done with the outcome:
/// a callable that takes an outcome<result>. Made by pool::async() and lease::async(), and used at
/// once, for one operation. What each operation does stands at lease.
template <class Done>
class async_operations {
    static_assert(std::is_invocable_v<Done, outcome<result>>,
                  "the callback takes a phantomdb::outcome<phantomdb::result>");

public:
    /// See lease::health_check().
    ticket health_check() && { return run(PHANTOMDB_HEALTH_CHECK, {}); }

    /// See lease::list_databases().
    ticket list_databases() && { return run(PHANTOMDB_LIST_DATABASES, {}); }

    /// See lease::create_database().
    ticket create_database(std::string_view name) && {
        return run(PHANTOMDB_CREATE_DATABASE, {{"name", name}});
    }

    /// See lease::drop_database().
    ticket drop_database(std::string_view database) && {
        return run(PHANTOMDB_DROP_DATABASE, {{"database", database}});
    }

    /// See lease::list_tables().
    ticket list_tables(std::string_view database) && {
        return run(PHANTOMDB_LIST_TABLES, {{"database", database}});
    }

    /// See lease::create_table().
    ticket create_table(std::string_view database, std::string_view name,
                        std::string_view columns) && {
        return run(PHANTOMDB_CREATE_TABLE,
                   {{"database", database}, {"name", name}, {"columns", columns}});
    }

    /// See lease::drop_table().
    ticket drop_table(std::string_view database, std::string_view table) && {
        return run(PHANTOMDB_DROP_TABLE, {{"database", database}, {"table", table}});
    }

    /// See lease::insert().
    ticket insert(std::string_view database, std::string_view table, std::string_view row) && {
        return run(PHANTOMDB_INSERT, {{"database", database}, {"table", table}, {"row", row}});
    }

    /// See lease::select().
    ticket select(std::string_view database, std::string_view table,
                  std::optional<std::string_view> condition = std::nullopt) && {
        return run(PHANTOMDB_SELECT,
                   {{"database", database}, {"table", table}, {"condition", condition}});
    }

    /// See lease::update().
    ticket update(std::string_view database, std::string_view table, std::string_view data,
                  std::optional<std::string_view> condition = std::nullopt) && {
        return run(PHANTOMDB_UPDATE, {{"database", database},
                                      {"table", table},
                                      {"data", data},
                                      {"condition", condition}});
    }

    /// See lease::delete_rows().
    ticket delete_rows(std::string_view database, std::string_view table,
                       std::string_view condition) && {
        return run(PHANTOMDB_DELETE,
                   {{"database", database}, {"table", table}, {"condition", condition}});
    }

    /// See lease::execute_query().
    ticket execute_query(std::string_view database, std::string_view sql,
                         std::optional<std::string_view> parameters = std::nullopt) && {
        return run(PHANTOMDB_EXECUTE_QUERY,
                   {{"database", database}, {"sql", sql}, {"parameters", parameters}});
    }

    /// See lease::request().
    ticket request(std::string_view method, std::string_view path,
                   std::optional<std::string_view> body = std::nullopt) && {
        const detail::text m("method", method), p("path", path);
        return done_.submit([&](void *done, auto **t, auto *e) {
            const auto *bytes = detail::bytes(body);
            const auto length = detail::length(body);
            return is_of_lease_
                       ? ::phantomdb_connection_request_async(connection_, m.get(), p.get(), bytes,
                                                              length, on_result, done, t, e)
                       : ::phantomdb_pool_request_async(pool_, m.get(), p.get(), bytes, length,
                                                        on_result, done, t, e);
        });
    }

protected:
    friend class pool;
    friend class lease;

    /// The name of an argument, and the text, if there is one.
    using argument = std::pair<const char *, std::optional<std::string_view>>;

    /// Those of a pool.
    async_operations(::phantomdb_pool *pool, Done done) : pool_(pool), done_(std::move(done)) {}

    /// Those of a connection.
    async_operations(::phantomdb_connection *connection, Done done)
        : connection_(connection), is_of_lease_(true), done_(std::move(done)) {}

    /// Starts an operation.
    ticket run(::phantomdb_operation operation, std::initializer_list<argument> arguments) {
        std::vector<detail::text> texts;
        texts.reserve(arguments.size());
        std::vector<const char *> values;
        values.reserve(arguments.size());
        for (const auto &[name, value] : arguments) {
            values.push_back(texts.emplace_back(name, value).get());
        }
        return done_.submit([&](void *done, auto **t, auto *e) {
            return is_of_lease_
                       ? ::phantomdb_connection_run_async(connection_, operation, values.data(),
                                                          values.size(), on_result, done, t, e)
                       : ::phantomdb_pool_run_async(pool_, operation, values.data(), values.size(),
                                                    on_result, done, t, e);
        });
    }

private:
    static constexpr auto on_result = &detail::completion<Done>::on_result;

    ::phantomdb_pool *pool_ = nullptr;
    ::phantomdb_connection *connection_ = nullptr;
    bool is_of_lease_ = false;
    detail::completion<Done> done_;
};

/// The operations of a lease in their form that does not wait: those of async_operations, and of
/// transactions. Requests on one lease run one after the other, in the order in which they were
/// made; it may be released while they are under way, and is back when they are done.
template <class Done>
class async_lease_operations : public async_operations<Done> {
public:
    /// See lease::begin_transaction().
    ticket begin_transaction(std::optional<std::string_view> database = std::nullopt) && {
        return this->run(PHANTOMDB_BEGIN_TRANSACTION, {{"database", database}});
    }

    /// See lease::commit_transaction().
    ticket commit_transaction(std::optional<std::string_view> transaction_id = std::nullopt) && {
        return this->run(PHANTOMDB_COMMIT_TRANSACTION, {{"transaction_id", transaction_id}});
    }

    /// See lease::rollback_transaction().
    ticket rollback_transaction(std::optional<std::string_view> transaction_id = std::nullopt) && {
        return this->run(PHANTOMDB_ROLLBACK_TRANSACTION, {{"transaction_id", transaction_id}});
    }

private:
    friend class lease;
    using async_operations<Done>::async_operations;
};

/// A transaction on a lease: rolled back at the end of the scope, unless it was committed.
///
/// Every request on the lease belongs to it. It does not keep the lease: releasing that first
/// rolls it back as well. The destructor asks the server, and so takes as long as a request may.
class transaction {
public:
    /// Begins it, on one database or on whichever it touches first. Throws invalid_state if a
    /// transaction is open on this lease already.
    explicit transaction(lease &on, std::optional<std::string_view> database = std::nullopt)
        : connection_(on.native_handle()) {
        const detail::text d("database", database);
        detail::call([&](auto *e) {
            return ::phantomdb_connection_begin_transaction(connection_, d.get(), nullptr, e);
        });
    }

    /// Takes over what the other has; nothing is left in that.
    transaction(transaction &&other) noexcept
        : connection_(std::exchange(other.connection_, nullptr)) {}

    /// Gives back what it has, and takes over what the other has.
    transaction &operator=(transaction &&other) noexcept {
        transaction moved(std::move(other));
        std::swap(connection_, moved.connection_);
        return *this;
    }

    ~transaction() {
        if (connection_ == nullptr) return;
        ::phantomdb_connection_rollback_transaction(connection_, nullptr, nullptr, nullptr);
    }

    /// Makes its changes permanent. If that throws and the transaction is still open, the
    /// destructor rolls it back.
    void commit() {
        detail::call([&](auto *e) {
            return ::phantomdb_connection_commit_transaction(connection_, nullptr, nullptr, e);
        });
        connection_ = nullptr;
    }

    /// Undoes its changes now. If that throws, the destructor tries again.
    void rollback() {
        detail::call([&](auto *e) {
            return ::phantomdb_connection_rollback_transaction(connection_, nullptr, nullptr, e);
        });
        connection_ = nullptr;
    }

private:
    ::phantomdb_connection *connection_;
};

/// A pool of connections to one PhantomDB server. May be used by any number of threads at once.
class pool {
public:
    /// Makes a pool; opens no connection unless options::preconnect asks for it. Throws
    /// invalid_argument or tls_error, what() beginning with the option that can't be used.
    explicit pool(const options &chosen = options())
        : log_(chosen.log ? std::make_unique<logger>(chosen.log) : nullptr),
          handle_(create(chosen, log_.get())) {}

    /// Takes over what the other has; nothing is left in that.
    pool(pool &&other) noexcept
        : log_(std::move(other.log_)), handle_(std::exchange(other.handle_, nullptr)) {}

    /// Gives back what it has, and takes over what the other has.
    pool &operator=(pool &&other) noexcept {
        pool(std::move(other)).swap(*this);
        return *this;
    }

    /// Closes the pool; see close().
    ~pool() {
        if (handle_ != nullptr) ::phantomdb_pool_close(handle_, nullptr);
    }

    /// Exchanges two pools.
    void swap(pool &other) noexcept {
        std::swap(log_, other.log_);
        std::swap(handle_, other.handle_);
    }

    /// Waits for a connection, at most options::acquire_timeout. Callers are served in the order
    /// in which they came.
    ///
    /// Throws timeout_error, closed_error, overloaded_error; when the server can't be reached
    /// unavailable_error (or tls_error, unauthorized) at once.
    lease acquire() {
        ::phantomdb_connection *connection = nullptr;
        detail::call([&](auto *e) { return ::phantomdb_pool_acquire(handle_, &connection, e); });
        return {handle_, connection};
    }

    /// As acquire(), but waits at most for this time, rounded up to whole milliseconds. With
    /// zero it takes a connection only if one is free at once; a negative time is refused.
    template <class Rep, class Period>
    lease acquire_for(std::chrono::duration<Rep, Period> timeout) {
        ::phantomdb_connection *connection = nullptr;
        detail::call([&](auto *e) {
            return ::phantomdb_pool_acquire_timeout(handle_, detail::milliseconds(timeout),
                                                    &connection, e);
        });
        return {handle_, connection};
    }

    /// Takes a connection if one is free; otherwise returns an empty optional. Never waits and never
    /// uses the network. `reason`, if given, receives why the optional is empty: all connections are
    /// in use, for example. Throws like acquire() for everything else, such as a closed pool.
    std::optional<lease> try_acquire(std::string *reason = nullptr) {
        ::phantomdb_connection *connection = nullptr;
        ::phantomdb_error reported;
        switch (::phantomdb_pool_try_acquire(handle_, &connection, &reported)) {
        case PHANTOMDB_OK: return lease(handle_, connection);
        case PHANTOMDB_ERR_WOULD_BLOCK:
            if (reason) *reason = reported.message;
            return std::nullopt;
        default: detail::raise(reported);
        }
    }

    /// Acquires a connection, runs one SQL statement on it and gives it back. `parameters` is a
    /// JSON array, one value for each `?`.
    result query(std::string_view database, std::string_view sql,
                 std::optional<std::string_view> parameters = std::nullopt) {
        const detail::text d("database", database), s("sql", sql), p("parameters", parameters);
        return detail::result_of([&](auto **r, auto *e) {
            return ::phantomdb_pool_query(handle_, d.get(), s.get(), p.get(), r, e);
        });
    }

    /// Acquires a connection, sends one request on it and gives it back; see lease::request().
    result request(std::string_view method, std::string_view path,
                   std::optional<std::string_view> body = std::nullopt) {
        const detail::text m("method", method), p("path", path);
        return detail::result_of([&](auto **r, auto *e) {
            return ::phantomdb_pool_request(handle_, m.get(), p.get(), detail::bytes(body),
                                            detail::length(body), r, e);
        });
    }

    /// Every operation but those of transactions in its form that does not wait, each on a
    /// connection that is acquired for it and given back: `pool.async(done).list_databases()`.
    /// `done` is called with an outcome<result>, once; see CALLS THAT DO NOT WAIT.
    template <class Done>
    async_operations<std::decay_t<Done>> async(Done &&done) {
        return {handle_, std::forward<Done>(done)};
    }

    /// Acquires a connection without waiting for it: `done` is called with an outcome<lease>,
    /// once. Callers are served in the order in which they came, those that wait in acquire() among
    /// them.
    template <class Done>
    ticket acquire_async(Done &&done) {
        return acquire_async_within(PHANTOMDB_POOL_TIMEOUT, std::forward<Done>(done));
    }

    /// As acquire_async(), but under way for at most this time.
    template <class Rep, class Period, class Done>
    ticket acquire_async_for(std::chrono::duration<Rep, Period> timeout, Done &&done) {
        return acquire_async_within(time(timeout), std::forward<Done>(done));
    }

    /// Closes the pool as close() does, without waiting for it: `done` is called with an
    /// outcome<void>, once, and is the last callback of this pool. May be called in a callback.
    /// Another close that is made meanwhile, the destructor's say, returns after it has run.
    template <class Done>
    void close_async(Done &&done) {
        close_async_within(PHANTOMDB_POOL_TIMEOUT, std::forward<Done>(done));
    }

    /// As close_async(), but leases that are out have this time to come back.
    template <class Rep, class Period, class Done>
    void close_async_for(std::chrono::duration<Rep, Period> timeout, Done &&done) {
        close_async_within(time(timeout), std::forward<Done>(done));
    }

    /// The numbers of this moment.
    pool_status status() const {
        pool_status now{};
        now.struct_size = sizeof now;
        detail::call([&](auto *e) { return ::phantomdb_pool_status(handle_, &now, e); });
        return now;
    }

    /// The numbers of this moment as JSON.
    std::string status_json() const {
        const result now = detail::result_of(
            [&](auto **r, auto *e) { return ::phantomdb_pool_status_json(handle_, r, e); });
        return std::string(now.text());
    }

    /// What the pool has done so far, as JSON: acquires by outcome, histograms of times,
    /// connections created and closed by reason.
    std::string stats_json() const {
        const result now = detail::result_of(
            [&](auto **r, auto *e) { return ::phantomdb_pool_stats_json(handle_, r, e); });
        return std::string(now.text());
    }

    /// The statistics and the status as OpenMetrics text, for Prometheus and its like.
    std::string metrics() const {
        const result now = detail::result_of(
            [&](auto **r, auto *e) { return ::phantomdb_pool_metrics(handle_, r, e); });
        return std::string(now.text());
    }

    /// Retires every connection that is open now: idle ones at once, others when they are
    /// released. Callers notice nothing.
    void reset() {
        detail::call([&](auto *e) { return ::phantomdb_pool_reset(handle_, e); });
    }

    /// Changes options::min_connections and options::max_connections while the pool is in use.
    void resize(std::uint32_t min_connections, std::uint32_t max_connections) {
        detail::call([&](auto *e) {
            return ::phantomdb_pool_resize(handle_, min_connections, max_connections, e);
        });
    }

    /// Changes the bearer token for every request that starts afterwards; without one, none is
    /// sent. Throws invalid_argument for one that no HTTP header can carry.
    void set_token(std::optional<std::string_view> token) {
        const detail::text t("token", token);
        detail::call([&](auto *e) { return ::phantomdb_pool_set_token(handle_, t.get(), e); });
    }

    /// Closes the pool, and returns when nothing of it is left: no socket and no thread.
    ///
    /// Waiters get closed_error at once. Leases that are out have
    /// options::close_timeout to come back; then they are cut. Closing it again does nothing.
    void close() {
        detail::call([&](auto *e) { return ::phantomdb_pool_close(handle_, e); });
    }

    /// As close(), but leases that are out have this time to come back; with zero they are cut at
    /// once. A close that waits in another thread ends as early.
    template <class Rep, class Period>
    void close_for(std::chrono::duration<Rep, Period> timeout) {
        const std::int64_t milliseconds = detail::milliseconds(timeout);
        detail::call([&](auto *e) {
            return ::phantomdb_pool_close_timeout(handle_, milliseconds, e);
        });
    }

    /// For functions of phantomdb.h; the pool keeps it.
    ::phantomdb_pool *native_handle() const noexcept { return handle_; }

private:
    using logger = std::function<void(log_level, std::string_view)>;

    template <class Done>
    ticket acquire_async_within(std::int64_t timeout_ms, Done &&done) {
        static_assert(std::is_invocable_v<std::decay_t<Done>, outcome<lease>>,
                      "the callback takes a phantomdb::outcome<phantomdb::lease>");
        using completion = detail::completion<std::decay_t<Done>>;
        return completion(std::forward<Done>(done), handle_)
            .submit([&](void *user_data, auto **t, auto *e) {
                return ::phantomdb_pool_acquire_async(handle_, timeout_ms, completion::on_lease,
                                                      user_data, t, e);
            });
    }

    template <class Done>
    void close_async_within(std::int64_t timeout_ms, Done &&done) {
        static_assert(std::is_invocable_v<std::decay_t<Done>, outcome<void>>,
                      "the callback takes a phantomdb::outcome<void>");
        using completion = detail::completion<std::decay_t<Done>>;
        completion(std::forward<Done>(done)).submit([&](void *user_data, auto **, auto *e) {
            return ::phantomdb_pool_close_async(handle_, timeout_ms, completion::on_closed,
                                                user_data, e);
        });
    }

    /// A time that is not the pool's own, which is negative in the C interface.
    template <class Rep, class Period>
    static std::int64_t time(std::chrono::duration<Rep, Period> timeout) {
        const std::int64_t milliseconds = detail::milliseconds(timeout);
        if (milliseconds < 0) {
            detail::refuse(PHANTOMDB_ERR_INVALID_ARGUMENT, "timeout: must not be negative");
        }
        return milliseconds;
    }

    /// What the library calls; nothing may be thrown into it.
    static void pass_on(std::int32_t level, const char *message, void *to) noexcept {
        try {
            (*static_cast<const logger *>(to))(static_cast<log_level>(level), message);
        } catch (...) {
            // There is nobody left to tell.
        }
    }

    static ::phantomdb_pool *create(const options &chosen, logger *log) {
        ::phantomdb_pool_options given;
        ::phantomdb_pool_options_init(&given, sizeof given);
        detail::each_option(chosen, given, detail::option_writer());
        given.log = log == nullptr ? nullptr : pass_on;
        given.log_user_data = log;

        ::phantomdb_pool *made = nullptr;
        detail::call([&](auto *e) { return ::phantomdb_pool_create(&given, &made, e); });
        return made;
    }

    /// At an address of its own, which stays when the pool is moved.
    std::unique_ptr<logger> log_;
    ::phantomdb_pool *handle_;
};

} // namespace phantomdb

#endif // PHANTOMDB_HPP
