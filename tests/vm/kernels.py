# SPDX-License-Identifier: Apache-2.0
"""Stock kernels of Debian: fetched, checked, unpacked (nothing is installed), made ready to boot.

They are kept in $SPANLOOM_VM_CACHE, by default ~/.cache/spanloom/vm, about 0.5 GB a kernel, and
come from $SPANLOOM_VM_MIRROR, by default the mirror that apt uses.
"""

import hashlib
import lzma
import os
import re
import shutil
import struct
import subprocess
import urllib.error
import urllib.request
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("SPANLOOM_VM_CACHE") or Path.home() / ".cache/spanloom/vm")
BUSYBOX = Path("/bin/busybox")

# name: (suite, package)
KERNELS = {
    "5.10": ("bullseye-security", r"linux-image-5\.10\.0-[0-9]+-amd64"),
    "6.1": ("bookworm-security", r"linux-image-6\.1\.0-[0-9]+-amd64"),
    "6.12": ("bookworm-security", r"linux-image-6\.12\.[0-9]+\+deb12-amd64"),
    "newest": ("sid", r"linux-image-[0-9]+\.[0-9]+(\.[0-9]+)?\+deb[0-9]+-amd64"),
}

# What the guest needs before it has its root; built in or not, that depends on the kernel.
MODULES = ["virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay"]

COMMANDS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "depmod": "kmod",
    "cpio": "cpio",
    "xz": "xz-utils",
    "zstd": "zstd",
    "lz4": "lz4",
    "dpkg-deb": "dpkg",
}

PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"


class Missing(Exception):
    """This machine lacks something; the text says what."""


class Unreachable(Exception):
    """There is no way to the kernels from here; the text says why."""


def need_commands():
    missing = sorted(package for command, package in COMMANDS.items()
                     if not shutil.which(command, path=PATH))
    if missing:
        raise Missing(f"missing packages: {' '.join(missing)}; run: sudo deploy/deps.sh")


def mirror():
    """The URL of a Debian mirror, without a slash at its end."""
    if given := os.environ.get("SPANLOOM_VM_MIRROR"):
        return given.rstrip("/")
    files = [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]
    text = "\n".join(path.read_text() for path in files if path.is_file())
    for url in re.findall(r"^(?:URIs:|deb(?: \[[^]]*\])?)\s+(\S+)", text, re.MULTILINE):
        if url.rstrip("/").endswith("/debian"):
            return url.rstrip("/")
    raise Unreachable("apt has no Debian mirror here: set SPANLOOM_VM_MIRROR to the URL of one")


def fetch(url, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    try:
        with urllib.request.urlopen(url, timeout=120) as source, open(part, "wb") as target:
            shutil.copyfileobj(source, target)
    except urllib.error.HTTPError as answer:
        raise Missing(f"{url}: {answer}") from None
    except (urllib.error.URLError, TimeoutError) as fault:
        raise Unreachable(f"{url}: {fault}") from None
    part.rename(path)


def packages(suite):
    """{name: fields} of the kernel packages of the suite, and the URL they are below."""
    base = mirror() + ("-security" if suite.endswith("-security") else "")
    index = CACHE / "indices" / f"{suite}.xz"
    fetch(f"{base}/dists/{suite}/main/binary-amd64/Packages.xz", index)
    found = {}
    for stanza in lzma.open(index, "rt").read().split("\n\n"):
        if stanza.startswith("Package: linux-"):
            fields = dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", stanza, re.MULTILINE))
            found[fields["Package"]] = fields
    return found, base


def download(fields, base):
    path = CACHE / "debs" / Path(fields["Filename"]).name
    if not path.exists():
        print(f"  fetching {path.name}", flush=True)
        fetch(f"{base}/{fields['Filename']}", path)
    if hashlib.sha256(path.read_bytes()).hexdigest() != fields["SHA256"]:
        path.unlink()
        raise Missing(f"{path.name} is not what the index of its suite says; run it again")
    return path


def unpack(name, folder):
    suite, pattern = KERNELS[name]
    known, base = packages(suite)
    images = [package for package in known if re.fullmatch(pattern, package)]
    if not images:
        raise Missing(f"{suite} has no package like {pattern}")
    newest = max(images, key=lambda package: [int(n) for n in re.findall(r"\d+", package)])
    version = newest.removeprefix("linux-image-")
    for part in ("image", "binary", "modules", "base"):  # split since 7.0
        if fields := known.get(f"linux-{part}-{version}"):
            subprocess.check_call(["dpkg-deb", "-x", download(fields, base), folder])


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


def build_initramfs(folder, version):
    tree = folder / "initramfs"
    shutil.rmtree(tree, ignore_errors=True)
    for name in ("bin", "modules", "proc", "sys", "dev", "lower", "rw", "new", "run"):
        (tree / name).mkdir(parents=True)
    shutil.copy(BUSYBOX, tree / "bin")
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
    need_commands()
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
    kernel = decompress(image.read_bytes())
    if not kernel.startswith(b"\x7fELF"):
        raise Missing(f"{image}: packed in a way that is not known")
    (folder / "vmlinux").write_bytes(kernel)
    build_initramfs(folder, version)
    ready.write_text(version)
    return folder, version
