// SPDX-License-Identifier: Apache-2.0
/*
 * Picks the subcommand; nothing else.
 */
#include <argp.h>
#include <errno.h>
#include <stdbool.h>

#include "user/cli/cli.h"

/* Not const: main() hands titles to argp, as strings of an argv. */
static struct command {
	const char *name;
	char title[sizeof("spanloom probes")]; /* argv[0] of the command, for its messages */
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "run", "spanloom run", cli__run },	      { "check", "spanloom check", cli__check },
	{ "probes", "spanloom probes", cli__probes }, { "help", "spanloom help", cli__help },
	{ "--help", "spanloom help", cli__help },     { "-h", "spanloom help", cli__help },
};

static struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static int refuse(const char *given)
{
	fprintf(stderr, "spanloom: unknown command \"%s\"; known: run, check, probes, help\n",
		given);
	return 1;
}

/* A full disk or a closed pipe behind stdout is a failure too. */
static int finish(int status)
{
	bool flushed = fflush(stdout) == 0;

	if (flushed && !ferror(stdout))
		return status;
	/* what failed long ago has left no errno */
	fprintf(stderr, "spanloom: not all was written to stdout%s%s\n", flushed ? "" : ": ",
		flushed ? "" : strerror(errno));
	return 1;
}

int main(int argc, char **argv)
{
	static char help_option[] = "--help";
	struct command *command;

	argp_err_exit_status = 1;
	/* room for the longest option before what it does, where the user wants nothing else */
	setenv("ARGP_HELP_FMT", "opt-doc-col=35", 0);
	if (argc < 2) {
		fputs("spanloom: no command given; known: run, check, probes, help\n", stderr);
		return 1;
	}
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
		puts("spanloom " SPANLOOM_VERSION);
		return finish(0);
	}
	command = find_command(argv[1]);
	if (!command)
		return refuse(argv[1]);
	if (command->run == cli__help && argc > 2) { /* "help X" is "X --help" */
		command = find_command(argv[2]);
		if (!command)
			return refuse(argv[2]);
		argv[2] = help_option;
		argc = 3;
	}
	argv[1] = command->title;
	return finish(command->run(argc - 1, argv + 1));
}
