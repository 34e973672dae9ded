# SPDX-License-Identifier: Apache-2.0
"""What the programs need: packages of pip, npm and Go in .output/accuracy, commands of the system.

What is there already and made from the same list is not fetched again, so that a run needs no
registry.  A need that cannot be met raises harness.Skip with the reason.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from harness import ROOT, Skip, fetch

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("SPANLOOM_ACCURACY_CACHE") or ROOT / ".output" / "accuracy")


def made_from(sources, make):
    """The folder CACHE/NAME that @make fills, once for each state of its @sources."""
    folder = CACHE / make.__name__
    seal = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    stamp = folder / "made-from"
    if not stamp.exists() or stamp.read_text() != seal:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
        stamp.write_text(seal)
    return folder


@cache
def python():
    """Folder with the commands of a virtual environment."""
    wanted = HERE / "python" / "requirements.txt"

    def venv(folder):
        fetch("packages of Python", [sys.executable, "-m", "venv", folder])
        fetch("packages of Python", [folder / "bin" / "pip", "install", "--retries", "1",
                                     "--timeout", "15", "-r", wanted])
    return made_from([wanted], venv) / "bin"


@cache
def node():
    """Folder of modules."""
    wanted = HERE / "node" / "package.json"

    def npm(folder):
        shutil.copy(wanted, folder)
        fetch("packages of Node", ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock",
                                   "--fetch-retries=0"], cwd=folder)
    command("node")
    return made_from([wanted], npm) / "node_modules"


@cache
def go():
    """The program."""
    def build(folder):
        fetch("modules of Go", ["go", "build", "-buildvcs=false", "-o", folder / "program", "."],
              cwd=HERE / "go")
    build.__name__ = "go"
    return made_from(sorted((HERE / "go").iterdir()), build) / "program"


def command(*names):
    """The first of the commands that there is."""
    for name in names:
        for folder in (None, "/usr/sbin", "/sbin"):
            path = shutil.which(name, path=folder)
            if path:
                return path
    raise Skip(f"no {' or '.join(names)} on this machine")


def works(what, *words):
    """The command succeeds: a module of it is installed."""
    if subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                      stderr=subprocess.DEVNULL, check=False).returncode:
        raise Skip(f"no {what} on this machine")


def file(what, *patterns):
    """The first file that matches."""
    for pattern in patterns:
        for path in sorted(Path("/").glob(pattern[1:])):
            return path
    raise Skip(f"no {what} on this machine")
