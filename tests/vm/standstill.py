# SPDX-License-Identifier: Apache-2.0
"""Asks a guest that has not come to its end in time what it does: by a break on its serial line,
which makes its kernel take the next character as a command (Documentation/admin-guide/sysrq.rst).
"""

import json
import socket
import time

# Show all that is said: blocked tasks, what the processors do, all tasks.
COMMANDS = "9wlt"
PAUSE_S = 1
PATIENCE_S = 30  # for each answer


def console(work):
    """Options of QEMU: the console, which is kept in @work/console, and a way to ask."""
    return ["-chardev", f"socket,id=console,path={work}/line,server=on,wait=off,"
                        f"logfile={work}/console",
            "-serial", "chardev:console",
            "-qmp", f"unix:{work}/monitor,server=on,wait=off"]


def tell(monitor, name, **arguments):
    """One command to QEMU's monitor; the answer stays where it is."""
    monitor.sendall(json.dumps({"execute": name, "arguments": arguments}).encode())


def read(line):
    """Reads what is said until nothing more is: who does not read holds the guest up."""
    end = time.monotonic() + PATIENCE_S
    line.settimeout(PAUSE_S)
    try:
        while line.recv(1 << 16) and time.monotonic() < end:
            pass
    except TimeoutError:
        pass


def converse(monitor, line, work):
    monitor.connect(f"{work}/monitor")
    line.connect(f"{work}/line")
    tell(monitor, "qmp_capabilities")
    for command in COMMANDS:
        tell(monitor, "chardev-send-break", id="console")
        read(line)  # else the character comes before the break
        line.sendall(command.encode())
        read(line)


def ask(work):
    """The answers are on the console; why there are none, where there are none."""
    with socket.socket(socket.AF_UNIX) as monitor, socket.socket(socket.AF_UNIX) as line:
        try:
            converse(monitor, line, work)
        except OSError as reason:  # it has just ended, or cannot even be asked
            return f"(not asked what it does: {reason})"
    return ""
