// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/tracer_config.h"

#include <errno.h>
#include <unistd.h>

#include "user/log.h"

static uint64_t sampler_threshold(const struct flow_config *flow)
{
	switch (flow->sampler) {
	case SAMPLER_ALWAYS_ON:
		return 0;
	case SAMPLER_RATIO:
		return flow->sampler_threshold;
	case SAMPLER_ALWAYS_OFF:
	default:
		return UINT64_MAX;
	}
}

static int choose_injection(enum inject_mode mode, const struct features *features, bool *inject,
			    char *why, size_t why_len)
{
	const struct feature *feature = &features->feature[FEATURE_INJECTION];

	*inject = mode == INJECT_ON || (mode == INJECT_AUTO && feature->on);
	if (mode == INJECT_AUTO && !feature->on)
		log_info("inject", "header injection is off: %s", feature->detail);
	if (mode != INJECT_ON || feature->on)
		return 0;
	if (features->injection == INJECTION_IMPOSSIBLE) {
		snprintf(why, why_len, "--inject on: %s; %s", feature->detail,
			 feature->remedy ? feature->remedy : "use --inject off");
		return -ENOTSUP;
	}
	log_warn("inject",
		 "header injection is on, but %s: clients that ask so (nginx, Java) will stall; "
		 "leave them alone with --inject-exclude",
		 feature->detail);
	return 0;
}

int tracer_config__fill(struct tracer_config *config, const struct options *options,
			const struct flow_config *flow, const struct features *features, char *why,
			size_t why_len)
{
	int err;

	*config = (struct tracer_config){
		.family = features->family,
		.fentry = features->feature[FEATURE_FENTRY].on,
		.capture_bytes = options->capture_bytes,
		.ring_bytes = options->ring_bytes,
		.ports = options->ports,
		.port_count = options->port_count,
		.scope_default_skip = options->pid_count > 0,
		.likely_links = options->likely_links,
		.python = options->python && features->feature[FEATURE_PYTHON].on,
		.db_server_spans = flow->db_server_spans,
		.self_tgid = (uint32_t)getpid(),
		.inject_blocking = options->inject == INJECT_ON,
		.inject_asks = options->inject_exclude_globs != NULL,
		.tcp_option = options->tcp_option,
		.parent_based = flow->parent_based,
		.sampler_threshold = sampler_threshold(flow),
	};
	if (options->tcp_option && !features->feature[FEATURE_TCP_OPTION].on) {
		snprintf(why, why_len, "--tcp-option on: %s; %s",
			 features->feature[FEATURE_TCP_OPTION].detail,
			 features->feature[FEATURE_TCP_OPTION].remedy);
		return -ENOTSUP;
	}
	trace__root_state(flow, config->root_state);
	memcpy(config->id_key, flow->id_key, sizeof(config->id_key));
	err = choose_injection(options->inject, features, &config->inject, why, why_len);
	config->contexts = config->inject || config->tcp_option || config->sampler_threshold != 0;
	return err;
}
