# SPDX-License-Identifier: Apache-2.0
"""Network namespaces joined by veth, with addresses of their own, gone with the test."""

import itertools
import os
from pathlib import Path

from harness import run, spawn, wait_until

_serial = itertools.count(1)


def sent_again(snmp):
    """Segments that TCP has sent more than once, as /proc/net/snmp has it."""
    names, values = (line.split() for line in snmp.splitlines() if line.startswith("Tcp:"))
    return int(values[names.index("RetransSegs")])


class Namespace:
    """A network namespace; it lives as long as the process in it that does nothing."""

    def __init__(self):
        self.anchor = spawn(["unshare", "-n", "sleep", "infinity"])
        own = os.readlink("/proc/self/ns/net")
        wait_until(lambda: os.readlink(f"/proc/{self.anchor.pid}/ns/net") != own, "a namespace")
        self.inside("ip", "link", "set", "lo", "up")

    def sent_again(self):
        """Segments of TCP, since the namespace is there."""
        return sent_again(self.inside("cat", "/proc/self/net/snmp"))

    def command(self, *words):
        """The command that runs @words in here."""
        return ["nsenter", f"--net=/proc/{self.anchor.pid}/ns/net", *words]

    def inside(self, *words):
        return run(*self.command(*words))


class Pair:
    """Client and server, each in a namespace, and the addresses of the server by family."""

    def __init__(self):
        self.client, self.server = Namespace(), Namespace()
        number = next(_serial)
        self.client.inside("ip", "link", "add", "veth0", "type", "veth",
                           "peer", "veth1", "netns", str(self.server.anchor.pid))
        for end, device, host in ((self.client, "veth0", 1), (self.server, "veth1", 2)):
            end.inside("ip", "address", "add", f"10.250.{number}.{host}/24", "dev", device)
            end.inside("ip", "address", "add", f"fd00:250:{number}::{host}/64", "dev", device,
                       "nodad")
            end.inside("ip", "link", "set", device, "up")
        self.address = {4: f"10.250.{number}.2", 6: f"fd00:250:{number}::2"}
        wait_until(self._joined, "the link between the namespaces")

    def _joined(self):
        return "veth0" in self.client.inside("ip", "-6", "route", "get", self.address[6]) and \
            Path(f"/proc/{self.server.anchor.pid}").exists()

    def translate(self, family, address, port, to_port):
        """What the client sends to @address and @port goes to the server's @to_port."""
        kind, target = {4: ("ip", self.address[4]), 6: ("ip6", f"[{self.address[6]}]")}[family]
        route = ["ip", f"-{family}", "route", "add", address, "via", self.address[family]]
        rule = (f"add table {kind} translate; add chain {kind} translate out "
                "{ type nat hook output priority -100; }; "
                f"add rule {kind} translate out {kind} daddr {address} tcp dport {port} "
                f"dnat to {target}:{to_port}")
        self.client.inside(*route)
        self.client.inside("nft", rule)
