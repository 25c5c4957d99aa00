/* What a table takes, told piece by piece, without decoding a value: the directory of each part says how many bytes its blocks have.
 *
 *   part  ─┬─ fields, attributes, rare attributes: bytes of their blocks, values        ┐ together exactly the bytes
 *          ├─ dictionaries: strings, keys, shapes, resources, index, directory          │ of the file
 *          ├─ frame: header, footer, bytes between                                      ┘
 *          └─ resources: rows, and their share of the file's bytes, which together are the file's bytes as well
 *
 * A row's share of bytes: those of its row group evenly by rows, and of what the part has beside groups evenly by its rows. What deletes
 * and retention hide still takes room, and is told. Rows in memory are told as parts without pieces: nothing of them is at rest but
 * the log's records.
 *
 * Parts are told whole if one row of theirs may be in the range. Texts live until the call returns.
 * Errors: ERR_CANCELLED as of a scan. A damaged part or block is counted in the stats and left out (7).
 */
#pragma once

#include "store/scan.h"

struct size_part {
    uint64_t id; /* 0: in memory */
    int64_t time_min, time_max;
    uint64_t rows, bytes;
    uint32_t groups;
};

enum size_kind { SIZE_FIELD, SIZE_ATTRIBUTE, SIZE_RARE, SIZE_DICTIONARY, SIZE_FRAME, SIZE_KINDS };

struct size_piece {
    enum size_kind kind;
    enum set set;         /* of fields and attributes */
    enum value_type type; /* of an attribute */
    struct str name;
    uint64_t bytes, values;
};

/* A function that is NULL is not called, and its work not done. */
struct size_sink {
    void (*part)(void *context, const struct size_part *p); /* before what it consists of */
    void (*piece)(void *context, const struct size_piece *p);
    void (*resource)(void *context, const struct batch *b, uint32_t resource_row, uint64_t rows, uint64_t bytes);
    void *context;
};
