# SPDX-License-Identifier: Apache-2.0
"""In the guest: runs spanloom with the hooks of one family, and counts what its programs cost.

    loads.py FAMILY

The last line is {"log": what spanloom said, "verified": {program: instructions}}; the latter
is empty where the kernel does not tell (before 5.16, aba64c7da983).
"""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

SPANLOOM = Path(__file__).resolve().parent.parent.parent / ".output/spanloom"
SECONDS = 400


def names():
    """{id: name} of all programs that are loaded."""
    command = ["/usr/sbin/bpftool", "prog", "show", "--json"]
    shown = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    return {program["id"]: program.get("name", "?") for program in json.loads(shown)}


def verified(pid):
    known, counts = names(), {}
    for entry in Path(f"/proc/{pid}/fdinfo").iterdir():
        text = entry.read_text()
        program = re.search(r"^prog_id:\s*(\d+)", text, re.MULTILINE)
        count = re.search(r"^verified_insns:\s*(\d+)", text, re.MULTILINE)
        if program and count:
            counts[known[int(program[1])]] = int(count[1])
    return counts


def main():
    command = [SPANLOOM, "run", "--hooks", sys.argv[1], "--exporter", "none"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as agent:
        limit, said = time.monotonic() + SECONDS, ""
        for said in agent.stderr:
            print(said, end="")
            if "info run: tracing with" in said or time.monotonic() > limit:
                break
        counts = verified(agent.pid) if "info run: tracing with" in said else {}
        agent.terminate()
        print(agent.stderr.read(), end="")
    print(json.dumps({"log": said.strip(), "verified": counts}))
    sys.exit(0 if "info run: tracing with" in said else 1)


if __name__ == "__main__":
    main()
