// Loads the time zones of the world into PhantomDB, from several threads over one pool of
// connections, and asks about them.
//
//     c++ -std=c++17 zones.cpp $(pkg-config --cflags --libs phantomdb) -lpthread -o zones
//     ./zones http://localhost:8080 ../data

#include <atomic>
#include <exception>
#include <fstream>
#include <functional>
#include <future>
#include <iomanip>
#include <iostream>
#include <phantomdb.hpp>
#include <sstream>
#include <unistd.h>
#include <vector>

namespace {

constexpr const char *database = "zones";
constexpr int thread_count = 4;

// One row that is to be inserted.
struct row {
    std::string table;
    std::string json;
};

using fields = std::vector<std::string>;

fields split(const std::string &text, char separator) {
    fields parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
    return parts;
}

// A text as a JSON string. The tables hold no control characters.
std::string json(const std::string &text) {
    std::string quoted = "\"";
    for (const char character : text) {
        if (character == '"' || character == '\\') quoted += '\\';
        quoted += character;
    }
    return quoted + '"';
}

// One angle of ISO 6709, [+-]DDMM or [+-]DDMMSS with two or three digits of degrees, in degrees.
double angle(const std::string &text, std::size_t degree_digits) {
    const auto part = [&](std::size_t from, std::size_t size) {
        return from < text.size() ? std::stod(text.substr(from, size)) : 0.0;
    };
    const double degrees = part(1, degree_digits) + part(1 + degree_digits, 2) / 60 +
                           part(3 + degree_digits, 2) / 3600;
    return text.front() == '-' ? -degrees : degrees;
}

void add_country(const fields &line, std::vector<row> &rows) {
    rows.push_back({"countries", R"({"code":)" + json(line.at(0)) + R"(,"name":)" +
                                     json(line.at(1)) + "}"});
}

void add_zone(const fields &line, std::vector<row> &rows) {
    const std::string &coordinates = line.at(1);
    const std::size_t second = coordinates.find_first_of("+-", 1);
    std::ostringstream zone;
    zone << std::fixed << std::setprecision(4) << R"({"name":)" << json(line.at(2))
         << R"(,"latitude":)" << angle(coordinates.substr(0, second), 2) << R"(,"longitude":)"
         << angle(coordinates.substr(second), 3) << "}";
    rows.push_back({"zones", zone.str()});
    // A zone may cover several countries: "AE,OM,RE".
    for (const std::string &country : split(line.at(0), ',')) {
        rows.push_back({"places", R"({"country":)" + json(country) + R"(,"zone":)" +
                                      json(line.at(2)) + "}"});
    }
}

// Adds what a file says, line by line; the first thing that is wrong with it ends that.
void read_table(const std::string &path, std::vector<row> &rows,
                const std::function<void(const fields &, std::vector<row> &)> &add) {
    std::ifstream file(path);
    if (!file) throw std::runtime_error(path + ": can't be read");
    std::string line;
    for (int number = 1; std::getline(file, line); number++) {
        if (line.empty() || line.front() == '#') continue;
        try {
            add(split(line, '\t'), rows);
        } catch (const std::logic_error &) {
            throw std::runtime_error(path + ":" + std::to_string(number) + ": can't be read");
        }
    }
}

void make_tables(phantomdb::lease &lease) {
    try {
        lease.drop_database(database);
    } catch (const phantomdb::http_error &error) {
        // On a server that never saw an earlier run there is nothing to drop.
        if (error.http_status() != 404) throw;
    }
    lease.create_database(database);
    lease.create_table(database, "countries",
                       R"([{"name":"code","type":"string","primaryKey":true},
                           {"name":"name","type":"string"}])");
    lease.create_table(database, "zones",
                       R"([{"name":"name","type":"string","primaryKey":true},
                           {"name":"latitude","type":"float"},
                           {"name":"longitude","type":"float"}])");
    lease.create_table(database, "places",
                       R"([{"name":"country","type":"string"},{"name":"zone","type":"string"}])");
}

// Inserts all rows: each thread takes a connection, and then the next row until none is left.
class loader {
public:
    loader(phantomdb::pool &pool, const std::vector<row> &rows) : pool_(pool), rows_(rows) {}

    void run() {
        std::vector<std::future<void>> threads;
        for (int i = 0; i < thread_count; i++) {
            threads.push_back(std::async(std::launch::async, [this] { load_some(); }));
        }
        for (auto &thread : threads) thread.wait();
        if (shows_progress_) std::cerr << "\r\033[K";
        for (auto &thread : threads) thread.get();
    }

private:
    void load_some() {
        phantomdb::lease lease = pool_.acquire();
        for (std::size_t i = next_++; i < rows_.size(); i = next_++) {
            lease.insert(database, rows_[i].table, rows_[i].json);
            show_progress(++loaded_);
        }
    }

    void show_progress(std::size_t loaded) const {
        if (!shows_progress_ || loaded % 50 != 0) return;
        std::cerr << "\rLoading row " + std::to_string(loaded) + " of " +
                         std::to_string(rows_.size()) + " ";
    }

    phantomdb::pool &pool_;
    const std::vector<row> &rows_;
    const bool shows_progress_ = ::isatty(STDERR_FILENO) != 0;
    std::atomic<std::size_t> next_{0};
    std::atomic<std::size_t> loaded_{0};
};

std::int64_t count(phantomdb::lease &lease, const std::string &table) {
    return lease.execute_query(database, "SELECT count(*) FROM " + table)[0][0].as<std::int64_t>();
}

void show_counts(phantomdb::lease &lease) {
    std::cout << "Loaded " << count(lease, "countries") << " countries and "
              << count(lease, "zones") << " time zones, " << thread_count << " rows at a time.\n\n";
}

void show_countries(phantomdb::lease &lease) {
    const phantomdb::result countries = lease.execute_query(
        database,
        "SELECT count(*) AS zones, countries.name FROM places JOIN countries ON code = country "
        "GROUP BY code ORDER BY zones DESC, countries.name LIMIT ?", "[10]");
    std::cout << "zones  country\n-----  -------\n";
    for (const phantomdb::row country : countries.rows()) {
        std::cout << std::setw(5) << country["zones"].as<int>() << "  " << country["name"].text()
                  << '\n';
    }
}

void show_southernmost(phantomdb::lease &lease) {
    const phantomdb::result zones =
        lease.select(database, "zones", "latitude = (SELECT min(latitude) FROM zones)");
    std::cout << "\nSouthernmost: " << zones[0]["name"].text() << ", " << std::fixed
              << std::setprecision(2) << -zones[0]["latitude"].as<double>() << " degrees south.\n";
}

void show_rollback(phantomdb::lease &lease) {
    const std::int64_t before = count(lease, "zones");
    std::int64_t within = 0;
    {
        // Never committed, so that the end of this block rolls it back.
        const phantomdb::transaction transaction(lease, database);
        lease.insert(database, "zones",
                     R"({"name":"Atlantis/Poseidonis","latitude":31.0,"longitude":-24.0})");
        within = count(lease, "zones");
    }
    const std::int64_t after = count(lease, "zones");
    std::cout << "With Atlantis there are " << within << " time zones; rolled back there are "
              << after << ", " << (before == after ? "unchanged" : "CHANGED") << ".\n";
}

void show_status(const phantomdb::pool &pool) {
    const phantomdb::pool_status status = pool.status();
    std::cout << "\nPool: " << status.available << " available, " << status.used << " used, "
              << status.pending << " pending; " << status.total << " in all, at least "
              << status.min << ", at most " << status.max << ".\n";
}

void run(const std::string &url, const std::string &folder) {
    std::vector<row> rows;
    read_table(folder + "/iso3166.tab", rows, add_country);
    read_table(folder + "/zone1970.tab", rows, add_zone);

    phantomdb::options options(url);
    // One for each thread, and one for the questions.
    options.min_connections = options.max_connections = thread_count + 1;
    phantomdb::pool pool(options);
    {
        phantomdb::lease lease = pool.acquire();
        make_tables(lease);
        loader(pool, rows).run();
        show_counts(lease);
        show_countries(lease);
        show_southernmost(lease);
        show_rollback(lease);
    }
    show_status(pool);
}

} // namespace

int main(int argc, char **argv) {
    if (argc != 3) {
        std::cerr << "usage: " << argv[0] << " BASE_URL DATA_DIR\n";
        return 2;
    }
    try {
        run(argv[1], argv[2]);
    } catch (const std::exception &error) {
        std::cerr << "zones: " << error.what() << '\n';
        return 1;
    }
}
