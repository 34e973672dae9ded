// SPDX-License-Identifier: Apache-2.0
/*
 * spanloom probes: what is attached right now, how often it runs and what it costs.
 */
#include "user/cli/cli.h"

#include <argp.h>
#include <inttypes.h>
#include <jansson.h>

#include "user/base/slice.h"
#include "user/base/table.h"
#include "user/kernel/plan.h"
#include "user/kernel/probes.h"
#include "user/log.h"

#define MEASURE_MAX_SECONDS 3600
#define SECOND_NS	    1e9
#define REMEDY                                                                                     \
	"spanloom probes --measure 1 counts for a second; sysctl kernel.bpf_stats_enabled=1 "      \
	"counts always"

#define UNSETTLED "spanloom is starting or ending"

struct probes_options {
	bool json;
	unsigned int measure_seconds; /* 0: show what the kernel has counted so far */
};

static const struct argp_option option_table[] = {
	{ "json", CLI_JSON, NULL, 0, "Print one JSON object instead of tables", 0 },
	{ "measure", 'm', "SECONDS", 0,
	  "Count hits and run times for SECONDS (1 to 3600); the kernel does not count otherwise, "
	  "unless kernel.bpf_stats_enabled is 1",
	  0 },
	{ 0 },
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct probes_options *options = state->input;
	int64_t seconds;

	if (key != 'm')
		return cli__option(key, arg, state, "--json, --measure", &options->json);
	seconds = slice__number(slice__str(arg));
	if (seconds < 1 || seconds > MEASURE_MAX_SECONDS)
		argp_error(state, "--measure \"%s\": accepted: 1 to %d seconds", arg,
			   MEASURE_MAX_SECONDS);
	options->measure_seconds = (unsigned int)seconds;
	return 0;
}

static const struct argp argp = {
	.options = option_table,
	.parser = parse_option,
	.doc = "Lists the BPF programs and maps of the running spanloom as the kernel tells of "
	       "them: where they are attached, how often they ran, how long, and their memory; "
	       "the processes that make spans themselves; and the Go programs, whose calls have "
	       "parents where their goroutines are known.  Needs root; asks nothing of the "
	       "agent.\v"
	       "Exit status: 0, or 1 when nothing is attached or the kernel does not tell.",
};

/* Hits mean something: counted all the time, for a while, or at some time before. */
static bool counted(const struct probes *p, const struct probe *probe)
{
	return p->counting || p->measured_ns || probe->hits;
}

static double average_ns(const struct probe *probe)
{
	return probe->hits ? (double)probe->run_ns / (double)probe->hits : 0;
}

/* Share of one CPU, in percent, during a measurement. */
static double cpu_percent(const struct probes *p, uint64_t run_ns)
{
	return p->measured_ns ? 100.0 * (double)run_ns / (double)p->measured_ns : 0;
}

static uint64_t program_memory(const struct probes *p)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < p->program_count; i++)
		bytes += p->programs[i].memory_bytes;
	return bytes;
}

static uint64_t map_memory(const struct probes *p)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < p->map_count; i++)
		bytes += p->maps[i].memory_bytes;
	return bytes;
}

static const char *format_bytes(char out[16], uint64_t bytes)
{
	if (bytes < 10240)
		snprintf(out, 16, "%u B", (unsigned int)bytes);
	else if (bytes < 10240 * 1024)
		snprintf(out, 16, "%.1f KiB", (double)bytes / 1024);
	else
		snprintf(out, 16, "%.1f MiB", (double)bytes / (1024 * 1024));
	return out;
}

/* The first row of a program has its numbers, the others only where else it is attached. */
static void program_rows(struct table *t, const struct probes *p, const struct probe *probe)
{
	char hits[24] = "-", average[24] = "-", cpu[24] = "", memory[16];
	bool first = true;

	if (counted(p, probe)) {
		snprintf(hits, sizeof(hits), "%" PRIu64, probe->hits);
		if (probe->hits)
			snprintf(average, sizeof(average), "%.0f", average_ns(probe));
	}
	if (p->measured_ns)
		snprintf(cpu, sizeof(cpu), "%.3f", cpu_percent(p, probe->run_ns));
	format_bytes(memory, probe->memory_bytes);
	for (size_t i = 0; i < p->attached.count; i++) {
		const struct attachment *a = &p->attached.list[i];

		if (a->prog_id != probe->id)
			continue;
		table__row(t, (const char *[]){ first ? probe->name : "", a->type,
						first ? hits : "", first ? average : "",
						first ? cpu : "", first ? memory : "", a->target });
		first = false;
	}
	if (first)
		table__row(t, (const char *[]){ probe->name, probe->prog_type, hits, average, cpu,
						memory,
						plan__waits(probe->name) ? "(no program to watch)"
									 : "(not attached)" });
}

static int print_programs(const struct probes *p, bool colours)
{
	struct table t;
	int err;

	table__init(&t, 7, 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5);
	table__row(&t, (const char *[]){ "PROGRAM", "TYPE", "HITS", "AVG NS",
					 p->measured_ns ? "CPU %" : "", "MEMORY", "TARGET" });
	for (size_t i = 0; i < p->program_count; i++)
		program_rows(&t, p, &p->programs[i]);
	err = table__print(&t, stdout, cli__colour(colours, CLI_BOLD),
			   cli__colour(colours, CLI_PLAIN));
	table__reset(&t);
	return err;
}

static int print_maps(const struct probes *p, bool colours)
{
	struct table t;
	int err;

	table__init(&t, 4, 1u << 2 | 1u << 3);
	table__row(&t, (const char *[]){ "MAP", "TYPE", "ENTRIES", "MEMORY" });
	for (size_t i = 0; i < p->map_count; i++) {
		const struct probe_map *map = &p->maps[i];
		char entries[16], memory[16];

		snprintf(entries, sizeof(entries), "%u", map->max_entries);
		format_bytes(memory, map->memory_bytes);
		table__row(&t, (const char *[]){ map->name, map->type, entries, memory });
	}
	err = table__print(&t, stdout, cli__colour(colours, CLI_BOLD),
			   cli__colour(colours, CLI_PLAIN));
	table__reset(&t);
	return err;
}

static void print_totals(const struct probes *p)
{
	uint64_t run_ns = 0, missed = 0, hits = 0;
	char programs[16], maps[16];

	for (size_t i = 0; i < p->program_count; i++) {
		run_ns += p->programs[i].run_ns;
		missed += p->programs[i].missed;
		hits += p->programs[i].hits;
	}
	printf("\n%zu programs (%s), %zu maps (%s)", p->program_count,
	       format_bytes(programs, program_memory(p)), p->map_count,
	       format_bytes(maps, map_memory(p)));
	for (size_t i = 0; i < p->agent_count; i++)
		printf(", agent pid %u", p->agents[i]);
	putchar('\n');
	if (p->measured_ns)
		printf("in %.1f s: %" PRIu64 " hits, %.3f %% of one CPU\n",
		       (double)p->measured_ns / SECOND_NS, hits, cpu_percent(p, run_ns));
	else if (!p->counting)
		puts("hits and times are not being counted: " REMEDY);
	if (missed)
		printf("%" PRIu64 " hits missed: the program was running already on that CPU\n",
		       missed);
	if (p->unsettled)
		puts("not all is attached: " UNSETTLED);
}

/* Nothing where no process is known to make spans itself. */
static int print_sdks(const struct probes *p, bool colours)
{
	struct table t;
	int err;

	if (!p->sdk.count)
		return 0;
	table__init(&t, 4, 1u << 0);
	table__row(&t, (const char *[]){ "PID", "PROGRAM", "MAKES SPANS ITSELF", "SPANS HERE" });
	for (size_t i = 0; i < p->sdk.count; i++) {
		const struct sdk_listed *sdk = &p->sdk.list[i];
		char pid[16], evidence[SDK_LIST_TEXT_BYTES];

		snprintf(pid, sizeof(pid), "%u", sdk->pid);
		table__row(&t, (const char *[]){ pid, sdk->exe[0] ? sdk->exe : "-",
						 sdk_list__evidence(&sdk->process, evidence),
						 sdk->process.adopted ? "none (--sdk adopt)"
								      : "all (--sdk ignore)" });
	}
	err = table__print(&t, stdout, cli__colour(colours, CLI_BOLD),
			   cli__colour(colours, CLI_PLAIN));
	table__reset(&t);
	putchar('\n');
	return err;
}

static int print_golang(const struct probes *p, bool colours)
{
	struct table t;
	int err;

	if (!p->golang.count)
		return 0;
	table__init(&t, 5, 1u << 0 | 1u << 3);
	table__row(&t, (const char *[]){ "PID", "PROGRAM", "GO", "WATCHED", "GOROUTINES" });
	for (size_t i = 0; i < p->golang.count; i++) {
		const struct golang_listed *go = &p->golang.list[i];
		char pid[16], minor[16], watched[16];

		snprintf(pid, sizeof(pid), "%u", go->pid);
		snprintf(minor, sizeof(minor), "1.%u", go->minor);
		snprintf(watched, sizeof(watched), "%u", go->watched);
		table__row(&t, (const char *[]){ pid, go->exe[0] ? go->exe : "-", minor, watched,
						 go->obstacle ? go->obstacle : "known" });
	}
	err = table__print(&t, stdout, cli__colour(colours, CLI_BOLD),
			   cli__colour(colours, CLI_PLAIN));
	table__reset(&t);
	putchar('\n');
	return err;
}

static int print_tables(const struct probes *p)
{
	bool colours = cli__colours(stdout);
	int err = print_programs(p, colours);

	putchar('\n');
	if (!err)
		err = print_sdks(p, colours);
	if (!err)
		err = print_golang(p, colours);
	if (!err)
		err = print_maps(p, colours);
	if (!err)
		print_totals(p);
	return err;
}

static json_t *attached_json(const struct probes *p, uint32_t prog_id)
{
	json_t *list = json_array();
	int err = 0;

	for (size_t i = 0; i < p->attached.count && !err; i++) {
		const struct attachment *a = &p->attached.list[i];

		if (a->prog_id == prog_id)
			err = json_array_append_new(list, json_pack("{s:s, s:s}", "type", a->type,
								    "target", a->target));
	}
	if (!err)
		return list;
	json_decref(list);
	return NULL;
}

/* Numbers that nobody counted are null, not 0. */
static json_t *program_json(const struct probes *p, const struct probe *probe)
{
	bool known = counted(p, probe);

	return json_pack("{s:I, s:s, s:s, s:o, s:o, s:o, s:I, s:I}", "id", (json_int_t)probe->id,
			 "name", probe->name, "program_type", probe->prog_type, "attached",
			 attached_json(p, probe->id), "hits",
			 known ? json_integer((json_int_t)probe->hits) : json_null(), "average_ns",
			 known && probe->hits ? json_real(average_ns(probe)) : json_null(),
			 "missed", (json_int_t)probe->missed, "memory_bytes",
			 (json_int_t)probe->memory_bytes);
}

static json_t *map_json(const struct probe_map *map)
{
	return json_pack("{s:I, s:s, s:s, s:I, s:I}", "id", (json_int_t)map->id, "name", map->name,
			 "type", map->type, "max_entries", (json_int_t)map->max_entries,
			 "memory_bytes", (json_int_t)map->memory_bytes);
}

static json_t *sdk_json(const struct sdk_listed *sdk)
{
	char evidence[SDK_LIST_TEXT_BYTES];

	return json_pack("{s:I, s:s, s:s, s:b}", "pid", (json_int_t)sdk->pid, "executable",
			 sdk->exe, "evidence", sdk_list__evidence(&sdk->process, evidence),
			 "adopted", sdk->process.adopted);
}

static json_t *golang_json(const struct golang_listed *go)
{
	return json_pack("{s:I, s:s, s:I, s:I, s:s?}", "pid", (json_int_t)go->pid, "executable",
			 go->exe, "minor", (json_int_t)go->minor, "watched",
			 (json_int_t)go->watched, "obstacle", go->obstacle);
}

static json_t *report_json(const struct probes *p)
{
	json_t *programs = json_array();
	json_t *maps = json_array();
	json_t *sdks = json_array();
	json_t *golang = json_array();
	json_t *report;
	int err = 0;

	for (size_t i = 0; i < p->program_count; i++)
		err |= json_array_append_new(programs, program_json(p, &p->programs[i]));
	for (size_t i = 0; i < p->map_count; i++)
		err |= json_array_append_new(maps, map_json(&p->maps[i]));
	for (size_t i = 0; i < p->sdk.count; i++)
		err |= json_array_append_new(sdks, sdk_json(&p->sdk.list[i]));
	for (size_t i = 0; i < p->golang.count; i++)
		err |= json_array_append_new(golang, golang_json(&p->golang.list[i]));
	report = json_pack("{s:o, s:b, s:b, s:o, s:I, s:I, s:o, s:o, s:o, s:o}", "agent_pid",
			   p->agent_count ? json_integer(p->agents[0]) : json_null(), "settled",
			   !p->unsettled, "counting", p->counting, "measured_seconds",
			   p->measured_ns ? json_real((double)p->measured_ns / SECOND_NS)
					  : json_null(),
			   "program_memory_bytes", (json_int_t)program_memory(p),
			   "map_memory_bytes", (json_int_t)map_memory(p), "programs", programs,
			   "maps", maps, "sdk_processes", sdks, "go_processes", golang);
	if (!err)
		return report;
	json_decref(report);
	return NULL;
}

static int print_json(const struct probes *p)
{
	json_t *report = report_json(p);
	int err = -ENOMEM;

	if (report)
		err = json_dumpf(report, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
	json_decref(report);
	if (!err)
		putchar('\n');
	return err ? -ENOMEM : 0;
}

static void complain(int err)
{
	if (err == -EPERM || err == -EACCES)
		log_error("probes",
			  "list of BPF programs: %s: what is attached cannot be shown; "
			  "run as root: sudo spanloom probes",
			  errstr(err));
	else
		log_error("probes", "list of BPF programs: %s: what is attached cannot be shown",
			  errstr(err));
}

int cli__probes(int argc, char **argv)
{
	struct probes_options options = { 0 };
	struct probes probes;
	int status = 1;
	int err;

	argp_parse(&argp, argc, argv, 0, NULL, &options);
	err = options.measure_seconds ? probes__measure(&probes, options.measure_seconds)
				      : probes__read(&probes);
	if (err) {
		complain(err);
		goto out;
	}
	status = probes.attached.count ? 0 : 1;
	if (options.json)
		err = print_json(&probes);
	else if (status == 0)
		err = print_tables(&probes);
	else if (probes.program_count)
		puts("nothing is attached: " UNSETTLED);
	else
		puts("nothing is attached: spanloom is not running on this host, or only just "
		     "starting (start: sudo spanloom run)");
	if (err) {
		log_error("probes", "output: %s", errstr(err));
		status = 1;
	}
out:
	probes__free(&probes);
	return status;
}
