# SPDX-License-Identifier: Apache-2.0
"""Packages of Debian: fetched and checked, nothing is installed.

They are kept in $SPANLOOM_VM_CACHE, by default ~/.cache/spanloom/vm, and come from
$SPANLOOM_VM_MIRROR, by default the mirror that apt uses.
"""

import hashlib
import http.client
import lzma
import os
import re
import shutil
import time
import urllib.request
from pathlib import Path

CACHE = Path(os.environ.get("SPANLOOM_VM_CACHE") or Path.home() / ".cache/spanloom/vm")
PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"

TRIES = 3  # of what a mirror may give another time


class Missing(Exception):
    """This machine lacks something; the text says what."""


class Unreachable(Exception):
    """There is no way to the kernels from here; the text says why."""


def need_commands(packages_of, option=""):
    """@packages_of: {command: its package}; @option: of deps.sh, which installs them."""
    missing = sorted({package for command, package in packages_of.items()
                      if not shutil.which(command, path=PATH)})
    if missing:
        raise Missing(f"missing packages: {' '.join(missing)}; "
                      f"run: sudo deploy/deps.sh {option}".rstrip())


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
    """Whole, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    for left in reversed(range(TRIES)):
        try:
            with urllib.request.urlopen(url, timeout=60) as source, open(part, "wb") as target:
                shutil.copyfileobj(source, target)
                if target.tell() != int(source.headers.get("Content-Length", target.tell())):
                    raise OSError("it ends too early")
            break
        except (OSError, http.client.HTTPException) as fault:
            if not left:
                raise Unreachable(f"{url}: {fault}") from None
            time.sleep(3)
    part.rename(path)


def packages(suite, arch):
    """{name: fields} of the kernel packages of the suite, and the URL they are below."""
    base = mirror() + ("-security" if suite.endswith("-security") else "")
    index = CACHE / "indices" / f"{suite}-{arch}.xz"
    fetch(f"{base}/dists/{suite}/main/binary-{arch}/Packages.xz", index)
    try:
        text = lzma.open(index, "rt").read()
    except (lzma.LZMAError, EOFError, UnicodeDecodeError) as fault:
        raise Unreachable(f"{base} has no index of packages for {suite}: {fault}") from None
    found = {}
    for stanza in text.split("\n\n"):
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
        raise Unreachable(f"{path.name} is not what the index of its suite says; run it again")
    return path
