/* libphantomdb.a beside another static library in Rust. */
#include <phantomdb.h>
#include <stdio.h>

int32_t other_library(void);

int main(void) {
    phantomdb_error error;
    phantomdb_pool_options options;
    phantomdb_pool_options_init(&options, sizeof options);
    options.base_url = "http://127.0.0.1:9";
    phantomdb_pool *pool;
    if (phantomdb_pool_create(&options, &pool, &error) != PHANTOMDB_OK) return 1;
    int32_t code = phantomdb_pool_request(pool, "GET", "/", NULL, 0, NULL, &error);
    phantomdb_pool_close(pool, NULL);
    printf("%s %d\n", phantomdb_code_name(code), (int)other_library());
    return 0;
}
