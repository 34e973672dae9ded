# SPDX-License-Identifier: Apache-2.0
"""The processors that guests have: how QEMU emulates them, and what their root is."""

from dataclasses import dataclass
from pathlib import Path

import sysroot


@dataclass(frozen=True)
class Machine:
    arch: str  # as Debian calls it
    compiler: str
    command: str  # of QEMU
    package: str  # that has it
    dependencies: str  # option of deploy/deps.sh
    options: tuple  # of the command
    parameters: str  # of the kernel
    takes_elf: bool  # boots the kernel that is packed in the image, without its loader
    is_host: bool  # this host's root and programs run there

    def root(self):
        return Path("/") if self.is_host else sysroot.make(self.arch)


AMD64 = Machine(
    arch="amd64", compiler="cc", command="qemu-system-x86_64", package="qemu-system-x86", dependencies="",
    # Without these the emulation of every jump into the kernel is twice as slow.
    options=("-machine", "q35", "-cpu", "max,la57=off,smap=off,smep=off,pku=off"),
    parameters="console=ttyS0 random.trust_cpu=on tsc=reliable no_timer_check",
    takes_elf=True, is_host=True)

ARM64 = Machine(
    arch="arm64", compiler="aarch64-linux-gnu-gcc", command="qemu-system-aarch64",
    package="qemu-system-arm", dependencies="arm64",
    # One that knows pages of 16 KiB.
    options=("-machine", "virt", "-cpu", "cortex-a76"),
    parameters="console=ttyAMA0", takes_elf=False, is_host=False)
