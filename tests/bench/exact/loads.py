# SPDX-License-Identifier: Apache-2.0
"""What is measured by tests/bench/exact/run, with what it may cost (design, section 6)."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "live"))
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import servers
from harness import run, spawn, wait_until

OUT = ROOT / ".output" / "bench"
CLIENT = "/sys/fs/cgroup/client/cgroup.procs"
BARE, TRACED, INJECTED = "bare", "spanloom", "+ inject"
OPTIONS = {TRACED: ["--inject", "off"], INJECTED: ["--inject", "on"]}


def of_client(*command):
    """The command, in the clients' control group."""
    return ["sh", "-c", f'echo $$ >{CLIENT}; exec "$@"', "sh", *command]


def client(*command):
    return run(*of_client(*command))


def figure(pattern, text):
    found = re.search(pattern, text)
    assert found, f"no {pattern} in: {text}"
    return int(found[1])


# ---- servers ----------------------------------------------------------------------------


def start_nginx():
    return [servers.Nginx("access_log off;")]


def start_proxy():
    """nginx -> nginx, on connections that are kept."""
    back = servers.Nginx("access_log off;")
    front = servers.Nginx("access_log off; location /proxied { proxy_pass http://back/ok; "
                          "proxy_http_version 1.1; proxy_set_header Connection ''; }",
                          f"upstream back {{ server 127.0.0.1:{back.port}; keepalive 64; "
                          "keepalive_requests 10000000; }")
    return [front, back]


def start_redis():
    return [servers.Redis()]


def start_postgres():
    return [servers.Postgres()]


# ---- clients: each returns how many operations it has done ------------------------------


def catches(pid, name, sig):
    """Is the process that program, which catches the signal?  The shell before it did, too."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = re.search(r"SigCgt:\s*(\w+)", status)
    return status.startswith(f"Name:\t{name}\n") and int(caught[1], 16) >> (sig - 1) & 1


def wrk(path):
    """It knows whole seconds only, but ends in good order when it is interrupted, once it runs."""
    def play(server, seconds):
        process = spawn(of_client("wrk", "-t", "1", "-c", "32", "-d", "60s", server.url + path),
                        stdout=subprocess.PIPE, text=True)
        wait_until(lambda: catches(process.pid, "wrk", signal.SIGINT), "wrk to run")
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        out = process.communicate()[0]
        assert "Non-2xx" not in out and "Socket errors" not in out, out
        return figure(r"(\d+) requests in", out)
    return play


def paced(server, seconds):
    return int(client(OUT / "paced", server.port, "1000", seconds).split()[0])


def redis_benchmark(pipeline):
    def play(server, commands):
        client("redis-benchmark", "-p", server.port, "-c", "32", "-P", pipeline, "-n", commands,
               "-t", "get", "-q")
        return commands
    return play


def pgbench(server, transactions):
    out = client(servers.postgres_bin() / "pgbench", "-h", "127.0.0.1", "-p", server.port, "-U",
                 "postgres", "-S", "-n", "-t", transactions, "shop")
    return figure(r"transactions actually processed: (\d+)", out)


def rest(_, seconds):
    time.sleep(seconds)
    return seconds


# ---- the table's rows -------------------------------------------------------------------


class Load:
    """@amounts: two, that play() takes; what one operation costs is told by their difference.
    @budget: of all, in instructions for an operation; @programs: of this, for those of BPF."""

    def __init__(self, name, start, play, amounts, spans, budget=None, programs=None, options=(),
                 injects=True):
        self.name, self.start, self.play, self.amounts = name, start, play, amounts
        self.spans, self.budget, self.programs = spans, budget, programs
        self.options = options
        self.columns = [BARE, TRACED, INJECTED] if injects else [BARE, TRACED]


# A load generator stands for another machine, except where it is the client whose calls are traced.
SERVER = ["--exclude-exe", "wrk,paced"]

LOADS = [
    Load("nginx", start_nginx, wrk("/ok"), (0.5, 3.5), 1, 56000, 4000, SERVER),
    Load("nginx-1000", start_nginx, paced, (1, 5), 1, 70000, 4000, SERVER),
    Load("nginx-unselected", start_nginx, wrk("/ok"), (0.5, 3.5), 0, 44500, 500,
         ["--exclude-exe", "nginx,wrk"]),
    Load("nginx-both-ends", start_nginx, wrk("/ok"), (0.5, 3.5), 2),
    Load("nginx-proxy", start_proxy, wrk("/proxied"), (0.5, 3.5), 3, options=SERVER),
    Load("redis-P1", start_redis, redis_benchmark(1), (4000, 16000), 1, 60000, 4000),
    Load("redis-P16", start_redis, redis_benchmark(16), (16000, 80000), 1, 12000, 400),
    Load("pgbench-S", start_postgres, pgbench, (1600, 8000), 1, 160000, 6000),
    Load("rest-second", list, rest, (2, 22), 0, injects=False),
]


def find(name):
    return next(load for load in LOADS if load.name == name)
