// SPDX-License-Identifier: Apache-2.0
#include "user/protocols/http1_span.h"

#include "user/flow/config.h"
#include "user/flow/endpoint.h"
#include "user/flow/repeat.h"
#include "user/flow/route.h"
#include "user/flow/span.h"
#include "user/flow/url.h"
#include "user/protocols/http1_forwarded.h"
#include "user/protocols/http1_head.h"

#define PORT_HTTP	80
#define PORT_HTTPS	443

#define AUTHORITY_BYTES (ENDPOINT_TEXT_BYTES + sizeof("[]:65535"))

/* What the attributes are made of. */
struct view {
	const struct transaction *txn;
	const struct flow_config *config;
	struct span *span;
	int64_t status; /* 0: no response */
	/* see view__read() */
	bool read;
	bool known_method;
	struct url_target target;
	struct http1_forwarded forwarded; /* SERVER: what proxies said */
};

/* ---- method ------------------------------------------------------------------------------- */

static bool method_is_known(const struct flow_config *config, struct slice method)
{
	static const char *const standard[] = { "GET",	  "HEAD",    "POST",	"PUT",
						"DELETE", "CONNECT", "OPTIONS", "TRACE",
						"PATCH",  "QUERY",   NULL };
	const char *const *known = config->known_methods ? config->known_methods : standard;

	for (; *known; known++)
		if (slice__eq(method, slice__str(*known)))
			return true;
	return false;
}

/* Only what is not known to be as it was is looked at. */
static void view__read(struct view *v)
{
	const struct message *request = &v->txn->request;
	struct slice method = request->field[HTTP1_METHOD];

	if (v->read)
		return;
	v->read = true;
	url__split(request->field[HTTP1_TARGET], slice__eq(method, SLICE("CONNECT")), &v->target);
	if (v->target.query.len == 0)
		v->target.query = request->field[HTTP1_QUERY];
	v->known_method = method_is_known(v->config, method);
	if (v->txn->role == ROLE_SERVER)
		http1_forwarded__read(request, &v->forwarded);
}

static void add_method(const struct view *v)
{
	struct slice method = v->txn->request.field[HTTP1_METHOD];

	if (v->known_method) {
		span__add(v->span, "http.request.method", method);
		return;
	}
	span__add(v->span, "http.request.method", SLICE("_OTHER"));
	span__add(v->span, "http.request.method_original", method);
}

/* ---- addresses ---------------------------------------------------------------------------- */

/* Of the connection that the outermost proxy took, else of the target, else of this one. */
static struct slice scheme_of(const struct view *v)
{
	struct slice said = v->forwarded.proto.len ? v->forwarded.proto : v->target.scheme;

	if (said.len == 0)
		said = v->txn->request.field[HTTP1_SCHEME];
	return slice__ieq(said, SLICE("https")) ? SLICE("https") : SLICE("http");
}

/* Who the request was for, from the first source that makes sense. */
static bool logical_host(const struct view *v, struct slice *authority, struct url_host *host)
{
	const struct slice sources[] = {
		v->forwarded.host,
		v->target.authority,
		v->txn->request.field[HTTP1_HOST],
	};

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		*authority = sources[i];
		if (authority->len && url__host(*authority, host))
			return true;
	}
	return false;
}

/* Whom a web server hands a request on to is not whom that is for. */
static bool is_handed_on(const struct view *v)
{
	return v->txn->role == ROLE_CLIENT && v->txn->request.field[HTTP1_PROTOCOL].len;
}

static void add_server(const struct view *v)
{
	char text[ENDPOINT_TEXT_BYTES];
	struct slice authority;
	struct url_host host;

	if (is_handed_on(v) || !logical_host(v, &authority, &host)) {
		host.name = endpoint__address(v->txn->server, text, sizeof(text));
		host.port = v->txn->server ? v->txn->server->port : 0;
	} else if (host.port < 0) {
		host.port = slice__eq(scheme_of(v), SLICE("https")) ? PORT_HTTPS : PORT_HTTP;
	}
	span__add(v->span, "server.address", host.name);
	if (host.name.len && host.port > 0)
		span__add_int(v->span, "server.port", host.port);
}

/* The other end of the socket, and whom it speaks for. */
static void add_peer(const struct view *v, const struct endpoint *peer)
{
	char text[ENDPOINT_TEXT_BYTES];
	struct slice address = endpoint__address(peer, text, sizeof(text));
	struct slice client = v->txn->request.field[HTTP1_CLIENT];

	if (v->forwarded.client.len)
		client = v->forwarded.client;
	if (v->txn->role == ROLE_SERVER)
		span__add(v->span, "client.address", client.len ? client : address);
	span__add(v->span, "network.peer.address", address);
	if (address.len && peer->port)
		span__add_int(v->span, "network.peer.port", peer->port);
}

/* ---- the URL ------------------------------------------------------------------------------ */

/* host[:port] of the server's end of the socket, for a request that names no host; written to
 * @out. */
static struct slice socket_authority(const struct endpoint *server, char out[AUTHORITY_BYTES])
{
	char text[ENDPOINT_TEXT_BYTES];
	struct slice address = endpoint__address(server, text, sizeof(text));
	bool ip6 = slice__find(address, ':') < address.len;

	if (!endpoint__network_type(server))
		return SLICE("localhost"); /* a unix socket */
	snprintf(out, AUTHORITY_BYTES, ip6 ? "[%.*s]:%u" : "%.*s:%u", (int)address.len,
		 address.data, server->port);
	return slice__str(out);
}

static void add_url_full(const struct view *v)
{
	bool has_path = v->target.form == URL_ORIGIN || v->target.form == URL_ABSOLUTE;
	struct slice scheme = v->target.scheme.len ? v->target.scheme : scheme_of(v);
	struct slice path = has_path ? v->target.path : slice__of("", 0);
	char text[AUTHORITY_BYTES];
	struct slice authority;
	struct url_host host;

	if (!logical_host(v, &authority, &host))
		authority = socket_authority(v->txn->server, text);
	span__add_made(v->span, "url.full",
		       url__full(&v->span->text, scheme, authority, path, v->target.query));
}

static void add_url_parts(const struct view *v)
{
	span__add(v->span, "url.path", v->target.path);
	if (v->target.query.len)
		span__add_made(v->span, "url.query",
			       url__redact_query(&v->span->text, v->target.query));
}

/* ---- name and outcome --------------------------------------------------------------------- */

/* A path that the server does not know tells nothing of its routes: no guess then. */
static struct slice add_route(const struct view *v)
{
	struct slice route;
	enum route_source source = route__find(v->config, v->target.path, &v->span->text, &route);

	if (source == ROUTE_NONE || (source == ROUTE_GUESS && v->status == 404))
		return slice__of("", 0);
	span__add_made(v->span, "http.route", route);
	if (source == ROUTE_GUESS && route.len)
		span__add_literal(v->span, "spanloom.route.source", SLICE("heuristic"));
	return route;
}

static void set_name(const struct view *v, struct slice route)
{
	struct slice method = v->known_method ? v->txn->request.field[HTTP1_METHOD] : SLICE("HTTP");
	char *name = route.len ? arena__alloc(&v->span->text, method.len + 1 + route.len) : NULL;

	if (!name) {
		span__set_name(v->span, method);
		return;
	}
	copy__bytes(name, method.data, method.len);
	name[method.len] = ' ';
	copy__bytes(name + method.len + 1, route.data, route.len);
	span__set_name(v->span, slice__of(name, method.len + 1 + route.len));
}

static bool status_is_error(enum conn_role role, int64_t status)
{
	if (status < 100 || status > 599)
		return true;
	return status >= (role == ROLE_SERVER ? 500 : 400);
}

static void add_status(const struct view *v)
{
	char text[8];
	int len;

	if (v->txn->response.type != MESSAGE_RESPONSE ||
	    !(v->txn->response.number_mask & 1u << HTTP1_STATUS))
		return;
	span__add_int(v->span, "http.response.status_code", v->status);
	/* what ended a broken call says more than its status */
	if (v->txn->failure || !status_is_error(v->txn->role, v->status))
		return;
	len = snprintf(text, sizeof(text), "%03d", (int)v->status);
	span__fail(v->span, slice__of(text, (size_t)len));
}

/* A folded line as one: its line ends become spaces (RFC 9112, section 5.2). */
static struct slice unfold(struct arena *a, struct slice value)
{
	char *out;

	if (slice__find(value, '\n') == value.len)
		return value;
	out = arena__alloc(a, value.len);
	if (!out)
		return slice__of("", 0);
	for (size_t i = 0; i < value.len; i++)
		out[i] = memchr("\r\n\t", value.data[i], 3) ? ' ' : value.data[i];
	return slice__of(out, value.len);
}

static struct slice version_of(const struct transaction *txn)
{
	struct slice version = txn->request.field[HTTP1_VERSION];

	return version.len ? version : txn->response.field[HTTP1_VERSION];
}

static void add_protocol(const struct view *v)
{
	span__add(v->span, "network.protocol.name", v->txn->request.field[HTTP1_PROTOCOL]);
	span__add(v->span, "network.protocol.version", version_of(v->txn));
}

/* ---- the span ----------------------------------------------------------------------------- */

/* Of all that a request tells of hops and hosts, is there but Host?  Not so where the target is
 * more than a path and its query. */
static bool is_direct(const struct transaction *txn)
{
	const struct slice *field = txn->request.field;
	size_t others = field[HTTP1_SCHEME].len | field[HTTP1_CLIENT].len |
			field[HTTP1_PROTOCOL].len | field[HTTP1_QUERY].len;

	return !others && !http1_forwarded__is(&txn->request) &&
	       slice__starts(field[HTTP1_TARGET], SLICE("/")) &&
	       !slice__eq(field[HTTP1_METHOD], SLICE("CONNECT"));
}

/* What the request line tells, the route that is found for it, and the name. */
static void add_request(struct view *v)
{
	struct slice route = slice__of("", 0);

	view__read(v);
	add_method(v);
	if (v->txn->role == ROLE_SERVER) {
		add_url_parts(v);
		route = add_route(v);
	} else {
		add_url_full(v);
	}
	set_name(v, route);
}

/* Who speaks with whom, and how. */
static void add_peers(struct view *v)
{
	const struct transaction *txn = v->txn;
	bool is_server = txn->role == ROLE_SERVER;

	view__read(v);
	if (is_server)
		span__add_literal(v->span, "url.scheme", scheme_of(v));
	add_server(v);
	add_peer(v, is_server ? txn->client : txn->server);
	add_protocol(v);
}

/* What the fields of the messages tell, as far as it may be kept of the last like them. */
static void add_parts(const struct transaction *txn, const struct flow_config *config,
		      struct span *span)
{
	const struct slice *field = txn->request.field;
	struct slice host = field[HTTP1_HOST];
	struct repeat_key request = { { field[HTTP1_TARGET], field[HTTP1_METHOD] } };
	struct repeat_key peers = { { host, version_of(txn) } };
	struct repeats *repeats = is_direct(txn) ? txn->repeats : NULL;
	struct view v = { .txn = txn, .config = config, .span = span };
	struct repeat_turn turn;

	v.status = txn->response.number[HTTP1_STATUS];
	if (txn->role == ROLE_CLIENT)
		request.part[2] = host; /* for url.full */
	/* of a path that is not known nothing is guessed, see add_route() */
	if (!repeat__begin_statement(&turn, v.status == 404 ? NULL : repeats, &request, span)) {
		add_request(&v);
		repeat__end(&turn, span);
	}
	if (!repeat__begin_peers(&turn, repeats, &peers, span)) {
		add_peers(&v);
		repeat__end(&turn, span);
	}
	if (txn->role == ROLE_SERVER && field[HTTP1_USER_AGENT].len)
		span__add_made(span, "user_agent.original",
			       unfold(&span->text, field[HTTP1_USER_AGENT]));
	add_status(&v);
}

/*
 * Of a request that said the same as one before, and was answered with the same status, the span says
 * the same: the number of that, or 0.  What failed has more than attributes, and without a version
 * of the request that of the response counts.
 */
static uint64_t number_of(const struct transaction *txn)
{
	int64_t status = txn->response.number[HTTP1_STATUS];

	if (!txn->request.alike || !txn->request.field[HTTP1_VERSION].len || txn->failure ||
	    status_is_error(txn->role, status))
		return 0;
	return (uint64_t)txn->request.alike << 9 | (uint64_t)status; /* which is below 500 */
}

void http1_span__describe(const struct transaction *txn, const struct flow_config *config,
			  struct span *span)
{
	uint64_t number = txn->repeats ? number_of(txn) : 0;
	struct repeat_turn turn;

	if (!number) {
		add_parts(txn, config, span);
	} else if (!repeat__begin_whole(&turn, txn->repeats, number, span)) {
		add_parts(txn, config, span);
		repeat__end(&turn, span);
	}
}

/* ---- telemetry ---------------------------------------------------------------------------- */

static bool is_spanloom(struct slice user_agent)
{
	return slice__starts(user_agent, SLICE("spanloom/"));
}

/* The product names of the exporters of the OpenTelemetry SDKs, alone or behind that of whoever
 * distributes them.  Collectors have names of their own. */
static bool is_sdk(struct slice user_agent)
{
	/* most are browsers, and have neither */
	if (slice__search(user_agent, SLICE("OTel")) == user_agent.len)
		return false;
	return !is_spanloom(user_agent) &&
	       (slice__search(user_agent, SLICE("OTel-OTLP-Exporter-")) < user_agent.len ||
		slice__search(user_agent, SLICE("OTel OTLP Exporter ")) < user_agent.len);
}

/* The export of telemetry is not part of what it tells of: a span of it would be exported, and
 * so give the next one. */
static bool is_export(struct slice user_agent)
{
	return is_spanloom(user_agent) || is_sdk(user_agent);
}

/* This and the next apart: most requests need no target for the answer, and no room for one. */
static __attribute__((noinline)) bool posts_traces(const struct transaction *txn)
{
	static const struct slice path = SLICE("/v1/traces"); /* maybe below a prefix */
	struct url_target target;

	url__split(txn->request.field[HTTP1_TARGET], false, &target);
	if (target.path.len < path.len ||
	    !slice__eq(slice__skip(target.path, target.path.len - path.len), path))
		return false;
	return txn->role == ROLE_SERVER || (is_sdk(txn->request.field[HTTP1_USER_AGENT]) &&
					    !http1_forwarded__is(&txn->request));
}

bool http1_span__exports_traces(const struct transaction *txn)
{
	return slice__eq(txn->request.field[HTTP1_METHOD], SLICE("POST")) && posts_traces(txn);
}

static __attribute__((noinline)) bool path_is_ignored(const struct transaction *txn,
						      const struct flow_config *config)
{
	struct url_target target;

	url__split(txn->request.field[HTTP1_TARGET],
		   slice__eq(txn->request.field[HTTP1_METHOD], SLICE("CONNECT")), &target);
	return route__ignored(config, target.path);
}

bool http1_span__ignored(const struct transaction *txn, const struct flow_config *config)
{
	return is_export(txn->request.field[HTTP1_USER_AGENT]) ||
	       (config->ignore_paths && path_is_ignored(txn, config));
}
