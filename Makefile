# SPDX-License-Identifier: Apache-2.0
#
#   sudo make run     set up, build, trace this host with a live view
#   sudo make test    set up, build, run all tests
#
#   make              build only (no root)
#   make deps         install what building and testing needs (Debian, Ubuntu)
#   make install      PREFIX=/usr/local DESTDIR=
#   make lint         format, static checks
#   make fuzz         TIME=60 seconds for each fuzz target, two at a time; TARGETS="http1 sql"
#   make coverage     which lines of user/ the unit tests run
#   make bench        cost against the bare run; make bench-exact: in instructions, emulated
#   make vm           on stock kernels, 5.10 to the newest, emulated, in short; make vm-all: at
#                     length, with each family of hooks, and arm64; make vm-full: all live tests
#   make faults       what can go wrong, at length: storms of 30,000 forks, minutes of load
#   make ARCH=arm64   cross-builds into .output/arm64; likewise "unit"; make vm-arm64: runs it
#   make accuracy     how often a parent is right, in real programs
#   make clean
#
# One file, no recursion.  All output goes to .output/; V=1 shows the commands.

VERSION := 0.1.0
PREFIX  ?= /usr/local
DESTDIR ?=

CC       ?= gcc
CLANG    ?= clang
CLANG_TIDY ?= clang-tidy
BPFTOOL  ?= $(firstword $(wildcard /usr/sbin/bpftool) bpftool)
PROTOC_C ?= protoc-c

HOST     := $(shell uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/')
ARCH     := $(HOST)

ifeq ($(V),1)
Q =
msg =
else
Q = @
msg = @printf '  %-8s %s\n' "$(1)" "$(patsubst $(O)/%,%,$(2))";
endif

.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: all run test deps deps-build install lint coverage tidy bench bench-exact accuracy fuzz \
	clean unit live faults vm vm-all vm-arm64 vm-full help

# ---- for another processor --------------------------------------------------------------
#
# Headers and libraries come from a Debian tree beside the emulated kernels (tests/vm/sysroot.py):
# the packages of this machine stay as they are.  Its programs run by QEMU's user emulation, where
# leaks cannot be looked for.

ifeq ($(ARCH),$(HOST))
O := .output
else ifeq ($(ARCH),arm64)
O := .output/arm64
TRIPLET := aarch64-linux-gnu
ifeq ($(shell command -v $(TRIPLET)-gcc),)
$(error no $(TRIPLET)-gcc here: run sudo deploy/deps.sh arm64)
endif
SYSROOT  := $(shell tests/vm/sysroot.py --where $(ARCH))
CC       := $(TRIPLET)-gcc --sysroot=$(SYSROOT)
STRIP    := $(TRIPLET)-strip
UNIT_ENV := SPANLOOM_TEST_OUTPUT='$(O)' ASAN_OPTIONS=detect_leaks=0 \
	SPANLOOM_TEST_EMULATOR='qemu-aarch64-static -L $(SYSROOT)'
else
$(error no cross-build for $(ARCH) on $(HOST): ARCH=arm64, or build there)
endif

all: $(O)/spanloom

# ---- flags ------------------------------------------------------------------------------

# Left out: -Wcast-qual (a slice borrows const bytes, whoever owns them frees them), -Wswitch-enum
# (where the other values are all alike, "default" says so), -Wcast-align=strict (fields by offset).
WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wdeclaration-after-statement -Wvla -Walloca -Wformat=2 -Wundef -Wunused-macros \
	-Wredundant-decls -Wnested-externs -Wold-style-definition -Wpointer-arith -Wwrite-strings \
	-Wfloat-equal -Wdouble-promotion -Wdate-time -Wno-unused-parameter
WARN_GCC := -Wformat-overflow=2 -Wformat-signedness -Wunused-const-variable=2 \
	-Wbad-function-cast -Wlogical-op -Wduplicated-cond -Wduplicated-branches \
	-Wjump-misses-init -Wshift-overflow=2
# Not of the tests: what they narrow, they made up.
WARN_PRODUCT := -Wconversion -Wsign-conversion -Wnull-dereference -Wstack-usage=65536
BASE := -std=gnu11 -D_GNU_SOURCE -iquote . -iquote $(O) -DSPANLOOM_VERSION='"$(VERSION)"'
# What is copied and cleared are few words each time: a vector is put together of them for more than
# it then saves.
OPT  ?= -O3 -fno-tree-vectorize -g
# Across files a span takes 6 % less, with more and larger functions put into their callers another
# 4 %.  "make LTO=" where a compiler has none of it.
LTO  ?= -flto=auto --param=max-inline-insns-auto=100 --param=inline-unit-growth=100
HARDEN := -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE -fno-plt
# What is cleared and copied here is a few hundred bytes: a call's vectors take fewer instructions
# for that than "rep stos", which gcc knows better for processors that it is not told of.
ifeq ($(ARCH),x86)
TUNE := -mmemset-strategy=libcall:-1:noalign -mmemcpy-strategy=libcall:-1:noalign
endif
CFLAGS_USER := $(BASE) $(OPT) $(TUNE) $(LTO) $(HARDEN) $(WARN) $(WARN_GCC) $(WARN_PRODUCT) \
	-include user/base/ban.h
CFLAGS_SAN  := $(BASE) -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=undefined $(WARN) $(WARN_GCC) -include user/base/ban.h
CFLAGS_FUZZ := $(BASE) -O1 -g -fno-omit-frame-pointer \
	-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined $(WARN) \
	-Wno-gnu-variable-sized-type-not-at-end -include user/base/ban.h
CFLAGS_COV  := $(BASE) -O0 -g --coverage -w -include user/base/ban.h
CFLAGS_TIDY := $(BASE) $(WARN) -Wno-gnu-variable-sized-type-not-at-end -include user/base/ban.h
CFLAGS_GEN  := $(BASE) $(OPT) -fPIE -w
# -Wpadded: no record and no map value has a hole.  The kernel's own types have some.
CFLAGS_BPF  := -std=gnu11 -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_$(ARCH) -iquote . \
	-isystem vmlinux -Wall -Wextra -Werror -Wshadow -Wpadded -Wundef -Wvla -Wunused-macros \
	-Wpointer-arith -Wstrict-prototypes -Wimplicit-fallthrough -Wassign-enum -Wcomma \
	-Wconditional-uninitialized -Wunreachable-code-aggressive -Wextra-semi-stmt \
	-Wdeclaration-after-statement -Wno-unused-parameter -Wno-missing-declarations \
	-DSPANLOOM_VERSION='"$(VERSION)"'
LDFLAGS_USER := -pie -Wl,-z,relro,-z,now -Wl,--as-needed
LDLIBS := -lbpf -lprotobuf-c -lcurl -ljansson -lcap-ng -lelf -ldw -lz -lm

# ---- what there is ----------------------------------------------------------------------

BPF_SRC  := $(wildcard bpf/*.bpf.c)
BPF_OBJ  := $(BPF_SRC:bpf/%.bpf.c=$(O)/bpf/%.bpf.o)
SKELETON := $(O)/spanloom.skel.h
PROTO_C  := $(O)/proto/otlp.pb-c.c
PROTO_H  := $(PROTO_C:.c=.h)

USER_SRC := $(wildcard user/*.c user/*/*.c)
USER_OBJ := $(USER_SRC:%.c=$(O)/%.o) $(O)/user/kernel/object_bytes.o $(O)/proto/otlp.pb-c.o

# All that runs without a kernel: what the unit tests link.
LIVE_SRC := user/main.c user/agent.c $(wildcard user/cli/*.c) \
	$(addprefix user/kernel/,tracer.c tracer_config.c inventory.c targets.c golang_files.c \
		cpython_files.c detach.c complaint.c attempt.c attachment.c object.c probes.c injection.c \
		kretprobe.c injection_probe.c tcp_option.c plan.c sdk_list.c)
PURE_SRC := $(filter-out $(LIVE_SRC),$(USER_SRC))
SAN_OBJ  := $(PURE_SRC:%.c=$(O)/san/%.o) $(O)/san/proto/otlp.pb-c.o
UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(O)/tests/%)
UNIT_AID := $(filter-out $(UNIT_SRC),$(wildcard tests/unit/*.c))
UNIT_LIB := $(UNIT_AID:%.c=$(O)/san/%.o)
UNIT_LD  := -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc # tests/unit/short_memory.h

# The same tests, of objects that count which lines run.
COV_OBJ := $(PURE_SRC:%.c=$(O)/cov/%.o)
COV_BIN := $(UNIT_SRC:tests/unit/%.c=$(O)/cov/tests/%)

# What clang-tidy has had nothing against, since it was compiled last.
TIDY_OK := $(USER_SRC:%.c=$(O)/tidy/%.ok)

# Fuzz targets: with libFuzzer, and without, for the unit tests to replay what broke them.
FUZZ_SRC := $(filter-out tests/fuzz/libfuzzer.c,$(wildcard tests/fuzz/*.c))
FUZZ_LIB := $(FUZZ_SRC:%.c=$(O)/san/%.o)
FUZZ_OBJ := $(patsubst %.c,$(O)/fuzz/%.o, \
	$(PURE_SRC) $(filter-out tests/unit/short_memory.c,$(UNIT_AID)) $(FUZZ_SRC) tests/fuzz/libfuzzer.c) $(O)/fuzz/proto/otlp.pb-c.o
FUZZ_BIN := $(O)/fuzz/spanloom-fuzz

# ---- kernel programs --------------------------------------------------------------------

$(O)/bpf/%.bpf.o: bpf/%.bpf.c Makefile
	$(call msg,BPF,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CFLAGS_BPF) -MMD -MP -MF $(@:.o=.d) -MT $@ -c $< -o $@

$(O)/spanloom.bpf.o: $(BPF_OBJ)
	$(call msg,LINK,$@)
	$(Q)$(BPFTOOL) gen object $@ $^

# Without the bytes of the object, which are embedded below.
NO_BYTES := /^static inline const void .spanloom_bpf__elf_bytes(size_t .sz)$$/,/^}/c \
	static inline const void *spanloom_bpf__elf_bytes(size_t *sz) { *sz = 0; return NULL; }

$(SKELETON): $(O)/spanloom.bpf.o Makefile
	$(call msg,SKEL,$@)
	$(Q){ echo '#pragma GCC system_header'; $(BPFTOOL) gen skeleton $< name spanloom_bpf; } | \
		sed '$(NO_BYTES)' > $@

$(O)/spanloom.bpf.o.gz: $(O)/spanloom.bpf.o
	$(call msg,GZIP,$@)
	$(Q)gzip -9nc $< > $@

$(O)/user/kernel/object_bytes.o: user/kernel/object_bytes.S $(O)/spanloom.bpf.o.gz
	$(call msg,AS,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -DOBJECT_GZ='"$(O)/spanloom.bpf.o.gz"' -c $< -o $@

# ---- user space -------------------------------------------------------------------------

$(PROTO_C) $(PROTO_H) &: proto/otlp.proto
	$(call msg,PROTO,$(PROTO_C))
	@mkdir -p $(@D)
	$(Q)$(PROTOC_C) --proto_path=proto --c_out=$(O)/proto $<

$(O)/proto/otlp.pb-c.o: $(PROTO_C)
	$(call msg,CC,$@)
	$(Q)$(CC) $(CFLAGS_GEN) -c $< -o $@

$(O)/san/proto/otlp.pb-c.o: $(PROTO_C)
	$(call msg,CC-SAN,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_GEN) -c $< -o $@

$(O)/fuzz/proto/otlp.pb-c.o: $(PROTO_C)
	$(call msg,CC-FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CFLAGS_FUZZ) -w -c $< -o $@

ifdef SYSROOT
$(SYSROOT)/.complete:
	$(call msg,SYSROOT,$(SYSROOT))
	$(Q)tests/vm/sysroot.py $(ARCH)

$(USER_OBJ) $(SAN_OBJ) $(UNIT_SRC:%.c=$(O)/san/%.o) $(UNIT_LIB): | $(SYSROOT)/.complete
endif

# Generated headers first; after the first build -MMD knows who needs which.
$(filter $(O)/user/kernel/%.o $(O)/user/cli/%.o,$(USER_OBJ)): | $(SKELETON)
$(filter $(O)/user/export/%.o,$(USER_OBJ)): | $(PROTO_H)
$(filter $(O)/san/user/export/%.o,$(SAN_OBJ)) $(filter $(O)/cov/user/export/%.o,$(COV_OBJ)): \
	| $(PROTO_H)
$(UNIT_SRC:%.c=$(O)/san/%.o) $(UNIT_LIB) $(FUZZ_LIB) $(FUZZ_OBJ): | $(PROTO_H)

$(O)/%.o: %.c Makefile
	$(call msg,CC,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_USER) -MMD -MP -c $< -o $@

$(O)/san/%.o: %.c Makefile
	$(call msg,CC-SAN,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_SAN) -MMD -MP -c $< -o $@

$(O)/fuzz/%.o: %.c Makefile
	$(call msg,CC-FUZZ,$@)
	@mkdir -p $(@D)
	$(Q)$(CLANG) $(CFLAGS_FUZZ) -MMD -MP -c $< -o $@

$(O)/cov/%.o: %.c Makefile
	$(call msg,CC-COV,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS_COV) -MMD -MP -c $< -o $@

$(O)/tidy/%.ok: %.c $(O)/%.o .clang-tidy
	$(call msg,TIDY,$<)
	@mkdir -p $(@D)
	$(Q)$(CLANG_TIDY) --quiet $< -- $(CFLAGS_TIDY) 2>/dev/null && touch $@

$(O)/spanloom: $(USER_OBJ)
	$(call msg,LINK,$@)
	$(Q)$(CC) $(OPT) $(LTO) $(LDFLAGS_USER) $^ $(LDLIBS) -o $@

$(O)/tests/test_%: $(O)/san/tests/unit/test_%.o $(UNIT_LIB) $(SAN_OBJ)
	$(call msg,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -fsanitize=address,undefined $(UNIT_LD) $^ $(filter-out -lbpf,$(LDLIBS)) -lcmocka -o $@

$(O)/tests/test_crashes $(O)/cov/tests/test_crashes: $(FUZZ_LIB)

$(O)/cov/tests/test_%: $(O)/san/tests/unit/test_%.o $(UNIT_LIB) $(COV_OBJ) \
		$(O)/san/proto/otlp.pb-c.o
	$(call msg,LINK,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) --coverage -fsanitize=address,undefined $(UNIT_LD) $^ \
		$(filter-out -lbpf,$(LDLIBS)) -lcmocka -o $@

$(FUZZ_BIN): $(FUZZ_OBJ)
	$(call msg,LINK,$@)
	$(Q)$(CLANG) -fsanitize=fuzzer,address,undefined $^ $(filter-out -lbpf,$(LDLIBS)) -lcmocka -o $@

.SECONDARY: $(UNIT_SRC:%.c=$(O)/san/%.o) $(SAN_OBJ) $(COV_OBJ)

# ---- tests ------------------------------------------------------------------------------

unit: $(UNIT_BIN)
	$(Q)$(UNIT_ENV) tests/run --unit

live: $(O)/spanloom
	$(Q)tests/run --live

faults: $(O)/spanloom
	$(Q)SPANLOOM_TEST_LONG=1 tests/run --live test_faults

test: deps
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) $(O)/spanloom $(UNIT_BIN) $(COV_BIN) $(FUZZ_BIN)
	$(Q)tests/run

coverage: $(COV_BIN)
	$(Q)tests/coverage --files

# Below "make lint", which says what came of it.
tidy: $(TIDY_OK)

run: deps-build
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) $(O)/spanloom
	$(Q)$(O)/spanloom run --exporter console

deps-build:
	$(Q)deploy/deps.sh build

deps:
	$(Q)deploy/deps.sh

TIME ?= 60

fuzz: $(FUZZ_BIN)
	$(Q)tests/fuzz/run --time $(TIME) $(TARGETS)

bench: $(O)/spanloom
	$(Q)tests/bench/run

bench-exact: $(O)/spanloom
	$(Q)tests/bench/exact/run

vm: $(O)/spanloom
	$(Q)tests/vm/run --short

vm-all: $(O)/spanloom
	$(Q)tests/vm/run
	$(Q)$(MAKE) --no-print-directory vm-arm64

vm-full: $(O)/spanloom
	$(Q)tests/vm/run --full

vm-arm64:
	$(Q)$(MAKE) --no-print-directory ARCH=arm64
	$(Q)tests/vm/run arm64-6.1 arm64-6.12 arm64-16k

accuracy: $(O)/spanloom
	$(Q)tests/accuracy/run --markdown

-include $(wildcard $(O)/bpf/*.d $(O)/user/*.d $(O)/user/*/*.d $(O)/san/user/*.d \
	$(O)/san/user/*/*.d $(O)/san/tests/*/*.d $(O)/cov/user/*.d $(O)/cov/user/*/*.d \
	$(O)/fuzz/user/*.d $(O)/fuzz/user/*/*.d \
	$(O)/fuzz/tests/*/*.d)

clean:
	$(Q)rm -rf $(O)

# ---- what a distribution needs ----------------------------------------------------------

install: $(O)/spanloom
	$(call msg,INSTALL,$(DESTDIR)$(PREFIX))
	$(Q)install -D -s $(STRIP:%=--strip-program=%) -m 755 $(O)/spanloom $(DESTDIR)$(PREFIX)/bin/spanloom
	$(Q)install -D -m 644 deploy/spanloom.8 $(DESTDIR)$(PREFIX)/share/man/man8/spanloom.8
	$(Q)install -D -m 644 deploy/completion.bash \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions/spanloom
	$(Q)install -d $(DESTDIR)$(PREFIX)/lib/systemd/system
	$(Q)sed 's|/usr/local/bin|$(PREFIX)/bin|' deploy/spanloom.service \
		> $(DESTDIR)$(PREFIX)/lib/systemd/system/spanloom.service

lint:
	$(Q)CC='$(CC)' tests/lint
