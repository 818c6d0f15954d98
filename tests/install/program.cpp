// The same program in C++.
#include <cstdint>
#include <iostream>
#include <phantomdb.hpp>

int main(int argc, char **argv) try {
    phantomdb::options options;
    if (argc > 1) options.base_url = argv[1];
    phantomdb::pool pool(options);
    const phantomdb::result people =
        pool.query("people", "SELECT id, name FROM person ORDER BY id");
    for (const phantomdb::row &person : people.rows()) {
        std::cout << person[0].as<std::int64_t>() << ' ' << person[1].text() << '\n';
    }
    std::cout << "phantomdb " << phantomdb::version() << '\n';
} catch (const phantomdb::error &error) {
    std::cerr << error.what() << '\n';
    return 1;
}
