// SPDX-License-Identifier: Apache-2.0
/*
 * libFuzzer's way in:  spanloom-fuzz --target=NAME [its own options] [corpora]
 *                      spanloom-fuzz --list
 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

#include "user/log.h"

#define TARGET "--target="

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct fuzz_target *chosen;

static void list(void)
{
	for (size_t i = 0; fuzz__at(i); i++)
		puts(fuzz__at(i)->name);
	exit(0);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	for (int i = 1; i < *argc; i++) {
		if (strcmp((*argv)[i], "--list") == 0)
			list();
		if (strncmp((*argv)[i], TARGET, strlen(TARGET)) == 0)
			chosen = fuzz__find((*argv)[i] + strlen(TARGET));
	}
	if (!chosen) {
		fprintf(stderr, "usage: %s --target=NAME, one of --list\n", (*argv)[0]);
		exit(1);
	}
	log__set_level(LOG_ERROR);
	/* what a target asserts ends it where libFuzzer sees it */
	setenv("CMOCKA_TEST_ABORT", "1", 1);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	chosen->run(slice__of((const char *)data, size), chosen->proto);
	return 0;
}
