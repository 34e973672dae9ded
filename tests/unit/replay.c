// SPDX-License-Identifier: Apache-2.0
#include "tests/unit/replay.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/event.h"
#include "tests/unit/replay_line.h"
#include "tests/unit/replay_print.h"
#include "user/flow/conn.h"
#include "user/flow/pipeline.h"
#include "user/flow/resource.h"
#include "user/flow/span.h"
#include "user/protocols/protocol.h"

#define LINE_MAX_BYTES (256 * 1024)
#define CONNS	       16
#define PROCESSES      4
#define FIRST_PID      100
#define US	       1000ULL

struct player {
	struct replay *replay;
	struct pipeline *pipeline;
	struct flow_config config;
	struct resource *resource[PROCESSES];
	bool excluded[PROCESSES];
	uint32_t tgid; /* of what follows */
	FILE *out;
	char *page; /* two pages: the record ends where the forbidden one begins */
	size_t page_bytes;
	unsigned int proto;
	unsigned int match; /* of the next data, MATCH_NONE: by direction */
	unsigned int ref;   /* of the next data, enum ref_kind, and what it refers to */
	uint64_t ref_conn;
	uint64_t ref_pos;
	uint64_t pos[CONNS][2];
	unsigned int last_dir[CONNS];
	uint64_t lost_ns;
	uint32_t random;
	const char *rest; /* of the line */
};

/* -- out ---------------------------------------------------------------------------------- */

static void player__on_span(void *ctx, struct span *span)
{
	struct player *p = ctx;

	replay__print(p->out, span);
	span__free(span);
}

static struct resource *player__on_resource(void *ctx, uint32_t tgid, const char *comm)
{
	struct player *p = ctx;

	if (p->excluded[tgid - FIRST_PID])
		return NULL;
	return resource__get(p->resource[tgid - FIRST_PID]);
}

/* -- records ------------------------------------------------------------------------------ */

/* The record ends on the last byte before a page that may not be touched. */
static void player__feed(struct player *p, const void *record, size_t len)
{
	char *at = p->page + p->page_bytes - len;

	memcpy(at, record, len);
	pipeline__record(p->pipeline, at, len);
}

static uint32_t player__random(struct player *p)
{
	p->random = p->random * 1664525 + 1013904223;
	return p->random >> 8;
}

static void player__chunk(struct player *p, struct event_data *data, struct slice payload)
{
	size_t len = sizeof(*data) + payload.len;
	char *record = malloc(len);

	data->captured = (uint32_t)payload.len;
	data->hdr.len = (uint32_t)len;
	memcpy(record, data, sizeof(*data));
	if (payload.len)
		memcpy(record + sizeof(*data), payload.data, payload.len);
	player__feed(p, record, len);
	free(record);
}

static size_t player__piece(struct player *p, size_t left)
{
	if (p->replay->mode == REPLAY_BYTES)
		return 1;
	if (p->replay->mode == REPLAY_TORN)
		return 1 + player__random(p) % left;
	return left < EVENT_PAYLOAD_MAX ? left : EVENT_PAYLOAD_MAX;
}

/* One send or receive, as the records that the mode makes of it. */
static void player__data(struct player *p, uint64_t id, enum event_dir dir, uint64_t start_us,
			 uint64_t end_us, struct slice bytes)
{
	bool turn = p->last_dir[id] != dir + 1;

	p->last_dir[id] = dir + 1;
	while (bytes.len) {
		size_t len = player__piece(p, bytes.len);
		struct slice payload = slice__head(bytes, len);
		struct event_data data = {
			.hdr = { .type = EVENT_DATA, .ts_ns = end_us * US, .conn_id = id },
			.start_ns = start_us * US,
			.pos = p->pos[id][dir],
			.size = (uint32_t)len,
			.tgid = p->tgid,
			.tid = p->tgid,
			.dir = dir,
			.proto = (uint8_t)p->proto,
			.match = (uint8_t)p->match,
			.ref = (uint8_t)p->ref,
			.ref_conn = p->ref_conn,
			.ref_pos = p->ref_pos,
			.flags = DATA_EXACT_START | (turn ? DATA_TURN | DATA_SAMPLED : 0),
		};

		p->pos[id][dir] += len;
		bytes = slice__skip(bytes, len);
		turn = false;
		if (p->replay->mode == REPLAY_GAPS && player__random(p) % 3 == 0)
			continue;
		if (p->replay->mode == REPLAY_CUT)
			payload.len = player__random(p) % (payload.len + 1);
		player__chunk(p, &data, payload);
	}
	p->match = MATCH_NONE;
	p->ref = REF_NONE;
}

static void player__skip(struct player *p, uint64_t id, enum event_dir dir, uint64_t us,
			 uint64_t size, struct slice tail)
{
	struct event_data data = {
		.hdr = { .type = EVENT_DATA, .ts_ns = us * US, .conn_id = id },
		.start_ns = us * US,
		.pos = p->pos[id][dir],
		.size = (uint32_t)size,
		.tgid = p->tgid,
		.tid = p->tgid,
		.dir = dir,
		.proto = (uint8_t)p->proto,
		.flags = DATA_TAIL,
	};

	p->pos[id][dir] += size;
	p->last_dir[id] = dir + 1;
	player__chunk(p, &data, tail);
}

static void player__close(struct player *p, uint64_t id, uint64_t us, enum close_kind kind)
{
	struct event_close event = {
		.hdr = { .type = EVENT_CLOSE,
			 .len = sizeof(event),
			 .ts_ns = us * US,
			 .conn_id = id },
		.kind = kind,
	};

	player__feed(p, &event, sizeof(event));
}

/* -- words of a line ---------------------------------------------------------------------- */

static uint8_t player__role(const char *word)
{
	if (strcmp(word, "client") == 0)
		return ROLE_CLIENT;
	return strcmp(word, "server") == 0 ? ROLE_SERVER : ROLE_UNKNOWN;
}

static bool player__address(struct player *p, uint16_t *family, uint8_t *addr, uint16_t *port)
{
	char word[64];

	if (!line__word(&p->rest, word, sizeof(word)))
		return false;
	*family = strchr(word, ':') ? AF_INET6 : AF_INET;
	if (inet_pton(*family, word, addr) != 1)
		return false;
	*port = (uint16_t)line__number(&p->rest);
	return true;
}

/* -- lines -------------------------------------------------------------------------------- */

static bool player__conn(struct player *p, uint64_t id, uint64_t us, int error)
{
	struct event_conn event = {
		.hdr = { .type = error ? EVENT_CONN_FAILED : EVENT_CONN,
			 .len = sizeof(event),
			 .ts_ns = us * US,
			 .conn_id = id },
		.tgid = p->tgid,
		.error = error,
		.comm = "case",
	};
	char word[64];

	if (!line__word(&p->rest, word, sizeof(word)))
		return false;
	event.role = player__role(word);
	p->rest += strspn(p->rest, " ");
	if (strncmp(p->rest, "unix ", 5) == 0) {
		p->rest += 5;
		event.family = AF_UNIX;
		if (!line__word(&p->rest, event.path, sizeof(event.path)))
			return false;
	} else if (!player__address(p, &event.family, event.local_addr, &event.local_port) ||
		   !player__address(p, &event.family, event.peer_addr, &event.peer_port)) {
		return false;
	}
	event.flags = strstr(p->rest, "fresh") ? CONN_FRESH : 0;
	event.ref = (uint8_t)p->ref;
	event.ref_conn = p->ref_conn;
	event.ref_pos = p->ref_pos;
	p->ref = REF_NONE;
	player__feed(p, &event, sizeof(event));
	return true;
}

static bool player__option(struct player *p)
{
	if (strstr(p->rest, "db-server-spans"))
		p->config.db_server_spans = true;
	else if (strstr(p->rest, "no-heuristic"))
		p->config.route_heuristic = false;
	else if (strstr(p->rest, "sdk-ignore"))
		p->config.sdk_adopt = false;
	else
		return false;
	return true;
}

static bool player__process(struct player *p)
{
	p->tgid = FIRST_PID + (uint32_t)(line__number(&p->rest) % PROCESSES);
	return true;
}

static bool player__match(struct player *p)
{
	p->match = strstr(p->rest, "request")	 ? MATCH_REQUEST
		   : strstr(p->rest, "response") ? MATCH_RESPONSE
						 : MATCH_EITHER;
	return true;
}

static bool player__ref(struct player *p)
{
	char word[16];

	if (!line__word(&p->rest, word, sizeof(word)))
		return false;
	p->ref = word[0] == 't' ? REF_THREAD : REF_PEER;
	p->ref_conn = line__number(&p->rest) % CONNS;
	p->ref_pos = line__number(&p->rest);
	return true;
}

static bool player__skip_line(struct player *p, char *buf)
{
	struct slice tail = { 0 };
	uint64_t id, us, size;
	char word[16];

	if (!line__word(&p->rest, word, sizeof(word)))
		return false;
	id = line__number(&p->rest) % CONNS;
	us = line__number(&p->rest);
	size = line__number(&p->rest);
	line__string(&p->rest, buf, &tail);
	player__skip(p, id, word[0] == 's' ? DIR_SEND : DIR_RECV, us, size, tail);
	return true;
}

static bool player__lost(struct player *p)
{
	char word[16];
	uint64_t id;

	if (!line__word(&p->rest, word, sizeof(word)))
		return false;
	id = line__number(&p->rest) % CONNS;
	p->pos[id][word[0] == 's' ? DIR_SEND : DIR_RECV] += line__number(&p->rest);
	return true;
}

static bool player__transfer(struct player *p, enum event_dir dir, char *buf)
{
	uint64_t id = line__number(&p->rest) % CONNS;
	uint64_t start = line__number(&p->rest);
	uint64_t end = dir == DIR_SEND ? line__number(&p->rest) : start;
	struct slice bytes;

	if (!line__string(&p->rest, buf, &bytes))
		return false;
	player__data(p, id, dir, start, end, bytes);
	return true;
}

static bool player__end(struct player *p, enum close_kind kind)
{
	uint64_t id = line__number(&p->rest) % CONNS;

	player__close(p, id, line__number(&p->rest), kind);
	return true;
}

static bool player__line(struct player *p, const char *line, char *buf)
{
	uint64_t id, us;
	char verb[16];

	p->rest = line;
	if (!line__word(&p->rest, verb, sizeof(verb)) || verb[0] == '#')
		return true;
	if (strcmp(verb, "option") == 0)
		return player__option(p);
	if (strcmp(verb, "exclude") == 0) {
		p->excluded[line__number(&p->rest) % PROCESSES] = true;
		return true;
	}
	if (strcmp(verb, "process") == 0)
		return player__process(p);
	if (strcmp(verb, "match") == 0)
		return player__match(p);
	if (strcmp(verb, "ref") == 0)
		return player__ref(p);
	if (strcmp(verb, "conn") == 0)
		return player__conn(p, line__number(&p->rest) % CONNS, 0, 0);
	if (strcmp(verb, "send") == 0)
		return player__transfer(p, DIR_SEND, buf);
	if (strcmp(verb, "recv") == 0)
		return player__transfer(p, DIR_RECV, buf);
	if (strcmp(verb, "skip") == 0)
		return player__skip_line(p, buf);
	if (strcmp(verb, "lost") == 0)
		return player__lost(p);
	if (strcmp(verb, "ring-full") == 0) {
		p->lost_ns = line__number(&p->rest) * US;
		return true;
	}
	if (strcmp(verb, "eof") == 0)
		return player__end(p, CLOSE_PEER_EOF);
	if (strcmp(verb, "reset") == 0)
		return player__end(p, CLOSE_RESET);
	if (strcmp(verb, "close") == 0)
		return player__end(p, CLOSE_DONE);
	if (strcmp(verb, "failed") == 0) {
		id = line__number(&p->rest) % CONNS;
		us = line__number(&p->rest);
		return player__conn(p, id, us, (int)line__number(&p->rest));
	}
	if (strcmp(verb, "tick") == 0) {
		pipeline__tick(p->pipeline, line__number(&p->rest) * US);
		return true;
	}
	return false;
}

/* -- a case ------------------------------------------------------------------------------- */

static unsigned int player__proto(const char *path)
{
	for (unsigned int id = 1; id < PROTO_COUNT; id++) {
		char folder[64];

		snprintf(folder, sizeof(folder), "/%s/", protocol__by_id(id)->name);
		if (strstr(path, folder))
			return id;
	}
	return PROTO_UNKNOWN;
}

static int player__play(struct player *p)
{
	char *line = malloc(LINE_MAX_BYTES), *buf = malloc(LINE_MAX_BYTES);
	FILE *in = fopen(p->replay->path, "r");
	int number = 0, err = 0;

	while (in && !err && fgets(line, LINE_MAX_BYTES, in)) {
		number++;
		if (player__line(p, line, buf))
			continue;
		fprintf(stderr, "%s:%d: malformed: %s", p->replay->path, number, line);
		err = -1;
	}
	if (in)
		fclose(in);
	free(line);
	free(buf);
	return in ? err : -1;
}

int replay__run(struct replay *replay)
{
	struct player p = { .replay = replay, .random = replay->seed, .tgid = FIRST_PID };
	struct pipeline_callbacks callbacks = {
		.span = player__on_span,
		.resource = player__on_resource,
		.ctx = &p,
	};
	size_t spans_len;
	int err;

	memset(&replay->ledger, 0, sizeof(replay->ledger));
	flow_config__defaults(&p.config);
	p.config.lost_ns = &p.lost_ns;
	p.proto = player__proto(replay->path);
	p.out = open_memstream(&replay->spans, &spans_len);
	for (uint32_t i = 0; i < PROCESSES; i++)
		p.resource[i] = resource__new(FIRST_PID + i);
	p.page_bytes = 64 * 1024;
	p.page = mmap(NULL, p.page_bytes + (size_t)getpagesize(), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(p.page + p.page_bytes, (size_t)getpagesize(), PROT_NONE);
	p.pipeline = pipeline__new(&p.config, &callbacks, &replay->ledger);
	err = player__play(&p);
	pipeline__drain(p.pipeline);
	replay->in_flight = pipeline__in_flight(p.pipeline);
	pipeline__free(p.pipeline);
	munmap(p.page, p.page_bytes + (size_t)getpagesize());
	for (int i = 0; i < PROCESSES; i++)
		resource__put(p.resource[i]);
	fclose(p.out);
	return err;
}

void replay__free(struct replay *replay)
{
	free(replay->spans);
	replay->spans = NULL;
}

bool replay__balanced(const struct replay *replay)
{
	const uint64_t *f = replay->ledger.count;

	return f[LEDGER_RECORDS] == f[LEDGER_RECORDS_CONN] + f[LEDGER_RECORDS_DATA] +
					    f[LEDGER_RECORDS_CLOSE] + f[LEDGER_RECORDS_PROCESS] +
					    f[LEDGER_RECORDS_MALFORMED] &&
	       f[LEDGER_REQUESTS] == f[LEDGER_SPANS] + f[LEDGER_QUIET] + f[LEDGER_IGNORED] +
					     f[LEDGER_EXCLUDED] + f[LEDGER_SDK] +
					     f[LEDGER_SAMPLED_OUT] + f[LEDGER_SPANS_NO_MEMORY] +
					     f[LEDGER_REQUESTS_REFUSED] +
					     f[LEDGER_REQUESTS_ABANDONED] + replay->in_flight &&
	       f[LEDGER_BYTES] ==
		       f[LEDGER_BYTES_PARSED] + f[LEDGER_BYTES_GAP] + f[LEDGER_BYTES_DROPPED] &&
	       f[LEDGER_ROOTS] == ledger__roots(&replay->ledger);
}
