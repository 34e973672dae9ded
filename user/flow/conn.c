// SPDX-License-Identifier: Apache-2.0
#include "user/flow/conn.h"

#include <errno.h>
#include <sys/socket.h>

#include "user/flow/describe.h"
#include "user/flow/endpoint.h"
#include "user/flow/quota.h"
#include "user/protocols/protocol.h"

static void conn_table__link(struct conn_table *table, struct conn *conn)
{
	conn->older = table->newest;
	conn->newer = NULL;
	if (table->newest)
		table->newest->newer = conn;
	else
		table->oldest = conn;
	table->newest = conn;
}

static void conn_table__unlink(struct conn_table *table, struct conn *conn)
{
	if (conn->older)
		conn->older->newer = conn->newer;
	else
		table->oldest = conn->newer;
	if (conn->newer)
		conn->newer->older = conn->older;
	else
		table->newest = conn->older;
}

void endpoint__from_event(const struct event_conn *event, struct endpoint *local,
			  struct endpoint *peer)
{
	/* The kernel names the path of the side that listens, whichever side this is. */
	struct endpoint *listener = event->role == ROLE_SERVER ? local : peer;

	memset(local, 0, sizeof(*local));
	memset(peer, 0, sizeof(*peer));
	local->family = event->family;
	local->port = event->local_port;
	memcpy(local->addr, event->local_addr, sizeof(local->addr));
	peer->family = event->family;
	peer->port = event->peer_port;
	memcpy(peer->addr, event->peer_addr, sizeof(peer->addr));
	if (event->family == AF_UNIX)
		memcpy(listener->path, event->path, sizeof(listener->path));
	endpoint__write(local);
	endpoint__write(peer);
}

struct conn *conn_table__add(struct conn_table *table, const struct event_conn *event)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	conn->id = event->hdr.conn_id;
	conn->role = event->role <= ROLE_SERVER ? event->role : ROLE_UNKNOWN;
	conn->role_certain = conn->role != ROLE_UNKNOWN;
	conn->fresh = event->flags & CONN_FRESH;
	conn->apart = !conn->fresh;
	conn->tgid = event->tgid;
	conn->reader = event->tgid;
	memcpy(conn->comm, event->comm, sizeof(conn->comm));
	memcpy(conn->first_pos, event->pos, sizeof(conn->first_pos));
	endpoint__from_event(event, &conn->local, &conn->peer);
	HASH_ADD(hh, table->by_id, id, sizeof(conn->id), conn);
	if (!hash__has(&conn->hh)) {
		free(conn);
		return NULL;
	}
	conn_table__link(table, conn);
	conn->last_ns = event->hdr.ts_ns;
	table->count++;
	return conn;
}

struct conn *conn_table__find(const struct conn_table *table, uint64_t id)
{
	struct conn *conn = table->newest;

	if (conn && conn->id == id) /* one socket is read and written in turn */
		return conn;
	HASH_FIND(hh, table->by_id, &id, sizeof(id), conn);
	return conn;
}

void conn_table__remove(struct conn_table *table, struct conn *conn)
{
	conn__unbind(conn);
	HASH_DEL(table->by_id, conn);
	conn_table__unlink(table, conn);
	table->count--;
	free(conn);
}

void conn_table__touch(struct conn_table *table, struct conn *conn, uint64_t now_ns)
{
	conn->last_ns = now_ns;
	conn->resting = false;
	if (table->newest == conn)
		return;
	conn_table__unlink(table, conn);
	conn_table__link(table, conn);
}

/* A unix socket has one path, the listener's: it belongs to the server's end. */
static void conn__place_path(struct conn *conn)
{
	struct endpoint *from = conn->role == ROLE_SERVER ? &conn->peer : &conn->local;
	struct endpoint *to = conn->role == ROLE_SERVER ? &conn->local : &conn->peer;

	if (from->family != AF_UNIX || !from->path[0])
		return;
	memcpy(to->path, from->path, sizeof(to->path));
	from->path[0] = '\0';
}

int conn__bind(struct conn *conn, const struct protocol *protocol, enum conn_role role)
{
	bool bound_before = conn->protocol;
	void *state = NULL;

	if (protocol->state_size) {
		state = calloc(1, protocol->state_size);
		if (!state)
			return -ENOMEM;
	}
	free(conn->state);
	conn->state = state;
	conn->protocol = protocol;
	conn->role = role;
	repeats__reset(&conn->repeats);
	conn__place_path(conn);
	if (!bound_before)
		for (enum event_dir dir = DIR_SEND; dir <= DIR_RECV; dir++)
			stream__init(&conn->reading[conn__direction(conn, dir)].stream,
				     conn->first_pos[dir]);
	return 0;
}

void conn__unbind(struct conn *conn)
{
	conn->protocol = NULL;
	free(conn->state);
	conn->state = NULL;
	memo__reset(&conn->memo);
	conn->memo.evicted = 0;
	repeats__reset(&conn->repeats);
	stream__reset(&conn->reading[TO_SERVER].stream);
	stream__reset(&conn->reading[TO_CLIENT].stream);
}

void conn__rest(struct conn *conn)
{
	repeats__reset(&conn->repeats);
	conn->resting = true;
}

void conn__account(struct conn *conn, struct quota *quota)
{
	size_t held = stream__held(&conn->reading[TO_SERVER].stream) +
		      stream__held(&conn->reading[TO_CLIENT].stream) + conn->memo.bytes +
		      conn->repeats.bytes;

	quota__change(quota, conn->held_bytes, held);
	conn->held_bytes = held;
}

const struct endpoint *conn__server(const struct conn *conn)
{
	return conn->role == ROLE_SERVER ? &conn->local : &conn->peer;
}

const struct endpoint *conn__client(const struct conn *conn)
{
	return conn->role == ROLE_SERVER ? &conn->peer : &conn->local;
}

enum conn_role conn__role_of(const struct conn *conn, const struct event_data *data)
{
	bool from_server = data->match == MATCH_RESPONSE;

	if (conn->role != ROLE_UNKNOWN)
		return conn->role;
	return (data->dir == DIR_SEND) != from_server ? ROLE_CLIENT : ROLE_SERVER;
}

uint64_t conn__last_byte_ns(const struct conn *conn)
{
	uint64_t requests = conn->reading[TO_SERVER].stream.last_ns;
	uint64_t responses = conn->reading[TO_CLIENT].stream.last_ns;

	return requests > responses ? requests : responses;
}

const char *conn__failure(const struct conn *conn)
{
	if (conn->reset)
		return "connection_reset";
	if (conn->error)
		return describe__errno(conn->error);
	/* Who closed first: the client gave up, or the server did not finish. */
	if (conn->role == ROLE_CLIENT)
		return conn->peer_eof ? "eof" : "cancelled";
	return conn->peer_eof ? "cancelled" : "eof";
}
