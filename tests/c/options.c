/* Options that make no sense are refused at create, by name, and show no secret. */
#include <stddef.h>
#include <string.h>

#include "support.h"

#define HUGE_TIME (366LL * 24 * 60 * 60 * 1000)
#define SECRET "hush-hush"

static phantomdb_pool_options options;

/* Creates a pool of the options, which must be refused with a message that begins so. */
static void refused(const char *name, const char *part) {
    check_about("%s", name);
    phantomdb_pool *pool = (phantomdb_pool *)&options;
    phantomdb_error error;
    if (CHECK_CODE(phantomdb_pool_create(&options, &pool, &error), PHANTOMDB_ERR_INVALID_ARGUMENT,
                   &error, part)) {
        CHECK(strncmp(error.message, name, strlen(name)) == 0);
        CHECK_HAS(error.message, name);
        CHECK_LACKS(error.message, SECRET);
        CHECK(!error.retriable);
    }
    CHECK(pool == NULL);
    options = options_for("http://localhost:8080");
}

static void taken(const char *name) {
    check_about("%s", name);
    closed(new_pool(&options));
    options = options_for("http://localhost:8080");
}

#define REFUSED(member, value, part) \
    do {                             \
        options.member = value;      \
        refused(#member, part);      \
    } while (0)
/* Times are named in messages without their unit. */
#define REFUSED_TIME(name, value, part) \
    do {                                \
        options.name##_ms = value;      \
        refused(#name, part);           \
    } while (0)
#define TAKEN(member, value)    \
    do {                        \
        options.member = value; \
        taken(#member);         \
    } while (0)

static void the_defaults(void) {
    CHECK_INT(options.struct_size, sizeof options);
    CHECK_TEXT(options.base_url, "http://localhost:8080");
    CHECK(options.token == NULL);
    CHECK_INT(options.min_connections, 2);
    CHECK_INT(options.max_connections, 10);
    CHECK_INT(options.max_connecting, 2);
    CHECK_INT(options.max_waiters, 10000);
    CHECK_INT(options.validation, PHANTOMDB_VALIDATION_SOCKET);
    CHECK_INT(options.acquire_timeout_ms, 30000);
    CHECK_INT(options.idle_timeout_ms, 60000);
    CHECK_INT(options.max_lifetime_ms, 30 * 60 * 1000);
    CHECK_INT(options.validate_after_ms, 500);
    CHECK_INT(options.validation_timeout_ms, 1000);
    CHECK_INT(options.request_timeout_ms, 30000);
    CHECK_INT(options.connect_timeout_ms, 5000);
    CHECK_INT(options.close_timeout_ms, 5000);
    CHECK_INT(options.max_response_bytes, 64 * 1024 * 1024);
    CHECK_INT(options.leak_threshold_ms, 0);
    CHECK(options.log == NULL && options.log_user_data == NULL);
    CHECK_INT(options.preconnect, 0);
    taken("the defaults");
}

static void counts(void) {
    REFUSED(max_connections, 0, "0 is not between 1 and 65535");
    REFUSED(max_connections, 65536, "65536");
    REFUSED(max_connections, UINT32_MAX, "65535");
    REFUSED(min_connections, 11, "11 is more than max_connections (10)");
    REFUSED(min_connections, UINT32_MAX, "max_connections");
    REFUSED(max_connecting, 0, "between 1");
    REFUSED(max_response_bytes, 0, "between 1");
    REFUSED(max_response_bytes, UINT64_MAX, "between 1");
    TAKEN(min_connections, 0);
    TAKEN(min_connections, 10);
    TAKEN(max_connections, 65535);
    TAKEN(max_waiters, 0);
    TAKEN(max_waiters, UINT32_MAX);
    TAKEN(max_response_bytes, 1);
}

static void times(void) {
    REFUSED_TIME(acquire_timeout, -1, "negative");
    REFUSED_TIME(idle_timeout, -1, "negative");
    REFUSED_TIME(max_lifetime, INT64_MIN, "negative");
    REFUSED_TIME(validate_after, -1, "negative");
    REFUSED_TIME(validation_timeout, -1, "negative");
    REFUSED_TIME(request_timeout, -1, "negative");
    REFUSED_TIME(connect_timeout, -1, "negative");
    REFUSED_TIME(close_timeout, -1, "negative");
    REFUSED_TIME(leak_threshold, -1, "negative");
    REFUSED_TIME(acquire_timeout, 0, "more than zero");
    REFUSED_TIME(validation_timeout, 0, "more than zero");
    REFUSED_TIME(request_timeout, 0, "more than zero");
    REFUSED_TIME(connect_timeout, 0, "more than zero");
    REFUSED_TIME(acquire_timeout, HUGE_TIME, "365 days");
    REFUSED_TIME(idle_timeout, INT64_MAX, "365 days");
    REFUSED_TIME(max_lifetime, HUGE_TIME, "365 days");
    REFUSED_TIME(validate_after, HUGE_TIME, "365 days");
    REFUSED_TIME(validation_timeout, HUGE_TIME, "365 days");
    REFUSED_TIME(request_timeout, INT64_MAX, "365 days");
    REFUSED_TIME(connect_timeout, HUGE_TIME, "365 days");
    REFUSED_TIME(close_timeout, HUGE_TIME, "365 days");
    REFUSED_TIME(leak_threshold, HUGE_TIME, "365 days");
    TAKEN(idle_timeout_ms, 0);
    TAKEN(max_lifetime_ms, 0);
    TAKEN(validate_after_ms, 0);
    TAKEN(close_timeout_ms, 0);
    TAKEN(acquire_timeout_ms, 365LL * 24 * 60 * 60 * 1000);
}

static void choices(void) {
    REFUSED(validation, -1, "phantomdb_validation");
    REFUSED(validation, 3, "phantomdb_validation");
    REFUSED(preconnect, 2, "neither 0 nor 1");
    REFUSED(preconnect, -1, "neither 0 nor 1");
    TAKEN(validation, PHANTOMDB_VALIDATION_PING);
    TAKEN(validation, PHANTOMDB_VALIDATION_NONE);
}

static void urls(void) {
    static const struct {
        const char *url;
        const char *part;
    } bad[] = {
        {NULL, "NULL"},
        {"", "empty"},
        {"localhost:8080", "http://"},
        {"ftp://localhost", "http or https"},
        {"unix:///tmp/socket", "http or https"},
        {"http://", "no host"},
        {"http://:8080", "no host"},
        {"http://localhost:0", "port"},
        {"http://localhost:65536", "port"},
        {"http://localhost:80x", "port"},
        {"http://local host", "space"},
        {"http://localhost/\r\nX-Evil: 1", "control character"},
        {"http://h\xc3\xa9te", "non-ASCII"},
        {"http://[::1", "IPv6"},
        {"http://localhost?a=b", "query"},
        {"http://localhost#a", "fragment"},
        {"http://me:" SECRET "@localhost", "token"},
        {"https://" SECRET "@localhost/db", "token"},
        {"http://\xff", "UTF-8"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        REFUSED(base_url, bad[i].url, bad[i].part);
    }
    TAKEN(base_url, "http://localhost/");
    TAKEN(base_url, "HTTP://[::1]:8080/a/b//");
    TAKEN(base_url, "http://127.0.0.1");
}

static void tokens(void) {
    REFUSED(token, SECRET "\nX-Evil: 1", "line break");
    REFUSED(token, SECRET "\r", "line break");
    REFUSED(token, SECRET " " SECRET, "space");
    REFUSED(token, SECRET "\xc3\xa9", "non-ASCII");
    REFUSED(token, "", "empty");
    REFUSED(token, SECRET "\xff", "UTF-8");
    TAKEN(token, SECRET);
}

static void tls_refused(const char *name, const char *part) {
    options.base_url = "https://localhost";
    check_about("%s", name);
    phantomdb_pool *pool = NULL;
    phantomdb_error error;
    int32_t code = phantomdb_pool_create(&options, &pool, &error);
    CHECK(code == PHANTOMDB_ERR_INVALID_ARGUMENT || code == PHANTOMDB_ERR_TLS);
    CHECK(strncmp(error.message, name, strlen(name)) == 0);
    CHECK_HAS(error.message, part);
    CHECK(pool == NULL);
    options = options_for("http://localhost:8080");
}

static void tls_files(void) {
    options.tls_ca_file = "/no/such/ca.pem";
    tls_refused("tls_ca_file", "/no/such/ca.pem");
    options.tls_ca_file = "/dev/null";
    tls_refused("tls_ca_file", "certificate");
    options.tls_ca_file = "/";
    tls_refused("tls_ca_file", "/");
    options.tls_cert_file = "/no/such/cert.pem";
    tls_refused("tls_cert_file", "needs tls_key_file");
    options.tls_key_file = "/no/such/key.pem";
    tls_refused("tls_key_file", "needs tls_cert_file");
    options.tls_cert_file = "/no/such/cert.pem";
    options.tls_key_file = "/no/such/key.pem";
    tls_refused("tls_cert_file", "/no/such/cert.pem");
    REFUSED(tls_ca_file, "/no/such/ca.pem", "https://");
}

static void texts_may_go_after_create(void) {
    char url[64];
    char token[64];
    strcpy(url, "http://localhost:1");
    strcpy(token, SECRET);
    options.base_url = url;
    options.token = token;
    options.connect_timeout_ms = 1000;
    phantomdb_pool *pool = new_pool(&options);
    memset(url, 'x', sizeof url);
    memset(token, 'x', sizeof token);
    phantomdb_status status = status_of(pool);
    CHECK_INT(status.available, 2);
    closed(pool);
    options = options_for("http://localhost:8080");
}

static const phantomdb_option_info *option_named(const char *name) {
    uint64_t count = 0;
    const phantomdb_option_info *table = phantomdb_option_table(&count);
    for (uint64_t i = 0; i < count; i++) {
        if (strcmp(table[i].name, name) == 0) return &table[i];
    }
    return NULL;
}

/* The value of a number, wherever it is in the struct. */
static int64_t number_of(const phantomdb_option_info *option) {
    const char *member = (const char *)&options + option->offset;
    uint32_t count;
    int32_t choice;
    int64_t number;
    switch (option->type) {
    case PHANTOMDB_OPTION_COUNT: return memcpy(&count, member, sizeof count), count;
    case PHANTOMDB_OPTION_FLAG:
    case PHANTOMDB_OPTION_CHOICE: return memcpy(&choice, member, sizeof choice), choice;
    default: return memcpy(&number, member, sizeof number), number;
    }
}

/* The machine is little-endian, so the low bytes come first. */
static void set_number(const phantomdb_option_info *option, int64_t number) {
    memcpy((char *)&options + option->offset, &number, option->size);
}

static bool is_number(const phantomdb_option_info *option) {
    return option->type <= PHANTOMDB_OPTION_CHOICE;
}

static void the_table_has_each_member(void) {
#define MEMBER(name, member, type, unit) \
    {name, PHANTOMDB_OPTION_##type, unit, offsetof(phantomdb_pool_options, member), sizeof options.member}
#define PLAIN(member, type) MEMBER(#member, member, type, "")
#define TIME(name) MEMBER(#name, name##_ms, TIME, "ms")
    static const struct {
        const char *name;
        int32_t type;
        const char *unit;
        size_t offset;
        size_t size;
    } members[] = {
        PLAIN(base_url, TEXT),
        PLAIN(token, TEXT),
        PLAIN(min_connections, COUNT),
        PLAIN(max_connections, COUNT),
        TIME(acquire_timeout),
        TIME(idle_timeout),
        TIME(max_lifetime),
        TIME(validate_after),
        PLAIN(validation, CHOICE),
        TIME(validation_timeout),
        PLAIN(max_waiters, COUNT),
        PLAIN(max_connecting, COUNT),
        TIME(leak_threshold),
        TIME(request_timeout),
        TIME(connect_timeout),
        TIME(close_timeout),
        PLAIN(preconnect, FLAG),
        PLAIN(tls_ca_file, FILE),
        PLAIN(tls_cert_file, FILE),
        PLAIN(tls_key_file, FILE),
        MEMBER("max_response_bytes", max_response_bytes, SIZE, "bytes"),
        PLAIN(log, LOG),
    };
    uint64_t count = 0;
    const phantomdb_option_info *table = phantomdb_option_table(&count);
    CHECK(table == phantomdb_option_table(NULL));
    if (!CHECK_INT(count, sizeof members / sizeof *members)) return;
    for (uint64_t i = 0; i < count; i++) {
        check_about("%s", members[i].name);
        CHECK_TEXT(table[i].name, members[i].name);
        CHECK_INT(table[i].type, members[i].type);
        CHECK_TEXT(table[i].unit, members[i].unit);
        CHECK_INT(table[i].offset, members[i].offset);
        CHECK_INT(table[i].size, members[i].size);
        CHECK(table[i].is_secret == (strcmp(members[i].name, "token") == 0));
        CHECK((table[i].choice_count > 0) == (table[i].type == PHANTOMDB_OPTION_CHOICE));
    }
}

static void the_table_has_the_defaults(void) {
    uint64_t count = 0;
    const phantomdb_option_info *table = phantomdb_option_table(&count);
    phantomdb_pool_options_init(&options, sizeof options);
    for (uint64_t i = 0; i < count; i++) {
        check_about("%s", table[i].name);
        if (is_number(&table[i])) {
            CHECK_INT(number_of(&table[i]), table[i].default_number);
            CHECK(table[i].default_text == NULL);
            continue;
        }
        const char *text;
        memcpy(&text, (const char *)&options + table[i].offset, sizeof text);
        CHECK(text == table[i].default_text);
        CHECK_INT(table[i].default_number, 0);
    }
    CHECK_TEXT(option_named("base_url")->default_text, "http://localhost:8080");
}

/* Sets a number to a value outside its range, which must be refused by name. */
static void refused_number(const phantomdb_option_info *option, int64_t number) {
    set_number(option, number);
    refused(option->name, "");
}

/* Sets a number to a value in its range. A pool of 65535 takes long to make, so another option is
 * refused, which is looked at later. */
static void taken_number(const phantomdb_option_info *option, int64_t number) {
    /* Neither limit of the pool's size contradicts the other. */
    if (strcmp(option->name, "max_connections") == 0) options.min_connections = 0;
    if (strcmp(option->name, "min_connections") == 0) options.max_connections = (uint32_t)option->maximum;
    set_number(option, number);
    options.token = "";
    refused("token", "is empty");
}

static void the_table_has_the_ranges(void) {
    uint64_t count = 0;
    const phantomdb_option_info *table = phantomdb_option_table(&count);
    for (uint64_t i = 0; i < count; i++) {
        const phantomdb_option_info *option = &table[i];
        if (!is_number(option)) continue;
        taken_number(option, option->minimum);
        taken_number(option, option->maximum);
        /* Below 0 an unsigned number is its greatest. */
        bool is_count = option->type == PHANTOMDB_OPTION_COUNT;
        if (option->minimum > 0 || !is_count) refused_number(option, option->minimum - 1);
        bool is_full = option->maximum == (is_count ? UINT32_MAX : INT64_MAX);
        if (!is_full) refused_number(option, option->maximum + 1);
    }
}

static void the_table_has_the_choices(void) {
    static const char *const names[] = {
        [PHANTOMDB_VALIDATION_SOCKET] = "socket",
        [PHANTOMDB_VALIDATION_PING] = "ping",
        [PHANTOMDB_VALIDATION_NONE] = "none",
    };
    const phantomdb_option_info *option = option_named("validation");
    if (!CHECK_INT(option->choice_count, sizeof names / sizeof *names)) return;
    for (uint32_t i = 0; i < option->choice_count; i++) CHECK_TEXT(option->choices[i], names[i]);
    CHECK_INT(option->maximum, option->choice_count - 1);
}

/* The example of phantomdb_option_table. */
static int set_time(phantomdb_pool_options *to, const char *name, int64_t ms) {
    uint64_t count;
    const phantomdb_option_info *table = phantomdb_option_table(&count);
    for (uint64_t i = 0; i < count; i++) {
        if (table[i].type != PHANTOMDB_OPTION_TIME) continue;
        if (strcmp(table[i].name, name) != 0) continue;
        if (table[i].offset + table[i].size > sizeof *to) continue;
        memcpy((char *)to + table[i].offset, &ms, sizeof ms);
        return 0;
    }
    return -1;
}

static void an_option_is_set_by_its_name(void) {
    CHECK_INT(set_time(&options, "connect_timeout", 1234), 0);
    CHECK_INT(options.connect_timeout_ms, 1234);
    CHECK_INT(set_time(&options, "connect_time", 1), -1);
    CHECK_INT(set_time(&options, "max_connections", 1), -1);
    CHECK_INT(options.max_connections, 10);
    options = options_for("http://localhost:8080");
}

int main(void) {
    options = options_for("http://localhost:8080");
    check_run("the defaults", the_defaults);
    check_run("counts", counts);
    check_run("times", times);
    check_run("choices", choices);
    check_run("URLs", urls);
    check_run("tokens", tokens);
    check_run("TLS files", tls_files);
    check_run("texts may go after create", texts_may_go_after_create);
    check_run("the table has each member of the struct", the_table_has_each_member);
    check_run("the table has the defaults", the_table_has_the_defaults);
    check_run("the table has the ranges", the_table_has_the_ranges);
    check_run("the table has the choices", the_table_has_the_choices);
    check_run("an option is set by its name", an_option_is_set_by_its_name);
    return check_end();
}
