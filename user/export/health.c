// SPDX-License-Identifier: Apache-2.0
#include "user/export/health.h"

#include <inttypes.h>

#include "user/log.h"

#define SECOND_NS 1000000000ull
#define LINE_NS	  (10 * SECOND_NS)
#define LINES_MAX 6

void health__init(struct health *h, const char *target, uint32_t queue_size)
{
	*h = (struct health){ .target = target, .queue_size = queue_size, .lines = LINES_MAX };
}

/* Enough for a collector that goes and comes again. */
static bool health__may_tell(struct health *h, uint64_t now_ns)
{
	uint64_t more = (now_ns - h->lines_ns) / LINE_NS;

	if (more) {
		h->lines = more < LINES_MAX - h->lines ? h->lines + more : LINES_MAX;
		h->lines_ns = now_ns;
	}
	if (!h->lines)
		return false;
	h->lines--;
	return true;
}

/* False when this is no news, or not to be told yet: then the next result says it again. */
static bool health__change(struct health *h, enum health_state state, uint64_t now_ns,
			   uint64_t lost)
{
	if (h->state == state || !health__may_tell(h, now_ns))
		return false;
	if (h->state == HEALTH_GOOD) {
		h->since_ns = now_ns;
		h->lost = lost;
	}
	h->state = state;
	return true;
}

void health__good(struct health *h, uint64_t now_ns, uint64_t lost)
{
	if (!health__change(h, HEALTH_GOOD, now_ns, lost))
		return;
	log_info("export",
		 "collector %s takes spans again after %" PRIu64 " s; lost meanwhile: %" PRIu64,
		 h->target, (uint64_t)((now_ns - h->since_ns) / SECOND_NS), lost - h->lost);
}

static const char *wait_remedy(const struct health *h, long status)
{
	if (status)
		return "its own log says why";
	if (strncmp(h->target, "https:", 6) == 0)
		return "start it, or set OTEL_EXPORTER_OTLP_ENDPOINT and _CERTIFICATE";
	return "start it, or set OTEL_EXPORTER_OTLP_ENDPOINT";
}

void health__unreachable(struct health *h, uint64_t now_ns, uint64_t lost, long status,
			 const char *cause)
{
	if (!health__change(h, HEALTH_UNREACHABLE, now_ns, lost))
		return;
	log_warn("export",
		 "collector %s: %s; spans are queued, up to %" PRIu32
		 ", then dropped and counted; %s",
		 h->target, cause, h->queue_size, wait_remedy(h, status));
}

static const char *remedy(long status)
{
	switch (status) {
	case 401:
	case 403:
	case 407:
		return "set its credentials in OTEL_EXPORTER_OTLP_HEADERS";
	case 413:
		return "lower OTEL_BSP_MAX_EXPORT_BATCH_SIZE";
	default:
		return "check that OTEL_EXPORTER_OTLP_ENDPOINT is the OTLP/HTTP port of a "
		       "collector";
	}
}

void health__refusing(struct health *h, uint64_t now_ns, uint64_t lost, long status,
		      const char *cause)
{
	if (!health__change(h, HEALTH_REFUSING, now_ns, lost))
		return;
	log_warn("export", "collector %s refuses spans: %s; they are dropped and counted; %s",
		 h->target, cause, remedy(status));
}

void health__partial(struct health *h, int64_t rejected, const char *message)
{
	if (h->partial_told)
		return;
	h->partial_told = true;
	log_warn("export",
		 "collector %s rejected %" PRId64 " spans of a request: \"%s\"; "
		 "rejected spans are counted from now on without a line",
		 h->target, rejected, message);
}

void health__odd_answer(struct health *h)
{
	if (h->odd_answer_told)
		return;
	h->odd_answer_told = true;
	log_warn("export",
		 "collector %s answers 200 with a body that is not OTLP; spans count as "
		 "exported; %s",
		 h->target, remedy(200));
}
