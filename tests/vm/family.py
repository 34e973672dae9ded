# SPDX-License-Identifier: Apache-2.0
"""In the guest: what spanloom finds there, its programs with the hooks of one family, live tests.

    family.py FAMILY [TEST...]

Tells what passed as tests/run does.  One line is {program: instructions that the verifier went
through}, which is empty where the kernel does not tell (before 5.16, aba64c7da983).
"""

import json
import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from tally import Tally  # pylint: disable=wrong-import-position

SPANLOOM = ROOT / ".output/spanloom"
READY = "info run: tracing with "
NAMES = {"tp": "tp_btf", "fentry": "fentry", "kprobe": "kprobe"}
SECONDS = 600
# Says the ledger of a failed test; and that something is wrong, not missing.
MISSED, WRONG = re.compile(r"kernel\.programs\.missed +[1-9]"), re.compile("wrong", re.IGNORECASE)
TRIES = 3


def checks(tally):
    """spanloom check: it can run here."""
    done = subprocess.run([SPANLOOM, "check", "--json"], text=True, check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        return tally.fails("spanloom check", done.stdout)
    found = json.loads(done.stdout)
    off = [feature["name"] for feature in found["features"] if not feature["on"]]
    tally.notes(f"{found['kernel']}: {found['hook_family']}, off: {', '.join(off) or 'nothing'}")
    return tally.passes("spanloom check")


def number(text, key):
    """The number behind the @key at the beginning of a line; None: there is none."""
    found = re.search(rf"^{key}:\s*(\d+)", text, re.MULTILINE)
    return int(found[1]) if found else None


def names():
    """{id: name} of all programs that are loaded."""
    command = ["/usr/sbin/bpftool", "prog", "show", "--json"]
    shown = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return {program["id"]: program.get("name", "?") for program in json.loads(shown)}


def look(tally, pid):
    """What the verifier went through, and the memory of the maps."""
    known, counts, memory = names(), {}, 0
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            text = entry.read_text()
        except FileNotFoundError:
            continue  # closed meanwhile
        program, count = number(text, "prog_id"), number(text, "verified_insns")
        if count is not None:
            counts[known[program]] = count
        if number(text, "map_type") is not None:
            memory += number(text, "memlock")
    print(json.dumps(counts), flush=True)
    tally.notes(f"{memory / (1 << 20):.1f} MiB of maps")


def waits(pid):
    """Where each thread of a process waits, in words of the kernel."""
    return "".join(f"{task.name}: {(task / 'stack').read_text()}"
                   for task in Path(f"/proc/{pid}/task").iterdir())


def loads(tally, family):
    """Its programs load and attach, and go."""
    ready = READY + NAMES[family]
    begun, said = time.monotonic(), []

    def stands_still():
        said.append(f"no end after {SECONDS} s; its threads wait in\n{waits(agent.pid)}")
        print(said[-1], file=sys.stderr, flush=True)  # also if it cannot be killed
        agent.kill()

    with subprocess.Popen([SPANLOOM, "run", "--hooks", family, "--exporter", "none"],
                          stderr=subprocess.PIPE, text=True) as agent:
        watchdog = threading.Timer(SECONDS, stands_still)
        watchdog.start()
        try:
            for line in agent.stderr:
                said.append(line)
                if ready in line:
                    seconds = time.monotonic() - begun
                    look(tally, agent.pid)
                    agent.terminate()
            agent.wait()
        finally:
            watchdog.cancel()
            agent.kill()
    if agent.returncode or not any(ready in line for line in said):
        tally.fails("programs load and attach", "".join(said))
    else:
        tally.passes("programs load and attach", seconds)


def live(tally, test):
    """Linux 7.0 preempts programs, and the slower a machine is the more often it does not run them
    for others meanwhile.  That is counted, and a test that wants all has another try."""
    for tries in range(1, TRIES + 1):
        done = subprocess.run([ROOT / "tests/run", "--live", test], text=True, check=False,
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
    checks(tally)
    loads(tally, family)
    os.environ["SPANLOOM_TEST_HOOKS"] = family
    for test in [] if tally.failed else tests:
        live(tally, test)
    sys.exit(1 if tally.failed else 0)


if __name__ == "__main__":
    main()
