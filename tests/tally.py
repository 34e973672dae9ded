# SPDX-License-Identifier: Apache-2.0
"""What passed, failed and was skipped: told line by line, and read again from such lines."""

import re

VERDICT = re.compile(r"^  (ok   |FAIL |skip |note ) (.+?)(?:  \((\d+\.\d) s\))?$")
REASON = " " * 8  # before each line that tells why


class Tally:
    """What passed, failed and was skipped, told as it happens."""

    def __init__(self):
        self.passed, self.failed, self.skipped = [], [], []

    def passes(self, name, seconds=0):
        self.passed.append(name)
        print(f"  ok    {name}  ({seconds:.1f} s)" if seconds >= 0.1 else f"  ok    {name}",
              flush=True)

    def fails(self, name, output):
        self.failed.append(name)
        print(f"  FAIL  {name}")
        for line in output.rstrip().splitlines() or ["(no output)"]:
            print(f"{REASON}{line}", flush=True)

    def skips(self, name, reason):
        self.skipped.append(name)
        print(f"  skip  {name}: {reason}", flush=True)

    @staticmethod
    def notes(text):
        """What is worth a look, but neither good nor bad."""
        print(f"  note  {text}", flush=True)

    def close(self):
        for name in self.failed:
            print(f"failed: {name}")
        skipped = f", {len(self.skipped)} skipped" if self.skipped else ""
        print(f"{len(self.passed)} passed, {len(self.failed)} failed{skipped}")
        return 1 if self.failed or not self.passed else 0

    def repeat(self, output, prefix):
        """Counts what another tally told in @output, with @prefix before the names; how many."""
        told, reasons = [], []
        for line in output.splitlines():
            if found := VERDICT.match(line):
                reasons = []
                told.append((found[1].strip(), prefix + found[2], float(found[3] or 0), reasons))
            elif line.startswith(REASON):
                reasons.append(line[len(REASON):])
        for verdict, name, seconds, why in told:
            if verdict == "ok":
                self.passes(name, seconds)
            elif verdict == "FAIL":
                self.fails(name, "\n".join(why))
            elif verdict == "skip":
                self.skips(*name.split(": ", 1))
            else:
                self.notes(name)
        return len(told)
