# SPDX-License-Identifier: Apache-2.0
"""What it costs to read who sends: the context of CPython, the goroutine of Go.

A program asks Redis for a key, one time after the other, with what is known of its runtime there,
and with that taken out of the agent's map, in turns.  The difference of what the programs on sends
take is what the reading costs: it is done once for each."""

import json
import re
import shutil
import statistics
import subprocess
import sys
from pathlib import Path

import servers
from harness import end, folder, run, spawn, wait_until

COMMANDS = 10000

PYTHON = """
import asyncio, sys
ASK = b"*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\nk\\r\\n"
async def main(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        for _ in range(int(line)):
            writer.write(ASK)
            await reader.readline()
        print("done", flush=True)
asyncio.run(main(int(sys.argv[1])))
"""

GO = """
package main

import ("bufio"; "fmt"; "net"; "os")

func main() {
	conn, err := net.Dial("tcp", "127.0.0.1:"+os.Args[1])
	if err != nil { panic(err) }
	answers := bufio.NewReader(conn)
	for n := 0; ; fmt.Println("done") {
		if _, err := fmt.Scanln(&n); err != nil { return }
		for ; n > 0; n-- {
			conn.Write([]byte("*2\\r\\n$3\\r\\nGET\\r\\n$1\\r\\nk\\r\\n"))
			answers.ReadString('\\n')
		}
	}
}
"""


def python():
    """The command; None: there is no such runtime here."""
    source = folder() / "identity.py"
    source.write_text(PYTHON)
    return [sys.executable, source]


def go():
    if not shutil.which("go"):
        return None
    source = folder() / "identity.go"
    source.write_text(GO)
    run("go", "build", "-o", source.with_suffix(""), source, timeout=300)
    return [source.with_suffix("")]


RUNTIMES = {"the context of CPython": python, "the goroutine of Go": go}


def maps_of(pid):
    """Numbers of the maps that a process holds."""
    told = [entry.read_text() for entry in Path(f"/proc/{pid}/fdinfo").iterdir()]
    return {found[1] for text in told if (found := re.search(r"^map_id:\s*(\d+)", text, re.MULTILINE))}


class Known:
    """What the agent knows of the process' runtime."""

    def __init__(self, agent, pid):
        self.key = pid.to_bytes(4, sys.byteorder)
        [self.map] = [number for number in maps_of(agent) if
                      json.loads(run("bpftool", "-j", "map", "show", "id", number))["name"] == "runtimes"]
        wait_until(self.read, "the runtime is known", 30)
        self.value = self.read()

    def bpftool(self, verb, *more, ok=(0,)):
        return run("bpftool", "-j", "map", verb, "id", self.map, "key",
                   *[f"{byte:#04x}" for byte in self.key], *more, ok=ok)

    def read(self):
        """The value's bytes, as bpftool takes them; None: there is no entry."""
        found = json.loads(self.bpftool("lookup", ok=(0, 254, 255)) or "null")
        return found and found.get("value")

    def forget(self):
        self.bpftool("delete")

    def tell(self):
        self.bpftool("update", "value", *self.value)


class Client:
    """The program at work."""

    def __init__(self, command, port):
        self.process = spawn([*command, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             text=True)

    def ask(self, commands):
        self.process.stdin.write(f"{commands}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def cost(self, agent):
        """ns that the programs on sends take for a command."""
        before, _ = agent.programs()
        self.ask(COMMANDS)
        after, _ = agent.programs()
        return sum(after[name][1] - ns for name, (_, ns) in before.items()
                   if "_sen" in name) / COMMANDS


def measure(runtime, agent, rounds):
    """(without, with) in ns a send, while @agent runs and the kernel counts; None: no such runtime."""
    command = RUNTIMES[runtime]()
    if not command:
        return None
    server = servers.Redis()
    client = Client(command, server.port)
    client.ask(100)
    known = Known(agent.process.pid, client.process.pid)
    without, read = [], []
    for _ in range(rounds):
        read.append(client.cost(agent))
        known.forget()
        without.append(client.cost(agent))
        known.tell()
    end(client.process)
    end(server.process)
    return statistics.median(without), statistics.median(read)
