// SPDX-License-Identifier: Apache-2.0
#include "user/kernel/cgroup.h"

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool is_word(char c)
{
	return is_hex(c) || (c >= 'g' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

/* The id at the end of one path segment, as in "docker-<id>.scope", "slice:cri-containerd:<id>"
 * and "<id>"; empty when there is none, or when it names the container's monitor. */
static struct slice segment_container(struct slice segment)
{
	const struct slice scope = SLICE(".scope");
	struct slice id;

	if (slice__search(segment, SLICE("conmon-")) < segment.len)
		return slice__of(segment.data, 0);
	if (segment.len > scope.len &&
	    slice__eq(slice__skip(segment, segment.len - scope.len), scope))
		segment.len -= scope.len;
	if (segment.len < CONTAINER_ID_LEN)
		return slice__of(segment.data, 0);
	id = slice__skip(segment, segment.len - CONTAINER_ID_LEN);
	for (size_t i = 0; i < id.len; i++)
		if (!is_hex(id.data[i]))
			return slice__of(id.data, 0);
	if (id.data > segment.data && is_word(id.data[-1]))
		id.len = 0;
	return id;
}

/* "pod<uid>" of cgroupfs, "kubepods-burstable-pod<uid>.slice" of systemd, where '_' stands for
 * '-'.  Writes the uid; false when the segment has none. */
static bool segment_pod(struct slice segment, char out[POD_UID_LEN + 1])
{
	size_t at = slice__search(segment, SLICE("-pod"));
	struct slice uid;

	if (slice__starts(segment, SLICE("pod")))
		uid = slice__skip(segment, 3);
	else
		uid = slice__skip(segment, at + 4);
	if (uid.len > POD_UID_LEN && !slice__eq(slice__skip(uid, POD_UID_LEN), SLICE(".slice")))
		return false;
	uid = slice__head(uid, POD_UID_LEN);
	if (uid.len < POD_UID_LEN)
		return false;
	for (size_t i = 0; i < uid.len; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;

		if (dash ? uid.data[i] != '-' && uid.data[i] != '_' : !is_hex(uid.data[i]))
			return false;
	}
	for (size_t i = 0; i < uid.len; i++)
		out[i] = uid.data[i] == '_' ? '-' : uid.data[i];
	out[POD_UID_LEN] = '\0';
	return true;
}

/* The innermost ids of one path: containers nest. */
static void path_ids(struct slice path, struct cgroup_ids *out)
{
	bool kubernetes = slice__search(path, SLICE("kubepods")) < path.len;

	*out = (struct cgroup_ids){ 0 };
	while (path.len) {
		size_t slash = slice__find(path, '/');
		struct slice segment = slice__head(path, slash);
		struct slice id = segment_container(segment);

		path = slice__skip(path, slash + 1);
		if (id.len) {
			memcpy(out->container, id.data, id.len);
			out->container[id.len] = '\0';
		} else if (kubernetes) {
			segment_pod(segment, out->pod);
		}
	}
}

/* How much a line "id:controllers:path" is worth: v1 hierarchies may disagree. */
static int line_rank(struct slice controllers, struct slice path)
{
	if (slice__search(path, SLICE("kubepods")) < path.len)
		return 5;
	if (controllers.len == 0)
		return 4; /* the unified hierarchy */
	if (slice__eq(controllers, SLICE("cpu")) || slice__starts(controllers, SLICE("cpu,")))
		return 3;
	if (slice__eq(controllers, SLICE("memory")))
		return 2;
	return 1;
}

void cgroup__ids(struct slice text, struct cgroup_ids *out)
{
	int best = 0;

	*out = (struct cgroup_ids){ 0 };
	while (text.len) {
		size_t end = slice__find(text, '\n');
		struct slice line = slice__head(text, end);
		struct cgroup_ids ids;
		struct slice controllers;
		int rank;

		text = slice__skip(text, end + 1);
		line = slice__skip(line, slice__find(line, ':') + 1);
		controllers = slice__head(line, slice__find(line, ':'));
		line = slice__skip(line, controllers.len + 1);
		path_ids(line, &ids);
		rank = ids.container[0] || ids.pod[0] ? line_rank(controllers, line) : 0;
		if (rank > best) {
			best = rank;
			*out = ids;
		}
	}
}
