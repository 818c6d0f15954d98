/* A program as its user would write it, outside the tree. */
#include <inttypes.h>
#include <phantomdb.h>
#include <stdio.h>

int main(int argc, char **argv) {
    phantomdb_error error;
    phantomdb_pool_options options;
    phantomdb_pool *pool;
    phantomdb_result *result;

    phantomdb_pool_options_init(&options, sizeof options);
    if (argc > 1) options.base_url = argv[1];
    if (phantomdb_pool_create(&options, &pool, &error) != PHANTOMDB_OK) goto failed;
    if (phantomdb_pool_query(pool, "people", "SELECT id, name FROM person ORDER BY id", NULL, &result,
                             &error) != PHANTOMDB_OK)
        goto failed;

    uint64_t rows = 0;
    phantomdb_result_row_count(result, &rows, NULL);
    for (uint64_t row = 0; row < rows; row++) {
        int64_t id = 0;
        const char *name = "";
        phantomdb_result_cell_int64(result, row, 0, &id, NULL);
        phantomdb_result_cell_text(result, row, 1, &name, NULL, NULL);
        printf("%" PRId64 " %s\n", id, name);
    }
    phantomdb_result_free(result);
    phantomdb_pool_close(pool, NULL);
    printf("phantomdb %s\n", phantomdb_version());
    return 0;

failed:
    fprintf(stderr, "%s\n", error.message);
    return 1;
}
