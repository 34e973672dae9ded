// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/stalls.h"

#include "bpf/event.h"
#include "user/base/hash.h"

#define MINUTE 60 /* looks */

/* One with bytes under way, as of the last look. */
struct stalled_socket {
	UT_hash_handle hh;
	struct inject_socket_state state;
	unsigned int still; /* looks that found the same */
	uint64_t look;
};

/* One with sockets that stood still. */
struct stalled_process {
	UT_hash_handle hh;
	uint32_t tgid;
	unsigned int sockets; /* in the minute that began with the look @minute */
	uint64_t minute;
	uint64_t rest_end; /* look at which it gets headers again; 0: it does */
	uint64_t forget;   /* look at which its last rest is forgotten */
	unsigned int rest; /* seconds of the last one */
};

void stalls__init(struct stalls *s, const struct stalls_callbacks *callbacks)
{
	memset(s, 0, sizeof(*s));
	s->callbacks = *callbacks;
}

static void stalls__drop_socket(struct stalls *s, struct stalled_socket *socket)
{
	HASH_DEL(s->sockets, socket);
	free(socket);
}

static void stalls__drop_process(struct stalls *s, struct stalled_process *process)
{
	HASH_DEL(s->processes, process);
	free(process);
	s->process_count--;
}

void stalls__reset(struct stalls *s)
{
	while (s->sockets)
		stalls__drop_socket(s, s->sockets);
	while (s->processes)
		stalls__drop_process(s, s->processes);
}

/* ---- processes -------------------------------------------------------------------------- */

/* NULL: there are too many, or no memory. */
static struct stalled_process *stalls__process(struct stalls *s, uint32_t tgid)
{
	struct stalled_process *process;

	HASH_FIND(hh, s->processes, &tgid, sizeof(tgid), process);
	if (process || s->process_count == STALLS_PROCESSES_MAX)
		return process;
	process = calloc(1, sizeof(*process));
	if (!process)
		return NULL;
	process->tgid = tgid;
	process->minute = s->look;
	HASH_ADD(hh, s->processes, tgid, sizeof(process->tgid), process);
	if (!hash__has(&process->hh)) {
		free(process);
		return NULL;
	}
	s->process_count++;
	return process;
}

static void stalls__rest(struct stalls *s, struct stalled_process *process)
{
	process->rest = process->rest ? 2 * process->rest : STALLS_REST_FIRST;
	if (process->rest > STALLS_REST_LAST)
		process->rest = STALLS_REST_LAST;
	process->rest_end = s->look + process->rest;
	process->forget = process->rest_end + process->rest;
	process->sockets = 0;
	s->callbacks.rest(s->callbacks.ctx, process->tgid, process->rest);
}

static void stalls__blame(struct stalls *s, uint32_t tgid)
{
	struct stalled_process *process = stalls__process(s, tgid);

	if (!process || process->rest_end)
		return;
	if (s->look - process->minute >= MINUTE) {
		process->minute = s->look;
		process->sockets = 0;
	}
	process->sockets++;
	if (process->sockets >= STALLS_OF_PROCESS)
		stalls__rest(s, process);
}

/* Rests end; who has done well since is as good as any. */
static void stalls__wake(struct stalls *s)
{
	struct stalled_process *process, *next;

	HASH_ITER (hh, s->processes, process, next) {
		if (process->rest_end && s->look >= process->rest_end) {
			process->rest_end = 0;
			process->minute = s->look;
			s->callbacks.rest(s->callbacks.ctx, process->tgid, 0);
		}
		if (!process->rest_end && s->look >= process->forget &&
		    s->look - process->minute >= MINUTE)
			stalls__drop_process(s, process);
	}
}

/* ---- sockets ---------------------------------------------------------------------------- */

/* The same bytes as at the last look? */
static bool stalls__same(const struct inject_socket_state *a, const struct inject_socket_state *b)
{
	bool unsent = a->unsent[0] != a->unsent[1] && a->unsent[0] == b->unsent[0];
	bool unread = a->unread[0] != a->unread[1] && a->unread[0] == b->unread[0];

	return unsent || unread;
}

/* Without memory, with the next look. */
static void stalls__begin(struct stalls *s, const struct inject_socket_state *state)
{
	struct stalled_socket *socket = calloc(1, sizeof(*socket));

	if (!socket)
		return;
	socket->state = *state;
	socket->look = s->look;
	HASH_ADD(hh, s->sockets, state.conn_id, sizeof(socket->state.conn_id), socket);
	if (!hash__has(&socket->hh))
		free(socket);
}

static void stalls__see(struct stalls *s, const struct inject_socket_state *state)
{
	struct stalled_socket *socket;

	HASH_FIND(hh, s->sockets, &state->conn_id, sizeof(state->conn_id), socket);
	if (!socket) {
		stalls__begin(s, state);
		return;
	}
	socket->still = socket->look + 1 == s->look && stalls__same(state, &socket->state)
				? socket->still + 1
				: 0;
	socket->state = *state;
	socket->look = s->look;
	if (socket->still < STALLS_SECONDS)
		return;
	socket->still = 0;
	s->host++;
	s->callbacks.leave(s->callbacks.ctx, state->conn_id);
	stalls__blame(s, state->tgid);
}

static void stalls__forget(struct stalls *s)
{
	struct stalled_socket *socket, *next;

	HASH_ITER (hh, s->sockets, socket, next) {
		if (socket->look != s->look)
			stalls__drop_socket(s, socket);
	}
}

/* ---- the host --------------------------------------------------------------------------- */

bool stalls__look(struct stalls *s, const struct inject_socket_state *states, size_t count)
{
	s->look++;
	stalls__wake(s);
	if (s->look - s->minute >= MINUTE) {
		s->minute = s->look;
		s->host = 0;
	}
	for (size_t i = 0; i < count; i++) {
		if (states[i].rests)
			s->callbacks.leave(s->callbacks.ctx, states[i].conn_id);
		else
			stalls__see(s, &states[i]);
	}
	stalls__forget(s);
	return s->host >= STALLS_OF_HOST || s->failed;
}

bool stalls__examined(struct stalls *s, bool sound)
{
	s->host = 0;
	s->failed = sound ? 0 : s->failed + 1;
	return s->failed >= STALLS_EXAMINATIONS;
}
