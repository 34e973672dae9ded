// SPDX-License-Identifier: Apache-2.0
/* What comes from the user and from the collector. */
#include "tests/fuzz/fuzz.h"

#include <argp.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/export_scene.h"
#include "user/export/otlp.h"
#include "user/export/printable.h"
#include "user/options.h"

#define WORDS_MAX 32

/* ---- options and environment -------------------------------------------------------------- */

/* The lines of @in up to an empty one. */
static size_t read_words(struct slice *in, char **words)
{
	size_t count = 0;

	while (in->len && count < WORDS_MAX) {
		struct slice line = fuzz__part(in, '\n');

		if (!line.len)
			break;
		words[count++] = fuzz__string(line);
	}
	words[count] = NULL;
	return count;
}

static void free_words(char **words, size_t count)
{
	while (count)
		free(words[--count]);
}

static void check_options(const struct options *o)
{
	assert_true(o->capture_bytes >= 256 && o->capture_bytes <= 64 << 10);
	assert_true(o->ring_bytes && !(o->ring_bytes & (o->ring_bytes - 1)));
	assert_true(o->pid_count <= OPTIONS_PIDS && o->port_count <= OPTIONS_PORTS);
	assert_non_null(o->otlp.url);
	assert_true(o->otlp.max_export_batch_size <= o->otlp.max_queue_size);
	assert_true((o->exporters & ~(unsigned int)(EXPORT_CONSOLE | EXPORT_OTLP)) == 0);
	for (char **line = o->otlp.headers; line && *line; line++)
		assert_null(strpbrk(*line, "\r\n"));
}

/* input: arguments, an empty line, the environment; a line each */
void fuzz_options(struct slice in, unsigned int proto)
{
	char *args[WORDS_MAX + 2] = { fuzz__string(SLICE("run")) }, *env[WORDS_MAX + 1];
	char *order[WORDS_MAX + 2]; /* argp sorts them */
	size_t arg_count = 1 + read_words(&in, args + 1), env_count = read_words(&in, env);
	struct options options;
	char *said = NULL;
	size_t len;
	FILE *err = open_memstream(&said, &len);

	assert_non_null(err);
	memcpy(order, args, sizeof(order));
	if (options__read(&options, (int)arg_count, order, env, err, ARGP_NO_EXIT | ARGP_NO_HELP) ==
	    0) {
		check_options(&options);
		options__free(&options);
	}
	fclose(err);
	free(said);
	free_words(args, arg_count);
	free_words(env, env_count);
}

/* ---- the collector ------------------------------------------------------------------------ */

static bool is_printable(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

/* input: the body of an answer, or any other text of it */
void fuzz_answer(struct slice in, unsigned int proto)
{
	char *body = fuzz__copy(in), *text = malloc(40);
	struct otlp_answer answer;

	assert_non_null(text);
	if (otlp__decode_answer(slice__of(body, in.len), &answer) == 0)
		assert_true(is_printable(answer.message));
	printable__copy(text, 40, slice__of(body, in.len));
	assert_true(strlen(text) < 40 && is_printable(text));
	free(text);
	free(body);
}

/*
 * One exporter for all inputs, and a collector that answers with these bytes and closes.  No try
 * is repeated: the time for all of them is shorter than the first pause.  How long it asks to be
 * left alone is forgotten with a flush.
 */
void fuzz_collector(struct slice in, unsigned int proto)
{
	static struct answer answer = { .kind = ANSWER_CLOSE };
	static struct scene scene;
	char *bytes = fuzz__copy(in);

	answer.head = slice__of(bytes, in.len);
	if (!scene.exporter) {
		assert_int_equal(scene__set_up(NULL), 0);
		scene__prepare(&scene, &answer, 1, true);
		scene.options.max_export_batch_size = 1;
		scene.options.export_timeout_ms = 200;
		scene__start(&scene);
	}
	scene__push(&scene, 1);
	scene__settle(&scene, 1);
	http_exporter__flush(scene.exporter, 0, NULL, NULL);
	scene__run(&scene, 0);
	free(bytes);
}
