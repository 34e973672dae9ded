# SPDX-License-Identifier: Apache-2.0
"""Runs fuzz targets, two at a time, and tells what came of each.

A search goes on for so long, each time another way, from all that was found before.  A check, of
"make test", begins with the seeds and takes the same way each time, however fast the machine is:
what it finds comes of what was changed.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
OUT = ROOT / ".output" / "fuzz"
BINARY = OUT / "spanloom-fuzz"
AT_ONCE = 2
INPUT_S = 60  # more for one input is a finding; machines that test are busy
LATE_S = 900  # beyond the time of a search: then it stands still
CHECK_SEED = 1
CHECK_RUNS = {"collector": 300, "pipeline": 3000, "process": 300}  # slow ones, ...
FLOW_RUNS, DEFAULT_RUNS = 400, 10000  # ... and others
INPUT_BYTES = {"golang": 32768, "functions": 32768, "cpython": 32768, "process": 16384}
FLOW_BYTES = 1536  # each is a record, and more than a stream has ranges would be lost
DEFAULT_BYTES = 4096
SEEN = re.compile(r"cov: (\d+)")
FINDING = re.compile(r"Test unit written to (\S+)")


class Result:
    def __init__(self, name, output, status, seconds):
        self.name, self.output, self.seconds = name, output, seconds
        runs = re.findall(r"stat::number_of_executed_units: (\d+)", output) or \
            re.findall(r"^#(\d+)", output, re.MULTILINE)
        self.executions = int(runs[-1]) if runs else 0
        covered = SEEN.findall(output)
        self.edges = int(covered[-1]) if covered else 0
        self.findings = FINDING.findall(output)
        self.failed = bool(self.findings) or status != 0

    def line(self):
        found = f"{len(self.findings)} findings" if self.findings else \
            "failed" if self.failed else "nothing found"
        return f"{self.name:<16} {self.executions:>10,} executions  {self.edges:>6,} edges  {found}"

    def explain(self):
        """The end of what libFuzzer said, where the cause stands."""
        lines = [line for line in self.output.splitlines() if not line.startswith("#")]
        where = [f"input: {path}" for path in self.findings]
        return "\n".join(lines[-60:] + where)


def built():
    return BINARY.exists()


def targets():
    listed = subprocess.run([BINARY, "--list"], capture_output=True, text=True, check=True)
    return listed.stdout.split()


def make_seeds():
    subprocess.run([sys.executable, HERE / "seeds.py", OUT / "seeds"], check=True)


def dictionary(name):
    """That of a protocol serves both of its targets."""
    for stem in (name, name.removesuffix("-flow")):
        path = HERE / "dict" / f"{stem}.dict"
        if path.exists():
            return [f"-dict={path}"]
    return []


def input_bytes(name):
    return FLOW_BYTES if name.endswith("-flow") else INPUT_BYTES.get(name, DEFAULT_BYTES)


def check_runs(name):
    return FLOW_RUNS if name.endswith("-flow") else CHECK_RUNS.get(name, DEFAULT_RUNS)


def seeds(name):
    places = (OUT / "seeds" / name, HERE / "crashes" / name)
    return [place for place in places if place.exists()]


def search(name, seconds):
    """Options of libFuzzer, and where it begins."""
    corpus = OUT / "corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    return [f"-max_total_time={seconds}", "-seed=0", corpus, *seeds(name)]


def check(name, folder):
    """Likewise; the order of files in a folder is not the same everywhere, that of a list is."""
    corpus, listed = folder / "corpus", folder / "seeds"
    corpus.mkdir()
    files = sorted(str(path) for place in seeds(name) for path in place.iterdir())
    listed.write_text(",".join(files))
    given = [f"-seed_inputs=@{listed}"] if files else []
    # What was compared may be addresses, which are others each time.
    return [f"-runs={check_runs(name)}", f"-seed={CHECK_SEED}", "-use_cmp=0", *given, corpus]


def command(name, way):
    found = OUT / "found" / name
    found.mkdir(parents=True, exist_ok=True)
    return [
        "nice", "-n", "10", BINARY, f"--target={name}",
        f"-timeout={INPUT_S}", f"-report_slow_units={INPUT_S}", "-rss_limit_mb=2048",
        "-print_final_stats=1", f"-max_len={input_bytes(name)}", f"-artifact_prefix={found}/",
        *dictionary(name), *way,
    ]


def run(name, seconds):
    if seconds:
        return run_this(name, search(name, seconds), seconds)
    with tempfile.TemporaryDirectory(prefix="spanloom-fuzz-") as folder:
        return run_this(name, check(name, Path(folder)))


def run_this(name, way, seconds=0):
    environ = dict(os.environ, UBSAN_OPTIONS="print_stacktrace=1",
                   ASAN_OPTIONS="detect_leaks=1:allocator_may_return_null=1")
    start = time.monotonic()
    try:
        done = subprocess.run(command(name, way), cwd=ROOT, env=environ,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False, timeout=seconds + LATE_S)
        output, status = done.stdout.decode(errors="replace"), done.returncode
    except subprocess.TimeoutExpired as late:
        output, status = (late.stdout or b"").decode(errors="replace") + "\nno end", 1
    return Result(name, output, status, time.monotonic() - start)


def run_all(names, tell, seconds=0):
    """Calls @tell with each Result, in the order of @names.  @seconds: of the search for each, 0:
    they are checked."""
    make_seeds()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for result in pool.map(lambda name: run(name, seconds), names):
            tell(result)
