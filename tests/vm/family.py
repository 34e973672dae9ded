# SPDX-License-Identifier: Apache-2.0
"""In the guest: what spanloom finds there, its programs with the hooks of one family, live tests.

    family.py FAMILY [TEST...]

Tells what passed as tests/run does; the exit status is FAILED where it told of a failure, and
Python's own where it could not tell.  One line is {"off": features that the kernel has not,
"programs": {program: instructions that the verifier went through}}, see verified.c.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from tally import Tally  # pylint: disable=wrong-import-position

SPANLOOM = ROOT / ".output/spanloom"
VERIFIED = ROOT / ".output/verified.so"
OPTION = "TCP option"  # as spanloom check names it
READY = "info run: tracing with "
NAMES = {"tp": "tp_btf", "fentry": "fentry", "kprobe": "kprobe"}
SECONDS = 600
# Says the ledger of a failed test; and that something is wrong, not missing.
MISSED, WRONG = re.compile(r"kernel\.programs\.missed +[1-9]"), re.compile("wrong", re.IGNORECASE)
TRIES = 3
NAME_CUT = 15  # characters of a program's name that the kernel keeps
FAILED = 3


def checks(tally):
    """spanloom check: it can run here.  The names of features that are off."""
    done = subprocess.run([SPANLOOM, "check", "--json"], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        tally.fails("spanloom check", done.stdout)
        return []
    found = json.loads(done.stdout)
    off = [feature["name"] for feature in found["features"] if not feature["on"]]
    tally.notes(f"{found['kernel']}: {found['hook_family']}, off: {', '.join(off) or 'nothing'}")
    tally.passes("spanloom check")
    return off


def number(text, key):
    """The number behind the @key at the beginning of a line; None: there is none."""
    found = re.search(rf"^{key}:\s*(\d+)", text, re.MULTILINE)
    return int(found[1]) if found else None


def names():
    """{id: name} of all programs that are loaded."""
    command = ["/usr/sbin/bpftool", "prog", "show", "--json"]
    shown = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return {program["id"]: program.get("name", "?") for program in json.loads(shown)}


def verified(path):
    """{program: instructions} of what was loaded, of verified.c.  A program that is unloaded
    already has the name that the kernel knew, unless that was cut."""
    known, counts = names(), {}
    for line in path.read_text().splitlines():
        program, name, count = line.split()
        name = known.get(int(program), name)
        if len(name) < NAME_CUT or int(program) in known:
            counts[name] = int(count)
    return counts


def memory(pid):
    """Of the maps, in bytes."""
    total = 0
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            text = entry.read_text()
        except FileNotFoundError:
            continue  # closed meanwhile
        if number(text, "map_type") is not None:
            total += number(text, "memlock")
    return total


def waits(pid):
    """Where each thread of a process waits, in words of the kernel."""
    try:
        return "".join(f"{task.name}: {(task / 'stack').read_text()}"
                       for task in Path(f"/proc/{pid}/task").iterdir())
    except OSError as fault:  # one has just ended
        return str(fault)


def loads(tally, family, off):
    """Its programs load and attach, and go."""
    ready, path = READY + NAMES[family], Path(tempfile.mkdtemp()) / "verified"
    command = [SPANLOOM, "run", "--hooks", family, "--exporter", "none"]
    if OPTION not in off and family != "kprobe":  # which has no socket storage
        command += ["--tcp-option", "on"]
    begun, said, counts = time.monotonic(), [], {}

    def stands_still():
        said.append(f"no end after {SECONDS} s; its threads wait in\n{waits(agent.pid)}")
        print(said[-1], file=sys.stderr, flush=True)  # also if it cannot be killed
        agent.kill()

    environment = dict(os.environ, LD_PRELOAD=str(VERIFIED), SPANLOOM_TEST_VERIFIED=str(path))
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as agent:
        watchdog = threading.Timer(SECONDS, stands_still)
        watchdog.start()
        try:
            for line in agent.stderr:
                said.append(line)
                if ready in line:
                    seconds = time.monotonic() - begun
                    counts = verified(path)
                    print(json.dumps({"off": off, "programs": counts}), flush=True)
                    tally.notes(f"{memory(agent.pid) / (1 << 20):.1f} MiB of maps")
                    agent.terminate()
            agent.wait()
        finally:
            watchdog.cancel()
            agent.kill()
    if agent.returncode or not counts or not all(counts.values()):
        tally.fails("programs load and attach", f"{''.join(said)}{counts}")
    else:
        tally.passes("programs load and attach", seconds)


def live(tally, test):
    """Linux 7.0 preempts programs, and the slower a machine is the more often it does not run them
    for others meanwhile.  That is counted, and a test that wants all has another try."""
    for tries in range(1, TRIES + 1):
        done = subprocess.run([ROOT / "tests/run", "--live", f"{test}$"], text=True, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if not done.returncode or tries == TRIES or not MISSED.search(done.stdout) or \
                WRONG.search(done.stdout):
            break
        tally.notes(f"{test}: once more, for runs of programs were missed")
    if not tally.repeat(done.stdout, ""):
        tally.fails(test, done.stdout)


def main():
    family, *tests = sys.argv[1:]
    tally = Tally()
    loads(tally, family, checks(tally))
    os.environ["SPANLOOM_TEST_HOOKS"] = family
    for test in [] if tally.failed else tests:
        live(tally, test)
    sys.exit(FAILED if tally.failed else 0)


if __name__ == "__main__":
    main()
