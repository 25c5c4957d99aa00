/* Between sim_thread.c and sim_task.c. */
#pragma once

#include "os/thread.h"

void sim_task_wait(struct lock *l, int64_t until_ns); /* others go on meanwhile; l is held before and after */
