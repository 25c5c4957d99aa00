/* What the rooms of the catalog share. */
#pragma once

#include "catalog/catalog.h"

struct catalog {
    struct db *db;
    int64_t (*wall_ns)(void);
};

err entities_open(struct db *db); /* the schema */
