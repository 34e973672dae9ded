// SPDX-License-Identifier: Apache-2.0
#include "user/cli/cli.h"

#include <argp.h>
#include <unistd.h>

error_t cli__option(int key, const char *arg, struct argp_state *state, const char *accepted,
		    bool *json)
{
	switch (key) {
	case CLI_JSON:
		*json = true;
		return 0;
	case ARGP_KEY_ARG:
		argp_error(state, "unexpected argument \"%s\"; accepted: %s", arg, accepted);
		return EINVAL;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

bool cli__colours(FILE *stream)
{
	const char *no_color = getenv("NO_COLOR");

	return isatty(fileno(stream)) && (!no_color || !no_color[0]);
}

const char *cli__colour(bool on, enum cli_colour colour)
{
	static const char *const sequences[] = {
		[CLI_PLAIN] = "\033[0m", [CLI_BOLD] = "\033[1m",   [CLI_DIM] = "\033[2m",
		[CLI_RED] = "\033[31m",	 [CLI_GREEN] = "\033[32m", [CLI_YELLOW] = "\033[33m",
	};

	return on ? sequences[colour] : "";
}
