/* Random messages for tests, made by a writer that shares no code with the encoders: lists of fields that can be written in any order.
 *
 * Of signal_testing; part of no program. Equal seeds give equal bytes. */
#pragma once

#include "signal/testing.h"

enum { FIELDS_MAX = 80 };

/* A message as the list of its fields, so that they can be written in any order. */
struct message {
    uint32_t n;
    uint32_t numbers[FIELDS_MAX];
    struct buf fields[FIELDS_MAX];
};

struct maker {
    struct chance *c;
    bool canonical;
};

/* A new field, to be written by put_wire_… with its number. */
struct buf *add(struct message *m, uint32_t number);
void add_bytes(struct message *m, uint32_t number, struct str s);
void add_varint(struct message *m, uint32_t number, uint64_t v);
void add_fixed64(struct message *m, uint32_t number, uint64_t v);
void add_fixed32(struct message *m, uint32_t number, uint32_t v);
/* Writes the fields into `out` and empties m. Canonical: in order of numbers. Else shuffled, but repeated fields stay in order among
 * themselves, with strangers between. */
void flatten(struct chance *c, bool canonical, struct message *m, struct buf *out);
/* At most 39 bytes, sometimes not UTF-8, often equal to others. */
struct str random_text(struct maker *k, char text[40]);
void add_attributes(struct maker *k, struct message *m, uint32_t number);
/* A sub-message in field `number`, made by `fill`. */
void add_message(struct maker *k, struct message *m, uint32_t number, bool if_empty,
                 void (*fill)(struct maker *k, struct message *m));
/* Mostly 0; else anything. */
uint64_t rare(struct maker *k);
uint32_t rare32(struct maker *k);
uint64_t rare_enum(struct maker *k);
void add_id(struct maker *k, struct message *m, uint32_t number, size_t n);
void fill_resource(struct maker *k, struct message *m);
void fill_scope(struct maker *k, struct message *m);
