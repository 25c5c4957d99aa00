/* clew: the way from an error to an exit status. */
#include <stdio.h>

#include "app/command.h"
#include "base/hash.h"
#include "base/log.h"
#include "os/clock.h"

static int fail(err e) {
    int status = err_row(e)->exit_code;
    fprintf(stderr, "clew: %s\n", err_text(e));
    err_free(e);
    return status;
}

int main(int argc, char **argv) {
    struct arguments arguments;
    log_set_clock(clock_wall_ns);
    hash_seed(random_u64(), random_u64());
    err e = arguments_parse(argc, argv, &arguments);
    if (e) return fail(e);
    if (argument_flag(&arguments, OPTION_HELP)) {
        AUTO_BUF struct buf help;
        buf_init(&help, 64 * KIB);
        if (arguments.command)
            arguments_help(arguments.command, &help);
        else
            arguments_overview(arguments.topic, &help);
        command_print(&help);
        return 0;
    }
    e = arguments.command->run(&arguments);
    return e ? fail(e) : 0;
}
