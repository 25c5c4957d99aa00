/* Moved to signal/testing.h, which other modules' tests may include. */
#pragma once

#include "signal/testing.h"
