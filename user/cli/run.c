// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "user/agent.h"
#include "user/base/signals.h"
#include "user/cli/cli.h"
#include "user/cli/report.h"
#include "user/export/public_url.h"
#include "user/log.h"

/* One line on what runs and where it goes, before the first span. */
static void run__announce(const struct options *options, const struct features *features)
{
	char *url = public_url__of(options->otlp.url);

	log_info("run", "tracing with %s hooks (%s), exporting to %s%s%s%s",
		 hook_family__name(features->family), features->family_reason,
		 options->exporters & EXPORT_CONSOLE ? "the console" : "",
		 options->exporters == (EXPORT_CONSOLE | EXPORT_OTLP) ? " and " : "",
		 options->exporters & EXPORT_OTLP ? url ? url : "a collector" : "",
		 options->exporters ? "" : "nowhere");
	free(url);
}

static int run__ended_early(void)
{
	log_info("run", "ended by a signal before anything was traced");
	return 0;
}

static int run__trace(const struct options *options, const struct features *features, int signal_fd)
{
	struct agent_totals totals;
	struct agent *agent;
	char why[512];
	int err;

	agent = agent__new(options, features, signal_fd, why, sizeof(why));
	if (!agent && !why[0])
		return run__ended_early();
	if (!agent) {
		log_error("run", "%s", why);
		return 1;
	}
	if (!signals__pending(signal_fd)) /* else it ends at once, in order */
		run__announce(options, features);
	err = agent__run(agent);
	if (err)
		log_error("run", "the event loop failed: %s", errstr(err));
	agent__totals(agent, &totals);
	report__print(&totals, stderr);
	agent__free(agent);
	return err ? 1 : 0;
}

/* A thread is none: its process would be meant. */
static bool run__finds_processes(const struct options *options)
{
	for (unsigned int i = 0; i < options->pid_count; i++) {
		int fd = pidfd_open((pid_t)options->pids[i], 0), err = errno;

		if (fd >= 0) {
			close(fd);
		} else if (err == ESRCH) {
			log_error("run", "--pid %u: there is no such process", options->pids[i]);
			return false;
		} else if (err == EINVAL || err == ENOENT) {
			log_error("run", "--pid %u: this is a thread, not a process",
				  options->pids[i]);
			return false;
		}
	}
	return true;
}

static int run__agent(const struct options *options, int signal_fd)
{
	struct features features;
	char why[512];

	features__probe(&features);
	if (features__blocker(&features, why, sizeof(why))) {
		log_error("run", "%s", why);
		return 1;
	}
	if (!run__finds_processes(options))
		return 1;
	if (signals__pending(signal_fd)) /* behind what is wrong anyway */
		return run__ended_early();
	if (options->hooks != HOOKS_NONE)
		features__force(&features, options->hooks);
	return run__trace(options, &features, signal_fd);
}

/* From here on a signal ends the program in order, even if it comes before there is a loop. */
static int run__watched(const struct options *options)
{
	int signal_fd = signals__open(), status;

	if (signal_fd < 0) {
		log_error("run", "signals cannot be watched: %s", errstr(signal_fd));
		return 1;
	}
	status = run__agent(options, signal_fd);
	close(signal_fd);
	return status;
}

int cli__run(int argc, char **argv)
{
	struct options options;
	int status;

	options__parse(&options, argc, argv);
	log__set_level(options.log_level);
	if (options.sdk_disabled) {
		log_warn("run", "OTEL_SDK_DISABLED is true: nothing is traced; unset it to trace");
		options__free(&options);
		return 0;
	}
	status = run__watched(&options);
	options__free(&options);
	return status;
}
