/* Completion for bash (bash(1), "Programmable Completion") and zsh (zshcompsys(1)), and the manual page (man(7)), appended to
 * out from the tables of options.h. Pure; out needs about 64 KiB. */
#pragma once

#include "base/base.h"

void manual_bash(struct buf *out);
void manual_zsh(struct buf *out);
void manual_page(struct buf *out);
