# SPDX-License-Identifier: Apache-2.0
"""Stock kernels of Debian: fetched, checked, unpacked (nothing is installed), made ready to boot.

They are kept where debian.py says, about 0.5 GB a kernel.
"""

import lzma
import os
import re
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import debian
from debian import CACHE, PATH, Missing, Unreachable  # pylint: disable=unused-import
from machines import AMD64, ARM64

HERE = Path(__file__).resolve().parent

# name: (machine, suite, package)
KERNELS = {
    "5.10": (AMD64, "bullseye-security", r"linux-image-5\.10\.0-[0-9]+-amd64"),
    "6.1": (AMD64, "bookworm-security", r"linux-image-6\.1\.0-[0-9]+-amd64"),
    "6.12": (AMD64, "bookworm-security", r"linux-image-6\.12\.[0-9]+\+deb12-amd64"),
    "newest": (AMD64, "sid", r"linux-image-[0-9]+\.[0-9]+(\.[0-9]+)?\+deb[0-9]+-amd64"),
    "arm64-6.1": (ARM64, "bookworm-security", r"linux-image-6\.1\.0-[0-9]+-arm64"),
    "arm64-6.12": (ARM64, "bookworm-security", r"linux-image-6\.12\.[0-9]+\+deb12-arm64"),
    # Pages of 16 KiB.
    "arm64-16k": (ARM64, "bookworm-security", r"linux-image-6\.12\.[0-9]+\+deb12-arm64-16k"),
}

# What the guest needs before it has its root; built in or not, that depends on the kernel.
MODULES = ["virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay"]

COMMANDS = {
    "busybox": "busybox-static",
    "depmod": "kmod",
    "cpio": "cpio",
    "xz": "xz-utils",
    "zstd": "zstd",
    "lz4": "lz4",
    "dpkg-deb": "dpkg",
}


def unpack(name, folder):
    machine, suite, pattern = KERNELS[name]
    known, base = debian.packages(suite, machine.arch)
    images = [package for package in known if re.fullmatch(pattern, package)]
    if not images:
        raise Missing(f"{suite} has no package like {pattern}")
    newest = max(images, key=lambda package: [int(n) for n in re.findall(r"\d+", package)])
    version = newest.removeprefix("linux-image-")
    for part in ("image", "binary", "modules", "base"):  # split since 7.0
        if fields := known.get(f"linux-{part}-{version}"):
            subprocess.check_call(["dpkg-deb", "-x", debian.download(fields, base), folder])


def decompress(image):
    """The ELF file within a bzImage; the offsets are those of the boot protocol."""
    start, length = struct.unpack_from("<II", image, 0x248)
    payload = image[((image[0x1f1] or 4) + 1) * 512 + start:][:length]
    if payload.startswith(b"\xfd7zXZ\0"):
        return lzma.decompress(payload[:-4])
    if payload.startswith(b"\x1f\x8b"):
        return zlib.decompress(payload[:-4], 31)
    tool = "zstd" if payload.startswith(b"\x28\xb5\x2f\xfd") else "lz4"
    # The length of the result follows the payload, which the tools complain of.
    return subprocess.run([tool, "-dc"], input=payload, stdout=subprocess.PIPE, check=False,
                          stderr=subprocess.DEVNULL).stdout


def module_files(folder, version, module):
    shown = subprocess.run(["modprobe", "-d", folder, "-S", version, "--show-depends", module],
                           env=dict(os.environ, PATH=PATH), stdout=subprocess.PIPE, text=True,
                           stderr=subprocess.DEVNULL, check=False).stdout
    return [Path(line.split()[1]) for line in shown.splitlines() if line.startswith("insmod ")]


def build_initramfs(folder, version, busybox):
    tree = folder / "initramfs"
    shutil.rmtree(tree, ignore_errors=True)
    for name in ("bin", "modules", "proc", "sys", "dev", "lower", "rw", "new", "run"):
        (tree / name).mkdir(parents=True)
    shutil.copy(busybox, tree / "bin")
    order = []
    for path in [path for module in MODULES for path in module_files(folder, version, module)]:
        if path.name.removesuffix(".xz") in order:
            continue
        order.append(path.name.removesuffix(".xz"))
        data = path.read_bytes()
        (tree / "modules" / order[-1]).write_bytes(
            lzma.decompress(data) if path.suffix == ".xz" else data)
    (tree / "modules" / "order").write_text("".join(f"{name}\n" for name in order))
    pack(tree, folder / "base.cpio")
    shutil.rmtree(tree)


def pack(tree, target):
    """A cpio archive of all that lies in @tree."""
    names = "".join(f"{path.relative_to(tree)}\n" for path in sorted(tree.rglob("*")))
    with open(target, "wb") as out:
        subprocess.run(["cpio", "-o", "-H", "newc", "--quiet"], cwd=tree, stdout=out, check=True,
                       input=names.encode())


def prepare(name):
    """(folder, version) of the kernel: vmlinux, base.cpio and its modules are there."""
    machine = KERNELS[name][0]
    debian.need_commands({**COMMANDS, machine.command: machine.package}, machine.dependencies)
    folder = CACHE / "kernels" / name
    ready = folder / "version"
    if ready.exists():
        return folder, ready.read_text()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    unpack(name, folder)
    if not (folder / "lib/modules").exists():
        (folder / "lib").symlink_to("usr/lib")
    version = next((folder / "lib/modules").iterdir()).name
    subprocess.check_call(["depmod", "-b", folder, version], env=dict(os.environ, PATH=PATH))
    image = folder / f"boot/vmlinuz-{version}"
    if not image.exists():
        image = folder / f"lib/modules/{version}/vmlinuz"
    kernel = decompress(image.read_bytes()) if machine.takes_elf else image.read_bytes()
    if machine.takes_elf and not kernel.startswith(b"\x7fELF"):
        raise Missing(f"{image}: packed in a way that is not known")
    (folder / "vmlinux").write_bytes(kernel)
    build_initramfs(folder, version, machine.root() / "bin/busybox")
    ready.write_text(version)
    return folder, version
