// SPDX-License-Identifier: Apache-2.0
#include "user/flow/context.h"

#include "user/base/pool.h"
#include "user/flow/bearer.h"

/* Server, its client, the server that that is, ... on one host: longer chains are loops. */
#define CHAIN_MAX 32

static struct pool pool;

void context__reset(struct context *context)
{
	free((char *)context->state.data);
	context->state = slice__of(NULL, 0);
}

void context__set_state(struct context *context, struct slice state)
{
	char *copy;

	context__reset(context);
	copy = state.len ? malloc(state.len) : NULL;
	if (!copy)
		return;
	memcpy(copy, state.data, state.len);
	context->state = slice__of(copy, state.len);
}

void context_table__init(struct context_table *table, size_t max_over)
{
	memset(table, 0, sizeof(*table));
	table->newest_over = &table->oldest_over;
	table->max_over = max_over;
}

static void context_table__drop(struct context_table *table, struct context *context)
{
	HASH_DEL(table->by_place, context);
	bearers__leave(&table->bearers, context->bearer);
	context__reset(context);
	pool__give(&pool, context);
}

void context_table__reset(struct context_table *table)
{
	struct context *context, *next;

	HASH_ITER (hh, table->by_place, context, next)
		context_table__drop(table, context);
	context_table__init(table, table->max_over);
}

struct context *context_table__find(const struct context_table *table, struct place place)
{
	struct context *context;

	HASH_FIND(hh, table->by_place, &place, sizeof(place), context);
	return context;
}

struct context *context_table__add(struct context_table *table, struct place place)
{
	struct context *context;
	unsigned int hash;

	HASH_VALUE(&place, sizeof(place), hash);
	HASH_FIND_BYHASHVALUE(hh, table->by_place, &place, sizeof(place), hash, context);
	if (context) {
		context->requests++;
		return context;
	}
	context = pool__take(&pool, sizeof(*context));
	if (!context)
		return NULL;
	memset(context, 0, sizeof(*context));
	context->place = place;
	context->requests = 1;
	HASH_ADD_BYHASHVALUE(hh, table->by_place, place, sizeof(context->place), hash, context);
	if (hash__has(&context->hh))
		return context;
	pool__give(&pool, context);
	return NULL;
}

void context_table__release(struct context_table *table, struct context *context)
{
	context->over = true;
	context->next = NULL;
	*table->newest_over = context;
	table->newest_over = &context->next;
	if (++table->over <= table->max_over)
		return;
	context = table->oldest_over;
	table->oldest_over = context->next;
	if (!table->oldest_over)
		table->newest_over = &table->oldest_over;
	table->over--;
	context_table__drop(table, context);
}

static bool context__is_parent(const struct context *parent)
{
	return parent->requests == 1 && !parent->hidden;
}

/* @context stays what it was made as: a root, or the child of whom its request named. */
static void context__stay(struct context *context)
{
	context->known = true;
}

static void context__join(struct context *context, const struct context *parent)
{
	memcpy(context->trace_id, parent->trace_id, sizeof(context->trace_id));
	context->flags = parent->flags;
	context->sampled = parent->sampled;
	context__set_state(context, parent->state);
}

/*
 * Does @parent stand between @context and whom its request named?  In the same trace the sender
 * of a message does; a request that caused another does when the header was passed on as it was.
 */
static bool context__is_between(const struct context *parent, const struct context *context)
{
	if (memcmp(parent->trace_id, context->trace_id, sizeof(context->trace_id)) != 0 ||
	    parent->sampled != context->sampled)
		return false;
	return context->parent_remote ||
	       (parent->carried &&
		!memcmp(parent->carried_id, context->carried_id, sizeof(context->carried_id)));
}

static void context__follow(struct context *context, const struct context *parent)
{
	if (context->carried && !context__is_between(parent, context)) {
		context__stay(context);
		return;
	}
	if (!context->carried)
		context__join(context, parent);
	else if (context->parent_remote && !context->state.len) /* a TCP option brings none */
		context__set_state(context, parent->state);
	memcpy(context->parent_id, parent->span_id, sizeof(context->parent_id));
	context->remote = context->parent_remote;
	context->link = context->parent_link;
	context->known = true;
}

/* The chain is walked up to where the trace is known, and then settled from there down. */
bool context_table__settle(const struct context_table *table, struct context *context, bool last)
{
	struct context *chain[CHAIN_MAX];
	size_t depth = 0;

	for (;;) {
		if (context->known || (depth && context->carried))
			break;
		if (depth == CHAIN_MAX) {
			if (!last)
				return false;
			context__stay(chain[depth - 1]);
			break;
		}
		chain[depth++] = context;
		if (!context->parent.conn_id) {
			context__stay(context);
			break;
		}
		context = context_table__find(table, context->parent);
		if (!context && !last)
			return false;
		if (!context || !context__is_parent(context)) {
			context__stay(chain[depth - 1]);
			break;
		}
	}
	while (depth--) {
		if (!chain[depth]->known)
			context__follow(chain[depth], context);
		context = chain[depth];
	}
	return true;
}
