/* os: the door. The only module of clew that makes system calls; each header is one subject and may be included alone.
 *
 *     file.h    files and folders        ┐
 *     clock.h   time and chance          ├ also in os/sim: a disk, a clock and dice under the control of a test
 *     thread.h  threads, locks, queues   ┘
 *     loop.h    the event loop   socket.h  TCP   process.h  this process        real only
 *     stamp.h   has a file changed?   notify.h  the service manager                  real only
 *     machine.h   folders of any size, mounted file systems                          real only
 */
#pragma once

#include "os/clock.h"
#include "os/file.h"
#include "os/loop.h"
#include "os/machine.h"
#include "os/notify.h"
#include "os/process.h"
#include "os/socket.h"
#include "os/stamp.h"
#include "os/thread.h"
