/* Words and numbers of Prometheus' tests: of series, and of the scripts that hold them. Each takes what it reads off *s. */
#pragma once

#include "base/base.h"

struct str series_text_word(struct str *s);          /* up to a blank, and the blanks around it */
bool series_text_number(struct str *s, double *out); /* without hex: 0x8 is 0, nine times; false: none begins here */
