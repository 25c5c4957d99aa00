/* Label sets in the making, for translate.c and translate_labels.c. */
#pragma once

#include "signal/metrics/points_priv.h"
#include "signal/metrics/translate.h"

/* Who wins where two labels have one name: of the strongest the last; equal attributes are joined by `;` in order of their keys. */
enum label_rank { RANK_PROMOTED, RANK_ATTRIBUTE, RANK_TARGET };

struct made_label {
    uint32_t name, name_n, value, value_n; /* in text */
    uint32_t order;
    enum label_rank rank;
};

struct label_set {
    struct buf text;
    VEC(struct made_label) v;
};

struct translator {
    struct translation settings;
    const struct points *from; /* of the metric below; NULL: none yet */
    uint32_t metric;
    uint32_t metadata;       /* row of the batch under way */
    struct buf name;         /* of the metric, without suffixes of parts; empty: there is none */
    struct label_set shared; /* of the metric's resource and scope */
    struct label_set point;  /* shared and the point's own, in order, each name once */
    struct label_set other;  /* of an exemplar, of target_info */
    struct buf number, series;
    struct points_lists lists;
};

/* The metric's name, metadata and shared labels; false if nothing is left of its name. */
bool translator_metric(struct translator *t, const struct points *from, uint32_t metric, struct points_builder *to);
/* The labels of the point's attributes, with the shared ones. */
void translator_point(struct translator *t, struct str attributes);
/* The whole label set, in order, as a string of `to`; extra_name may be empty. */
uint32_t translator_series_labels(struct translator *t, struct points_builder *to, struct str suffix,
                                  struct str extra_name, struct str extra_value);
uint32_t translator_exemplar_labels(struct translator *t, const struct points *from, const struct points_exemplar *x,
                                    struct points_builder *to);
/* A number with all its digits and no exponent; "+Inf", "-Inf" or "NaN". */
void prom_put_decimal(double v, struct buf *out);
