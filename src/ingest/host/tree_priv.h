/* Reading the kernel's files under a root, and writing the text format. Bounded; what is missing or no number is left out, never an error:
 * a kernel without a file is as good as one with it.
 * Owner: the caller. Threads: an object belongs to one. */
#pragma once

#include "base/base.h"

enum { TREE_FILE_BYTES_MAX = 256 * 1024, TREE_PATH_MAX = 4096, EXPO_BYTES_MAX = 16 << 20, EXPO_LABEL_BYTES_MAX = 1024 };

struct tree {
    const char *root; /* "" for the machine itself */
    char path[TREE_PATH_MAX];
    struct buf file;
};
void tree_init(struct tree *t, const char *root);
void tree_done(struct tree *t);
/* Sets t->path to root and the path; false: too long. */
bool tree_path(struct tree *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The text of a file, borrowed until the next reading; of one that is too long its first whole lines. False: not there. */
bool tree_read(struct tree *t, struct str *out, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* A file that is one number. */
bool tree_number(struct tree *t, double *out, const char *format, ...) __attribute__((format(printf, 3, 4)));

bool take_line(struct str *text, struct str *out); /* false: no more */
bool take_word(struct str *line, struct str *out);
bool word_number(struct str word, double *out); /* decimal, 0x…, negative; nothing else */
bool take_number(struct str *line, double *out);
/* The value behind `key` and blanks at the start of a line. */
bool field_number(struct str text, const char *key, double *out);

/* ---- the text format ------------------------------------------------------------------------------------------- */

struct expo {
    struct buf out;
    char name[256]; /* of the family that was begun last */
    const char *type, *help;
    bool begun, labels; /* of it: its head stands; the sample at hand has labels */
};
void expo_init(struct expo *e);
void expo_done(struct expo *e);
void expo_clear(struct expo *e);
/* Begins a family of samples; type and help are not copied. Bytes of the name that may not be in one become `_`. */
void expo_family(struct expo *e, const char *type, const char *help, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* A sample of it: its labels, if any, then its value. */
void expo_label(struct expo *e, const char *key, struct str value);
void expo_value(struct expo *e, double v);
