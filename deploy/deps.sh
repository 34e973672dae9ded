#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Installs what building and testing needs on Debian 12 and Ubuntu:
#
#   deps.sh          all of it
#   deps.sh build    only what building needs
#   deps.sh arm64    all, and what "make ARCH=arm64" and "make vm-arm64" need
#
# Does nothing, at once, when all is there.  Otherwise it needs root and apt-get; without
# them it names what is missing and the command to run, and exits with 1.  Daemons that it
# installs are neither started nor enabled, and no running service is restarted.
set -eu

BUILD="gcc make clang llvm libbpf-dev libelf-dev libdw-dev zlib1g-dev libcurl4-openssl-dev
	libprotobuf-c-dev protobuf-c-compiler uthash-dev libjansson-dev libcap-ng-dev"
TEST="libcmocka-dev redis-server redis-tools postgresql postgresql-contrib wrk curl
	python3 python3-venv iproute2 nftables procps ca-certificates
	clang-format clang-tidy cppcheck shellcheck groff"
VM="qemu-system-x86 busybox-static kmod cpio xz-utils zstd lz4"
ARM64="gcc-aarch64-linux-gnu mmdebstrap debian-archive-keyring qemu-user-static qemu-system-arm"
DAEMONS="nginx redis-server postgresql"
POLICY=/usr/sbin/policy-rc.d

has_command()
{
	command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || [ -x "/sbin/$1" ]
}

distribution()
{
	if [ -r /etc/os-release ]; then
		(. /etc/os-release && echo "${ID:-} ${ID_LIKE:-}")
	fi
}

# What libFuzzer's programs are linked with.
has_fuzzer()
{
	has_command clang || return 1
	find "$(clang -print-resource-dir)/lib" -name 'libclang_rt.fuzzer*.a' 2>/dev/null | grep -q .
}

# Commands that more than one package provides: any of them will do.
missing_commands()
{
	if ! has_command bpftool; then
		case " $(distribution) " in
		*" ubuntu "*) echo "linux-tools-common linux-tools-$(uname -r)" ;;
		*) echo bpftool ;;
		esac
	fi
	has_command pkg-config || echo pkg-config
	[ "$what" = build ] && return
	has_command nginx || echo nginx-light
	has_command node || echo nodejs
	has_fuzzer || echo libclang-rt-dev
	[ -n "$(php_daemons)" ] || echo php-fpm
}

# Their names have the version: of php-fpm8.2 it is php8.2-fpm.
php_daemons()
{
	for path in /usr/sbin/php-fpm*; do
		[ ! -x "$path" ] || echo "php${path#*php-fpm}-fpm"
	done
}

# The packages of the arguments that dpkg does not have.
missing_packages()
{
	installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' "$@" 2>/dev/null |
		sed -n 's/^installed //p')
	for package in "$@"; do
		printf '%s\n' "$installed" | grep -qxF "$package" || echo "$package"
	done
}

# Without dpkg the packages cannot be looked up: the commands tell.
missing_elsewhere()
{
	for command in gcc make clang llvm-strip bpftool protoc-c pkg-config; do
		has_command "$command" || echo "$command"
	done
	for library in libbpf libelf libdw zlib libcurl libprotobuf-c jansson libcap-ng; do
		pkg-config --exists "$library" 2>/dev/null || echo "$library (headers)"
	done
	[ "$what" = build ] && return
	for command in nginx redis-server psql wrk curl python3 node php-fpm; do
		has_command "$command" || echo "$command"
	done
	has_fuzzer || echo "compiler-rt (libclang_rt.fuzzer)"
}

forbid_daemons()
{
	[ ! -e "$POLICY" ] || return 0
	trap 'rm -f "$POLICY"' EXIT
	trap 'exit 1' HUP INT TERM
	printf '#!/bin/sh\nexit 101\n' >"$POLICY"
	chmod 755 "$POLICY"
}

# A daemon that came with the tests must not start at the next boot either.
disable_new_daemons()
{
	has_command systemctl || return 0
	for daemon in $DAEMONS $(php_daemons); do
		case " $present " in
		*" $daemon "*) ;;
		*) systemctl disable --quiet "$daemon" >/dev/null 2>&1 ||
			echo "deps: $daemon starts at boot; systemctl disable $daemon ends that" >&2 ;;
		esac
	done
}

what=${1:-all}
case "$what" in
all) packages="$BUILD $TEST $VM" ;;
build) packages="$BUILD" ;;
arm64) packages="$BUILD $TEST $VM $ARM64" ;;
*)
	echo "usage: $0 [build | arm64]" >&2
	exit 1
	;;
esac

if ! has_command dpkg-query || ! has_command apt-get; then
	missing=$(missing_elsewhere)
	[ -n "$missing" ] || exit 0
	echo "deps: not Debian or Ubuntu: install these with your package manager:" >&2
	printf '%s\n' "$missing" | sed 's/^/  /' >&2
	exit 1
fi

# shellcheck disable=SC2046,SC2086 # lists of words
missing=$(echo $(missing_packages $packages) $(missing_commands))
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
	echo "deps: missing packages: $missing" >&2
	echo "deps: run: sudo apt-get install --no-install-recommends $missing" >&2
	exit 1
fi

present=
for daemon in $DAEMONS; do
	! has_command "$daemon" || present="$present $daemon"
done
[ ! -d /etc/postgresql ] || present="$present postgresql"
# shellcheck disable=SC2046 # a list of words
present=$(echo $present $(php_daemons))

echo "deps: installing $missing"
forbid_daemons
export DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 RUNLEVEL=1
apt-get update -q </dev/null
# older releases of Ubuntu have it in a package of clang's own
apt-cache show libclang-rt-dev >/dev/null 2>&1 ||
	missing=$(printf '%s' "$missing" | sed 's/ *libclang-rt-dev//')
# shellcheck disable=SC2086
apt-get install -q -y --no-install-recommends -o Dpkg::Options::=--force-confold $missing </dev/null
disable_new_daemons
