#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A Debian file tree for another processor: unpacked packages, of which nothing is installed.

    sysroot.py [--where] ARCH     makes it, unless it is there; --where: only prints its path

Cross-building takes headers and libraries from it, and emulated guests have it for their root.
It is kept beside the kernels, see debian.py.
"""

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import debian

SUITE = "bookworm"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
COMMANDS = {"mmdebstrap": "mmdebstrap"}

# To build with, as in deploy/deps.sh.
BUILD = ["libc6-dev", "libbpf-dev", "libelf-dev", "libdw-dev", "zlib1g-dev",
         "libcurl4-openssl-dev", "libprotobuf-c-dev", "uthash-dev", "libjansson-dev",
         "libcap-ng-dev", "libcmocka-dev", "libasan8", "libubsan1"]
# To run tests in.
GUEST = ["base-files", "base-passwd", "bpftool", "busybox-static", "coreutils", "curl", "dash",
         "grep", "iproute2", "nginx-light", "procps", "python3", "redis-server", "redis-tools",
         "sed", "util-linux"]


def path(arch):
    return debian.CACHE / "roots" / arch


def unpack(arch, tree):
    done = subprocess.run(
        ["mmdebstrap", "--quiet", "--variant=extract", f"--architectures={arch}",
         f"--keyring={KEYRING}", f"--include={','.join(BUILD + GUEST)}", SUITE, tree,
         debian.mirror()], check=False)
    if done.returncode:
        raise debian.Missing(f"mmdebstrap cannot make a tree for {arch}")
    # What scripts of the packages would do.
    for name in ("passwd", "group"):
        shutil.copy(tree / f"usr/share/base-passwd/{name}.master", tree / f"etc/{name}")
    if not (tree / "bin/sh").exists():
        (tree / "bin/sh").symlink_to("dash")


def make(arch):
    """The path of the tree; a complete one has the file .complete, with what it was made of."""
    tree = path(arch)
    wanted, complete = " ".join([SUITE, *BUILD, *GUEST]), tree / ".complete"
    if complete.exists() and complete.read_text() == wanted:
        return tree
    debian.need_commands(COMMANDS, "arm64")
    print(f"  fetching a Debian tree for {arch}", flush=True)
    tree.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tree.parent) as folder:
        part = Path(folder) / arch
        unpack(arch, part)
        (part / ".complete").write_text(wanted)
        shutil.rmtree(tree, ignore_errors=True)
        part.rename(tree)
    return tree


def main():
    parser = argparse.ArgumentParser(description="A Debian file tree for another processor.")
    parser.add_argument("--where", action="store_true", help="only print where it is")
    parser.add_argument("arch", choices=["arm64"])
    args = parser.parse_args()
    if args.where:
        print(path(args.arch))
        return
    try:
        make(args.arch)
    except (debian.Missing, debian.Unreachable) as reason:
        sys.exit(f"sysroot: {reason}")


if __name__ == "__main__":
    main()
