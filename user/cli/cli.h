/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The subcommands.  Each takes its own part of the command line, argv[0] being its name for
 * messages ("spanloom probes"), and gives the exit status: 0, or 1 when it could not do what it
 * was asked for.  A bad option ends the program with 1 (argp).
 */
#ifndef SPANLOOM_CLI_H
#define SPANLOOM_CLI_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>

struct argp_state;

int cli__run(int argc, char **argv);
int cli__probes(int argc, char **argv);
int cli__check(int argc, char **argv);
int cli__help(int argc, char **argv);

#define CLI_JSON 'j' /* --json, of all that print tables */

/* For the argp parser of a command that knows --json and takes no arguments; @accepted: the
 * options to name when one is given. */
error_t cli__option(int key, const char *arg, struct argp_state *state, const char *accepted,
		    bool *json);

/* For people: colours, when @stream is a terminal and NO_COLOR is not set. */
enum cli_colour {
	CLI_PLAIN,
	CLI_BOLD,
	CLI_DIM,
	CLI_RED,
	CLI_GREEN,
	CLI_YELLOW,
};

/* The escape sequence that begins @colour (CLI_PLAIN: that ends it); "" when not @on. */
const char *cli__colour(bool on, enum cli_colour colour);
bool cli__colours(FILE *stream);

#endif
