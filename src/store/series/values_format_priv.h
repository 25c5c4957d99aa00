/* What the writer and the reader of chunks of doubles share. */
#pragma once

#include "store/series/values_priv.h"

enum values_mode { MODE_CONSTANT, MODE_DECIMAL, MODE_DICTIONARY, MODE_SPLIT, MODES };

enum {
    VALUES_MODE_BITS = 0x03,
    VALUES_ORDER_SHIFT = 2,   /* DECIMAL: two bits for the order of its frames */
    VALUES_EXCEPTIONS = 0x10, /* DECIMAL: there is a list of them */
    VALUES_DIVISOR = 0x20,    /* DECIMAL: what is packed are multiples of the divisor, counted from the first */
    EXPONENT_MAX = 18,
    DICTIONARY_VALUES_MAX = 64,
    SPLIT_LOW_BITS = 48,
};

/* Powers of ten that are exact. */
extern const double values_powers[EXPONENT_MAX + 1];
