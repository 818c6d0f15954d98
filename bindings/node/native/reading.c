/* How JavaScript reads a result: many values at a time, their kinds and numbers in arrays that both sides
 * see, their texts in an array of strings. lib/reading.js makes values of them, so that they belong to the realm
 * of its copy, and no more at a time than the event loop can spare. */
#include <stdlib.h>

#include "addon.h"

/* As Number.MAX_SAFE_INTEGER. */
#define MOST_EXACT 9007199254740991
/* An integer of more digits is left as text: to make a number of it takes longer than linear time. */
enum { MOST_DIGITS = 4300 };
/* Where strings with escapes are decoded; for a longer one there is a buffer of its own. */
enum { BUFFER = 64 * 1024 };
/* How many values the library is asked for at once, and after how many bytes of their texts JavaScript is told,
 * so that large texts do not hold it up. */
enum { STEP = 32, MOST_BYTES = 256 * 1024 };

struct reading {
    phantomdb_result *result;
    uint64_t position;
    /* Of the JSON in a cell, which is read while the cells wait. */
    uint64_t inner_position;
    char *buffer;
    uint64_t buffer_size;
};

reading *reading_new(phantomdb_result *result) {
    reading *made = calloc(1, sizeof *made);
    if (made != NULL) made->result = result;
    return made;
}

void reading_free(reading *it) {
    phantomdb_result_free(it->result);
    free(it->buffer);
    free(it);
}

static value_kind kind_of_integer(const phantomdb_value *value) {
    uint64_t digits = value->length - (value->length > 0 && value->text[0] == '-');
    return digits > MOST_DIGITS ? VALUE_TEXT : VALUE_BIGINT;
}

/* What JavaScript sees of a value: its kind, and its number if it has one. */
static value_kind show(const phantomdb_value *value, double *number) {
    switch (value->kind) {
    case PHANTOMDB_VALUE_BOOL: *number = (double)value->integer; return VALUE_BOOL;
    case PHANTOMDB_VALUE_INTEGER:
        if (value->integer > MOST_EXACT || value->integer < -MOST_EXACT) return VALUE_BIGINT;
        *number = (double)value->integer;
        return VALUE_NUMBER;
    case PHANTOMDB_VALUE_BIG_INTEGER: return kind_of_integer(value);
    case PHANTOMDB_VALUE_DOUBLE: *number = value->number; return VALUE_NUMBER;
    case PHANTOMDB_VALUE_BIG_NUMBER:
    case PHANTOMDB_VALUE_STRING: return VALUE_TEXT;
    case PHANTOMDB_VALUE_JSON: return VALUE_JSON;
    case PHANTOMDB_VALUE_ARRAY: return VALUE_ARRAY;
    case PHANTOMDB_VALUE_OBJECT: return VALUE_OBJECT;
    case PHANTOMDB_VALUE_KEY: return VALUE_KEY;
    case PHANTOMDB_VALUE_END: return VALUE_END;
    default: return VALUE_NULL;
    }
}

static bool has_text(value_kind kind) {
    return kind == VALUE_TEXT || kind == VALUE_BIGINT || kind == VALUE_KEY;
}

/* Shows `count` values from the place `at` on, and adds their texts. False: one of them is too long. */
static bool show_all(napi_env env, environment *it, const phantomdb_value *values, uint64_t count,
                     uint32_t at, napi_value texts, uint32_t *text_count) {
    for (uint64_t i = 0; i < count; i++, at++) {
        value_kind kind = show(&values[i], &it->values.numbers[at]);
        it->values.kinds[at] = (uint8_t)kind;
        it->values.rows[at] = (double)values[i].row;
        it->values.columns[at] = (uint32_t)values[i].column;
        if (!has_text(kind)) continue;
        napi_value text = text_to(env, values[i].text, values[i].length);
        if (text == NULL || napi_set_element(env, texts, (*text_count)++, text) != napi_ok) return false;
    }
    return true;
}

/* Has room for the string that needs `size` bytes, which the library could not decode. */
static bool make_room(environment *it, reading *from, uint64_t size) {
    char *buffer = size > from->buffer_size ? realloc(from->buffer, size) : NULL;
    if (buffer == NULL) {
        no_memory(it, "a string of the result");
        return false;
    }
    from->buffer = buffer;
    from->buffer_size = size;
    return true;
}

static int32_t read_json(environment *it, reading *from, uint64_t row, uint64_t column,
                         phantomdb_value *values, uint64_t capacity, uint64_t *count) {
    uint64_t *position = row == PHANTOMDB_WHOLE ? &from->position : &from->inner_position;
    for (;;) {
        if (from->buffer == NULL && !make_room(it, from, BUFFER)) return it->error.code;
        values[0].length = 0;
        int32_t code = phantomdb_result_read_json(from->result, row, column, position, values, capacity,
                                                  count, from->buffer, from->buffer_size, &it->error);
        if (code != PHANTOMDB_ERR_INVALID_ARGUMENT || values[0].length <= from->buffer_size) return code;
        if (!make_room(it, from, values[0].length)) return it->error.code;
    }
}

static int32_t read_some(environment *it, reading *from, reading_part part, uint64_t row, uint64_t column,
                         phantomdb_value *values, uint64_t capacity, uint64_t *count) {
    switch (part) {
    case PART_COLUMNS:
        return phantomdb_result_read_columns(from->result, &from->position, values, capacity, count,
                                             &it->error);
    case PART_CELLS:
        return phantomdb_result_read_cells(from->result, &from->position, values, capacity, count,
                                           &it->error);
    case PART_ITEMS:
        return phantomdb_result_read_items(from->result, &from->position, values, capacity, count,
                                           &it->error);
    case PART_CELL: return read_json(it, from, row, column, values, capacity, count);
    default: return read_json(it, from, PHANTOMDB_WHOLE, PHANTOMDB_WHOLE, values, capacity, count);
    }
}

int32_t reading_read(napi_env env, environment *it, reading *from, reading_part part, uint64_t row,
                     uint64_t column, napi_value texts) {
    phantomdb_value values[STEP];
    /* What is inside a cell is shown behind the cells. */
    uint32_t at = part == PART_CELL || part == PART_WHOLE ? VALUES : 0;
    uint32_t text_count = 0;
    uint64_t bytes = 0;
    int32_t done = 0;
    while (done < VALUES && bytes < MOST_BYTES) {
        /* A step ends early where the buffer for texts is full, so that the last one may have less room. */
        uint64_t room = VALUES - (uint64_t)done < STEP ? VALUES - (uint64_t)done : STEP, count = 0;
        int32_t code = read_some(it, from, part, row, column, values, room, &count);
        if (code != PHANTOMDB_OK) return code;
        if (count == 0) {
            /* What is read next begins at its beginning. */
            *(part == PART_CELL ? &from->inner_position : &from->position) = 0;
            return done + IS_END;
        }
        if (!show_all(env, it, values, count, at, texts, &text_count)) return too_long(env, it);
        for (uint64_t i = 0; i < count; i++) bytes += values[i].length;
        at += (uint32_t)count;
        done += (int32_t)count;
    }
    return done;
}

napi_value reading_text(napi_env env, environment *it, reading *from) {
    const char *text = "";
    uint64_t length = 0;
    if (phantomdb_result_text(from->result, &text, &length, &it->error) != PHANTOMDB_OK) return NULL;
    napi_value value = text_to(env, text, length);
    if (value == NULL) too_long(env, it);
    return value;
}

int32_t reading_counts(environment *it, reading *from) {
    uint64_t rows = 0;
    int64_t reported = 0, affected = 0;
    int32_t code = phantomdb_result_row_count(from->result, &rows, &it->error);
    if (code == PHANTOMDB_OK) {
        code = phantomdb_result_reported_row_count(from->result, &reported, &it->error);
    }
    if (code == PHANTOMDB_OK) code = phantomdb_result_affected_rows(from->result, &affected, &it->error);
    it->values.numbers[0] = (double)rows;
    it->values.numbers[1] = (double)reported;
    it->values.numbers[2] = (double)affected;
    return code;
}
