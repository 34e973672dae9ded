// SPDX-License-Identifier: Apache-2.0
#include "user/export/transfer.h"

#include <curl/curl.h>
#include <errno.h>
#include <sys/epoll.h>

#include "user/base/loop.h"
#include "user/export/post.h"
#include "user/export/public_url.h"
#include "user/log.h"
#include "user/options.h"

#define MAX_BODY_BYTES	 (4 * 1024 * 1024)
#define MAX_HEADER_BYTES (256 * 1024) /* of one transfer, interim answers included */
#define MS_NS		 1000000ull

struct transfer {
	struct loop *loop;
	struct loop_timer *timer; /* libcurl's: when it wants to be called without an event */
	struct loop_timer *deadline;
	bool overdue;
	CURLM *multi; /* keeps the connection; NULL: to be made by the next transfer */
	bool multi_failed;
	CURL *model; /* what all transfers have in common */
	CURL *easy;  /* the transfer that runs; NULL: none does */
	struct curl_slist *headers;
	char *target;
	transfer_fn done;
	void *ctx;
	struct body request;
	struct body_cursor sent; /* of the request, to libcurl */
	/* of the answer */
	char *body;
	size_t body_len;
	size_t body_room;
	size_t header_bytes;
	bool header_ended; /* of the answer itself, not of an interim one */
	const char *limit; /* what was exceeded, or NULL */
	char error[CURL_ERROR_SIZE];
};

/* ---- what goes out ---------------------------------------------------------------------- */

static size_t transfer__on_read(char *out, size_t size, size_t count, void *ctx)
{
	struct transfer *t = ctx;

	return body__read(&t->request, &t->sent, out, size * count);
}

/* On a connection that was closed meanwhile libcurl begins again. */
static int transfer__on_seek(void *ctx, curl_off_t offset, int origin)
{
	struct transfer *t = ctx;

	if (offset || origin != SEEK_SET)
		return CURL_SEEKFUNC_CANTSEEK;
	t->sent = (struct body_cursor){ 0 };
	return CURL_SEEKFUNC_OK;
}

/* ---- what came back --------------------------------------------------------------------- */

static long transfer__status(const struct transfer *t)
{
	long status = 0;

	curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static size_t transfer__on_header(char *data, size_t size, size_t count, void *ctx)
{
	struct transfer *t = ctx;
	size_t len = size * count;

	if (len > MAX_HEADER_BYTES - t->header_bytes) {
		t->limit = "the header of the answer is larger than 256 KiB";
		return 0;
	}
	t->header_bytes += len;
	if (data[0] == '\r' || data[0] == '\n')
		t->header_ended = t->header_ended || transfer__status(t) >= 200;
	return len;
}

static bool transfer__grow(struct transfer *t, size_t len)
{
	size_t room = t->body_room ? t->body_room : 1024;
	char *body;

	while (room < t->body_len + len)
		room *= 2;
	if (room == t->body_room)
		return true;
	body = realloc(t->body, room);
	if (!body)
		return false;
	t->body = body;
	t->body_room = room;
	return true;
}

static size_t transfer__on_body(char *data, size_t size, size_t count, void *ctx)
{
	struct transfer *t = ctx;
	size_t len = size * count;

	if (len > MAX_BODY_BYTES - t->body_len) {
		t->limit = "the answer is larger than 4 MiB";
		return CURL_WRITEFUNC_ERROR;
	}
	if (!transfer__grow(t, len)) /* what the header says is enough */
		return CURL_WRITEFUNC_ERROR;
	memcpy(t->body + t->body_len, data, len);
	t->body_len += len;
	return len;
}

static void transfer__reset_answer(struct transfer *t)
{
	free(t->body);
	t->body = NULL;
	t->body_len = 0;
	t->body_room = 0;
	t->header_bytes = 0;
	t->header_ended = false;
	t->limit = NULL;
	t->error[0] = '\0';
}

/* Failures of the network before an answer began: the request may be sent again. */
static bool is_no_answer(CURLcode code)
{
	switch (code) {
	case CURLE_OK: /* closed amid the header */
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_PROXY:
		return true;
	default:
		return false;
	}
}

/* For the request.  Amid an answer libcurl says so of a line that is too long, too. */
static bool transfer__lacked_memory(const struct transfer *t, CURLcode code)
{
	return code == CURLE_OUT_OF_MEMORY && !t->header_bytes;
}

static const char *transfer__error(const struct transfer *t, CURLcode code)
{
	if (t->limit)
		return t->limit;
	if (code == CURLE_OK)
		return "disconnected amid the answer";
	return t->error[0] ? t->error : curl_easy_strerror(code);
}

static void transfer__read_result(struct transfer *t, CURLcode code, struct transfer_result *result)
{
	curl_off_t retry_after = 0;

	*result = (struct transfer_result){ .end = TRANSFER_BAD_ANSWER };
	if (t->limit || !t->header_ended) {
		if (!t->limit && (is_no_answer(code) || transfer__lacked_memory(t, code)))
			result->end = TRANSFER_NO_ANSWER;
		result->error = transfer__error(t, code);
		return;
	}
	/* A failure past the header, e.g. a body that is cut off, changes nothing: the
	 * collector has decided. */
	curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &retry_after);
	result->end = TRANSFER_ANSWERED;
	result->status = transfer__status(t);
	result->body = slice__of(t->body, t->body_len);
	if (retry_after > 0) /* a date that has passed is negative */
		result->retry_after_s = (uint64_t)retry_after;
}

/* ---- libcurl and the loop --------------------------------------------------------------- */

static void transfer__close_multi(struct transfer *t)
{
	curl_multi_cleanup(t->multi); /* closes the connection, so it still watches and times */
	loop_timer__stop(t->timer);
	t->multi = NULL;
}

/*
 * After a failure the next transfer begins with nothing of this one: where memory was short,
 * libcurl 7.88 forgets to watch a socket, and later divides by the size of a table that it has
 * given up.
 */
static void transfer__finish(struct transfer *t, CURLcode code)
{
	struct transfer_result result;

	transfer__read_result(t, code, &result);
	transfer__cancel(t);
	if (t->multi_failed || result.end != TRANSFER_ANSWERED)
		transfer__close_multi(t);
	t->done(t->ctx, &result);
	if (!t->easy)
		transfer__reset_answer(t);
}

static void transfer__act(struct transfer *t, curl_socket_t fd, int events)
{
	CURLMcode code;
	CURLMsg *message;
	int running, left;

	code = curl_multi_socket_action(t->multi, fd, events, &running);
	t->multi_failed = code != CURLM_OK;
	message = curl_multi_info_read(t->multi, &left);
	if (message && message->msg == CURLMSG_DONE) {
		transfer__finish(t, message->data.result);
	} else if (t->multi_failed && t->easy) {
		snprintf(t->error, sizeof(t->error), "libcurl: %s", curl_multi_strerror(code));
		transfer__finish(t, CURLE_RECV_ERROR);
	}
}

static void transfer__on_fd(void *ctx, int fd, uint32_t events)
{
	int bits = 0;

	/* An error shows when libcurl reads or writes, with its cause. */
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		bits |= CURL_CSELECT_IN;
	if (events & (EPOLLOUT | EPOLLERR))
		bits |= CURL_CSELECT_OUT;
	transfer__act(ctx, fd, bits);
}

static void transfer__on_time(void *ctx)
{
	transfer__act(ctx, CURL_SOCKET_TIMEOUT, 0);
}

/* Not libcurl's own timeout, which ends a transfer whose answer is here: so it is when this
 * process was stopped.  What is here goes first. */
static void transfer__on_deadline(void *ctx)
{
	struct transfer *t = ctx;

	if (!t->overdue) {
		t->overdue = true;
		loop_timer__after(t->deadline, 0);
		return;
	}
	snprintf(t->error, sizeof(t->error), "no answer in time");
	transfer__finish(t, CURLE_OPERATION_TIMEDOUT);
}

static int transfer__on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *data)
{
	struct transfer *t = ctx;
	uint32_t events = 0;
	int err;

	if (what == CURL_POLL_REMOVE) {
		loop__unwatch(t->loop, fd);
		return 0;
	}
	if (what & CURL_POLL_IN)
		events |= EPOLLIN;
	if (what & CURL_POLL_OUT)
		events |= EPOLLOUT;
	err = loop__watch(t->loop, fd, events, transfer__on_fd, t);
	if (err) { /* libcurl would never work again if it were told: this try ends soon */
		log_warn("export", "cannot watch a socket: %s", errstr(err));
		loop_timer__after(t->deadline, 0);
	}
	return 0;
}

static int transfer__on_timer(CURLM *multi, long timeout_ms, void *ctx)
{
	struct transfer *t = ctx;

	if (timeout_ms < 0)
		loop_timer__stop(t->timer);
	else
		loop_timer__after(t->timer, (uint64_t)timeout_ms * MS_NS);
	return 0;
}

/* ---- set-up ----------------------------------------------------------------------------- */

static CURLcode transfer__set_callbacks(struct transfer *t)
{
	CURLcode code = curl_easy_setopt(t->model, CURLOPT_HEADERFUNCTION, transfer__on_header);

	if (!code)
		code = curl_easy_setopt(t->model, CURLOPT_HEADERDATA, t);
	if (!code)
		code = curl_easy_setopt(t->model, CURLOPT_READFUNCTION, transfer__on_read);
	if (!code)
		code = curl_easy_setopt(t->model, CURLOPT_READDATA, t);
	if (!code)
		code = curl_easy_setopt(t->model, CURLOPT_SEEKFUNCTION, transfer__on_seek);
	if (!code)
		code = curl_easy_setopt(t->model, CURLOPT_SEEKDATA, t);
	if (!code)
		code = curl_easy_setopt(t->model, CURLOPT_WRITEFUNCTION, transfer__on_body);
	if (!code)
		code = curl_easy_setopt(t->model, CURLOPT_WRITEDATA, t);
	if (!code)
		code = curl_easy_setopt(t->model, CURLOPT_ERRORBUFFER, t->error);
	return code;
}

/* 0 or a negative errno. */
static int transfer__open_multi(struct transfer *t)
{
	CURLMcode code;

	t->multi = curl_multi_init();
	if (!t->multi)
		return -ENOMEM;
	code = curl_multi_setopt(t->multi, CURLMOPT_SOCKETFUNCTION, transfer__on_socket);
	if (!code)
		code = curl_multi_setopt(t->multi, CURLMOPT_SOCKETDATA, t);
	if (!code)
		code = curl_multi_setopt(t->multi, CURLMOPT_TIMERFUNCTION, transfer__on_timer);
	if (!code)
		code = curl_multi_setopt(t->multi, CURLMOPT_TIMERDATA, t);
	if (!code)
		code = curl_multi_setopt(t->multi, CURLMOPT_MAXCONNECTS, 1L);
	if (code)
		transfer__close_multi(t);
	return code ? -ENOMEM : 0;
}

/* 0 or a negative errno. */
static int transfer__open(struct transfer *t, const struct otlp_options *options)
{
	int err;

	t->target = public_url__of(options->url);
	if (!t->target)
		return -EINVAL;
	t->timer = loop__timer(t->loop, transfer__on_time, t);
	t->deadline = loop__timer(t->loop, transfer__on_deadline, t);
	if (!t->timer || !t->deadline)
		return -errno;
	t->model = curl_easy_init();
	if (!t->model)
		return -ENOMEM;
	err = post__prepare(t->model, &t->headers, options);
	if (err)
		return err;
	return transfer__set_callbacks(t) ? -EINVAL : 0;
}

struct transfer *transfer__new(struct loop *loop, const struct otlp_options *options,
			       transfer_fn done, void *ctx)
{
	struct transfer *t;
	int err;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		errno = ENOMEM;
		return NULL;
	}
	t = calloc(1, sizeof(*t));
	if (!t) {
		curl_global_cleanup();
		errno = ENOMEM;
		return NULL;
	}
	t->loop = loop;
	t->done = done;
	t->ctx = ctx;
	err = transfer__open(t, options);
	if (err) {
		transfer__free(t);
		errno = -err;
		return NULL;
	}
	return t;
}

void transfer__free(struct transfer *t)
{
	if (!t)
		return;
	transfer__cancel(t);
	curl_easy_cleanup(t->model);
	if (t->multi)
		transfer__close_multi(t);
	if (t->deadline)
		loop_timer__stop(t->deadline);
	curl_slist_free_all(t->headers);
	free(t->body);
	free(t->target);
	free(t);
	curl_global_cleanup();
}

/* ---- one transfer ----------------------------------------------------------------------- */

const char *transfer__target(const struct transfer *t)
{
	return t->target;
}

/* 0 or a negative errno. */
static int transfer__add(struct transfer *t)
{
	int err = t->multi ? 0 : transfer__open_multi(t);

	if (err)
		return err;
	if (!curl_easy_setopt(t->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)t->request.len) &&
	    curl_multi_add_handle(t->multi, t->easy) == CURLM_OK)
		return 0;
	transfer__close_multi(t);
	return -ENOMEM;
}

int transfer__start(struct transfer *t, struct body body, uint32_t timeout_ms)
{
	int err;

	transfer__reset_answer(t);
	t->request = body;
	t->sent = (struct body_cursor){ 0 };
	/* Never used twice: libcurl 7.88 may append a folded header to one of the answer before,
	 * which it has freed.  The connection is kept all the same. */
	t->easy = curl_easy_duphandle(t->model);
	if (!t->easy)
		return -ENOMEM;
	err = transfer__add(t);
	if (err) {
		curl_easy_cleanup(t->easy);
		t->easy = NULL;
		return err;
	}
	t->overdue = false;
	if (timeout_ms)
		loop_timer__after(t->deadline, timeout_ms * MS_NS);
	return 0;
}

void transfer__cancel(struct transfer *t)
{
	if (!t->easy)
		return;
	loop_timer__stop(t->deadline);
	curl_multi_remove_handle(t->multi, t->easy);
	curl_easy_cleanup(t->easy);
	t->easy = NULL;
}
