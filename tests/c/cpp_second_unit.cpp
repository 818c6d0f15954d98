// A second translation unit of the C++ suite, which includes the header twice: nothing in it may
// be defined once too often.
#include <phantomdb.hpp>
#include <phantomdb.hpp>

std::string default_url_of_second_unit();

std::string default_url_of_second_unit() {
    return phantomdb::options().base_url;
}
