// SPDX-License-Identifier: Apache-2.0
#include "user/protocols/postgres.h"

#include <endian.h>

#define CHAIN_BUDGET 4096 /* messages of chains that turn out not to be some */

static __u32 side_of(enum direction dir)
{
	return dir == TO_SERVER ? POSTGRES_FRONT : POSTGRES_BACK;
}

int postgres__message(struct slice in, enum direction dir, struct postgres_message *out)
{
	uint32_t len;

	if (in.len < POSTGRES_HEADER)
		return -EAGAIN;
	out->tag = in.data[0];
	memcpy(&len, in.data + 1, sizeof(len));
	len = be32toh(len);
	if (!(postgres_sides((__u8)out->tag, len) & side_of(dir)))
		return -EBADMSG;
	out->total = (size_t)len + 1;
	out->body = slice__head(slice__skip(in, POSTGRES_HEADER), out->total - POSTGRES_HEADER);
	return 0;
}

/* Can the body of @m be that of its tag?  Looks only at what is there. */
static bool is_sound(const struct postgres_message *m, enum direction dir)
{
	__u8 head[POSTGRES_HEAD] = { (__u8)m->tag };
	struct slice body = slice__head(m->body, POSTGRES_HEAD - POSTGRES_HEADER);
	bool whole = m->body.len == m->total - POSTGRES_HEADER;

	if (body.len)
		memcpy(head + POSTGRES_HEADER, body.data, body.len);
	/* postgres_body() looks at four bytes, where there are as many */
	if ((whole || body.len >= 4) && !(postgres_body(head, (__u32)m->total - 1) & side_of(dir)))
		return false;
	if (!whole || !strchr(dir == TO_SERVER ? "QCD" : "CENS", m->tag))
		return true;
	/* these end with a NUL */
	return m->body.data[m->body.len - 1] == '\0';
}

bool postgres__chain(struct slice in, enum direction dir, struct postgres_chain *out)
{
	struct postgres_message m;

	*out = (struct postgres_chain){ .whole = 0 };
	while (in.len) {
		int err = postgres__message(in, dir, &m);

		out->partial = err == -EAGAIN || (!err && m.total > in.len);
		if (err == -EAGAIN)
			return true;
		if (err || !is_sound(&m, dir))
			return false;
		if (out->partial)
			return true;
		out->whole++;
		in = slice__skip(in, m.total);
	}
	return true;
}

size_t postgres__find_chain(struct slice in, enum direction dir)
{
	size_t budget = in.len + CHAIN_BUDGET;
	struct postgres_chain chain;

	for (size_t at = 0; at < in.len; at++) {
		bool sound = postgres__chain(slice__skip(in, at), dir, &chain);

		if (sound && chain.whole > chain.partial)
			return at;
		/* what is made to look like chains from every byte must not cost a square */
		if (budget < chain.whole)
			break;
		budget -= chain.whole;
	}
	return in.len;
}

size_t postgres__take(const struct postgres_message *message, struct slice in, struct message *out)
{
	size_t here = message->total < in.len ? message->total : in.len;

	out->skip = message->total - here;
	return here;
}

/* The first bytes of a direction: are they of this one, or of the other? */
static int check_first(const struct parse_input *in)
{
	enum direction other = in->dir == TO_SERVER ? TO_CLIENT : TO_SERVER;
	struct postgres_chain chain;

	if (postgres__chain(in->bytes, in->dir, &chain))
		return 0;
	return postgres__chain(in->bytes, other, &chain) ? -EPROTO : -EBADMSG;
}

static ssize_t postgres__parse(void *state, const struct parse_input *in, struct message *out)
{
	struct postgres_state *st = state;
	bool plain = in->dir == TO_SERVER ? in->bytes.data[0] == '\0' : st->asked_tls;
	ssize_t len;
	int err;

	/* the packets without a tag are told by the parser of their direction */
	if (!plain && !st->tagged[in->dir]) {
		err = check_first(in);
		if (err)
			return err;
	}
	len = in->dir == TO_SERVER ? postgres__request(st, in, out)
				   : postgres__response(st, in, out);
	if (len > 0 && !plain)
		st->tagged[in->dir] = true;
	return len;
}

static size_t postgres__resync(void *state, enum direction dir, struct slice in)
{
	return dir == TO_SERVER ? postgres__resync_requests(state, in)
				: postgres__resync_responses(state, in);
}

const struct protocol protocol_postgres = {
	.id = PROTO_POSTGRES,
	.name = "postgres",
	.scope = "spanloom/postgres",
	.database = true,
	.state_size = sizeof(struct postgres_state),
	.parse = postgres__parse,
	.resync = postgres__resync,
	.resync_scans = true,
	.describe = postgres__describe,
};
