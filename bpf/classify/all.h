/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The classifiers of protocols.def, each pure. */
#ifndef SPANLOOM_CLASSIFY_ALL_H
#define SPANLOOM_CLASSIFY_ALL_H

#include "bpf/classify/fastcgi.h"
#include "bpf/classify/http1.h"
#include "bpf/classify/postgres.h"
#include "bpf/classify/redis.h"

#endif
