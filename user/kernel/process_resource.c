// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/process_resource.h"

#include <errno.h>
#include <fnmatch.h>
#include <time.h>

#include "user/base/pairs.h"
#include "user/base/sha1.h"
#include "user/base/utf8.h"
#include "user/kernel/host.h"
#include "user/kernel/process.h"
#include "user/kernel/process_facts.h"
#include "user/log.h"

/* What a process says of itself must leave room for what we know of it. */
#define OWN_ATTRIBUTES	20
#define SAID_ATTRIBUTES (RESOURCE_ATTRIBUTES - OWN_ATTRIBUTES)
#define KEY_MAX_BYTES	256
#define VALUE_MAX_CHARS 384

/* A resource while it is made. */
struct draft {
	struct resource *resource;
	struct arena *text; /* scratch */
	struct slice service_name;
	size_t said; /* attributes taken from OTEL_RESOURCE_ATTRIBUTES */
};

struct pair_list {
	struct pair items[SAID_ATTRIBUTES];
	size_t count;
};

const char *process_resource__basename(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static void draft__add(struct draft *draft, const char *key, struct slice value)
{
	resource__add(draft->resource, key, utf8__copy(draft->text, value, VALUE_MAX_CHARS));
}

static bool key_ok(struct slice key)
{
	if (key.len > KEY_MAX_BYTES)
		return false;
	while (key.len) {
		size_t len = utf8__sequence(key);

		if (len == 0 || (unsigned char)key.data[0] < ' ' || key.data[0] == 0x7f)
			return false;
		key = slice__skip(key, len);
	}
	return true;
}

/* All of it or nothing: -EINVAL when anything is malformed.  What is past the room is left
 * out. */
static int parse_pairs(struct slice in, struct arena *text, struct pair_list *list)
{
	struct pair pair;
	int err;

	list->count = 0;
	while ((err = pairs__next(&in, text, &pair)) == 1) {
		if (!key_ok(pair.key))
			return -EINVAL;
		if (list->count < SAID_ATTRIBUTES)
			list->items[list->count++] = pair;
	}
	return err;
}

static struct slice list__find(const struct pair_list *list, struct slice key)
{
	for (size_t i = 0; i < list->count; i++)
		if (slice__eq(list->items[i].key, key))
			return list->items[i].value;
	return slice__of(NULL, 0);
}

/* Adds @list but for service.name, which has its own order of precedence. */
static void draft__add_said(struct draft *draft, const struct pair_list *list, struct slice except)
{
	for (size_t i = 0; i < list->count && draft->said < SAID_ATTRIBUTES; i++) {
		const struct pair *pair = &list->items[i];
		struct slice key;

		if (slice__eq(pair->key, SLICE("service.name")) || slice__eq(pair->key, except))
			continue;
		key = arena__printf(draft->text, "%.*s", (int)pair->key.len, pair->key.data);
		if (key.len == 0)
			return;
		draft__add(draft, key.data, pair->value);
		draft->said++;
	}
}

struct runtime {
	const char *glob; /* of the program's name */
	const char *language;
	const char *name; /* process.runtime.name, or NULL when the program does not tell */
};

static const struct runtime *find_runtime(const char *program, bool go)
{
	static const struct runtime golang = { NULL, "go", "go" };
	static const struct runtime native = { NULL, "native", NULL };
	static const struct runtime runtimes[] = {
		{ "python*", "python", "cpython" }, { "pypy*", "python", "pypy" },
		{ "node", "nodejs", "nodejs" },	    { "nodejs", "nodejs", "nodejs" },
		{ "bun", "nodejs", "bun" },	    { "deno", "nodejs", "deno" },
		{ "java", "java", NULL },	    { "ruby*", "ruby", "ruby" },
		{ "php*", "php", "php" },	    { "dotnet", "dotnet", "dotnet" },
		{ "beam.smp", "erlang", "BEAM" },
	};

	for (size_t i = 0; i < sizeof(runtimes) / sizeof(runtimes[0]); i++)
		if (fnmatch(runtimes[i].glob, program, 0) == 0)
			return &runtimes[i];
	return go ? &golang : &native;
}

/* Constant for the life of the process, and the same after a restart of the agent. */
static void draft__add_instance(struct draft *draft, const struct host *host,
				const struct process_facts *facts)
{
	/* the namespace that the conventions give for service.instance.id */
	static const uint8_t space[UUID_BYTES] = { 0x4d, 0x63, 0x00, 0x9a, 0x8d, 0x0f, 0x11, 0xee,
						   0xaa, 0xd7, 0x4c, 0x79, 0x6e, 0xd8, 0xe3, 0x20 };
	char uuid[UUID_TEXT_LEN + 1];
	struct slice name;

	if (facts->start_ticks == 0)
		return;
	name = arena__printf(draft->text, "%s/%s/%u/%llu", host->boot_id, facts->cgroup.container,
			     facts->pid, (unsigned long long)facts->start_ticks);
	sha1__uuid5(space, name, uuid);
	draft__add(draft, "service.instance.id", slice__str(uuid));
}

static void draft__add_creation_time(struct draft *draft, const struct host *host,
				     const struct process_facts *facts)
{
	time_t at = (time_t)(host->boot_unix_s + (int64_t)(facts->start_ticks / host->ticks_per_s));
	uint64_t rest_ms = facts->start_ticks % host->ticks_per_s * 1000 / host->ticks_per_s;
	char text[40];
	struct tm tm;
	size_t len;

	if (facts->start_ticks == 0 || host->boot_unix_s == 0 || !gmtime_r(&at, &tm))
		return;
	len = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + len, sizeof(text) - len, ".%03uZ", (unsigned int)rest_ms);
	draft__add(draft, "process.creation.time", slice__str(text));
}

static void draft__add_process(struct draft *draft, const struct host *host,
			       const struct process_facts *facts, const char *program)
{
	const struct runtime *runtime = find_runtime(program, facts->go);

	draft__add_creation_time(draft, host, facts);
	draft__add(draft, "process.executable.name", slice__str(program));
	draft__add(draft, "process.executable.path", slice__str(facts->exe));
	draft__add(draft, "process.runtime.name", slice__str(runtime->name));
	/* a container has its own table of users */
	if (facts->uid_known && facts->cgroup.container[0] == '\0')
		draft__add(draft, "process.owner", host__user(host, facts->uid));
	if (facts->vpid)
		resource__add_int(draft->resource, "process.vpid", facts->vpid);
	draft__add(draft, "container.id", slice__str(facts->cgroup.container));
	draft__add(draft, "k8s.pod.uid", slice__str(facts->cgroup.pod));
}

static void draft__add_host(struct draft *draft, const struct host *host)
{
	draft__add(draft, "host.name", slice__str(host->name));
	draft__add(draft, "host.id", slice__str(host->id));
	draft__add(draft, "host.arch", slice__str(host->arch));
	draft__add(draft, "os.type", SLICE("linux"));
}

/* What no environment may change: who the process is, and who tells of it. */
static void draft__add_identity(struct draft *draft, const struct process_facts *facts,
				const char *program)
{
	const struct runtime *runtime = find_runtime(program, facts->go);

	draft__add(draft, "service.name", draft->service_name);
	resource__add_int(draft->resource, "process.pid", facts->pid);
	draft__add(draft, "telemetry.sdk.name", SLICE("spanloom"));
	draft__add(draft, "telemetry.sdk.version", SLICE(SPANLOOM_VERSION));
	draft__add(draft, "telemetry.sdk.language", slice__str(runtime->language));
	draft__add(draft, "telemetry.distro.name", SLICE("spanloom"));
	draft__add(draft, "telemetry.distro.version", SLICE(SPANLOOM_VERSION));
}

/* The first that is not empty: the process's own word, the agent's default, the program. */
static void draft__choose_name(struct draft *draft, const struct processes_config *config,
			       const struct process_facts *facts, const struct pair_list *own,
			       const struct pair_list *common, const char *program)
{
	const struct slice candidates[] = {
		process_facts__env(facts, SLICE("OTEL_SERVICE_NAME")),
		list__find(own, SLICE("service.name")),
		slice__str(config->service_name),
		list__find(common, SLICE("service.name")),
	};

	for (size_t i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
		draft->service_name = candidates[i];
		if (candidates[i].len)
			return;
	}
	if (program[0])
		draft->service_name = arena__printf(draft->text, "unknown_service:%s", program);
	else
		draft->service_name = SLICE("unknown_service");
}

static void draft__fill(struct draft *draft, const struct processes_config *config,
			const struct host *host, const struct process_facts *facts,
			const char *path)
{
	const char *program = process_resource__basename(path);
	struct resource *r = draft->resource;
	struct pair_list own, common;
	int err;

	err = parse_pairs(process_facts__env(facts, SLICE("OTEL_RESOURCE_ATTRIBUTES")), draft->text,
			  &own);
	if (err) {
		own.count = 0;
		log_warn("process",
			 "pid=%u: its OTEL_RESOURCE_ATTRIBUTES is malformed, left out: %s",
			 facts->pid, errstr(err));
	}
	/* processes__new() has checked it */
	if (parse_pairs(slice__str(config->resource_attributes), draft->text, &common))
		common.count = 0;

	draft__choose_name(draft, config, facts, &own, &common, program);
	draft__add_identity(draft, facts, program);
	draft__add_said(draft, &own, slice__of(NULL, 0));
	draft__add_said(draft, &common, SLICE("service.instance.id"));
	draft__add_instance(draft, host, facts);
	draft__add_process(draft, host, facts, program);
	draft__add_host(draft, host);
	r->service_name = utf8__copy(&r->text, draft->service_name, VALUE_MAX_CHARS);
	r->executable = utf8__copy(&r->text, slice__str(path), 0);
}

struct resource *process_resource__new(const struct processes_config *config,
				       const struct host *host, const struct process_facts *facts,
				       const char *fallback)
{
	struct draft draft = { .resource = resource__new(facts->pid) };
	struct arena text;

	if (!draft.resource)
		return NULL;
	arena__init(&text, 4 * FACTS_ENVIRON_BYTES);
	draft.text = &text;
	draft__fill(&draft, config, host, facts, facts->exe[0] ? facts->exe : fallback);
	arena__reset(&text);
	return draft.resource;
}
