/* This process: signals, environment, limits, figures about itself, the terminal.
 * Figures in bytes, read from /proc and the control group at each call; 0 where the system does not say.
 * Threads: any, but process_signals_block, which main calls before it starts one. */
#pragma once

#include "base/base.h"

/* Blocks SIGINT, SIGTERM and SIGHUP for all threads started later, ignores SIGPIPE, and waits for one of the first three
 * (returns its number). Call process_signals_block in main before any thread. */
void process_signals_block(void);
int process_signal_wait(void);
void process_signal_raise(void); /* makes a waiting process_signal_wait return SIGTERM */
/* Ends this process as the signal does that nobody handles: a shell sees 128 + its number. */
_Noreturn void process_end_by_signal(int number);
/* Runs work in a child process and gives its error, cut at 1 KiB. A blocked signal that comes meanwhile kills the child, and is
 * *out_signal (else 0): what the child has made is the caller's to take away. After process_signals_block, before any thread. */
err process_run_wait(err (*work)(void *context), void *context, int *out_signal);
const char *process_env(const char *name); /* NULL if unset */
bool process_is_terminal(int fd);
int process_terminal_columns(int fd);      /* 80 if unknown */
uint64_t process_memory_limit_bytes(void); /* the smaller of the control group's limit and the machine's memory */
uint64_t process_resident_bytes(void);
uint64_t process_anonymous_bytes(void);
void process_cpu_ns(int64_t *out_user, int64_t *out_system); /* of all threads, so far */
uint64_t process_open_files(void);                           /* descriptors, now */
int process_cores(void);
void process_open_files_raise(void);   /* raises the soft limit of open files to the hard one */
uint64_t process_open_files_max(void); /* the soft limit */
int process_id(void);
