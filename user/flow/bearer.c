// SPDX-License-Identifier: Apache-2.0
#include "user/flow/bearer.h"

#include "user/base/hash.h"
#include "user/flow/context.h"
#include "user/flow/transaction.h"

struct bearer_key {
	uint32_t tgid;
	uint8_t trace_id[16];
	uint8_t parent_id[8];
};

struct bearer {
	UT_hash_handle hh;
	struct bearer_key key;
	struct place first;
	uint64_t since_ns; /* CLOCK_MONOTONIC: when that was received */
	unsigned int count;
	bool several; /* there were, if there are not now */
};

static struct bearer_key bearer__key(const struct transaction *txn, const struct context *context)
{
	struct bearer_key key = { .tgid = txn->tgid };

	_Static_assert(sizeof(key) == 28, "no padding: it is hashed");
	memcpy(key.trace_id, context->trace_id, sizeof(key.trace_id));
	memcpy(key.parent_id, context->carried_id, sizeof(key.parent_id));
	return key;
}

static struct bearer *bearers__of(struct bearer *bearers, const struct transaction *txn,
				  const struct context *context)
{
	struct bearer_key key = bearer__key(txn, context);
	struct bearer *bearer;

	HASH_FIND(hh, bearers, &key, sizeof(key), bearer);
	return bearer;
}

struct bearer *bearers__join(struct bearer **bearers, const struct transaction *txn,
			     const struct context *context)
{
	struct bearer *bearer = bearers__of(*bearers, txn, context);

	if (bearer) {
		bearer->several = true;
		bearer->count++;
		return bearer;
	}
	bearer = calloc(1, sizeof(*bearer));
	if (!bearer)
		return NULL;
	bearer->key = bearer__key(txn, context);
	bearer->first = context->place;
	bearer->since_ns = txn->start_ns;
	bearer->count = 1;
	HASH_ADD(hh, *bearers, key, sizeof(bearer->key), bearer);
	if (hash__has(&bearer->hh))
		return bearer;
	free(bearer);
	return NULL;
}

void bearers__leave(struct bearer **bearers, struct bearer *bearer)
{
	if (!bearer || --bearer->count)
		return;
	HASH_DEL(*bearers, bearer);
	free(bearer);
}

const struct place *bearers__find(struct bearer *const *bearers, const struct transaction *txn,
				  const struct context *context, bool *several)
{
	const struct bearer *bearer = bearers__of(*bearers, txn, context);

	*several = false;
	/* A process that calls itself: the request is the call's, not the other way round. */
	if (!bearer || bearer->since_ns > txn->earliest_ns)
		return NULL;
	*several = bearer->several;
	return *several ? NULL : &bearer->first;
}
