# SPDX-License-Identifier: Apache-2.0
"""What hooks of the kernel are there for, all of it seen by one agent: on an emulated kernel half of
the time of a test is that of the verifier, and there are several families of hooks."""

import time

import load
import servers
from agent import HOOKS, Agent
from harness import Skip, equal, free_port, run
from spans import CLIENT, SERVER, at_port, one
from test_stitching import ask, judge, threaded

MB = 1 << 20
CHAIN = 20  # requests


def get(connection, port, way, path="/ok"):
    connection.send(load.http_request(port, f"{path}?way={way}"))
    equal(connection.response()[0], 200, f"status of {way}")


def read_slowly(port):
    """What sendfile() sends, in pieces."""
    with load.Http(port) as client:
        client.send(load.http_request(port, "/big?way=sendfile"))
        client.until(b"\r\n\r\n")
        for _ in range(4):
            time.sleep(0.15)
            client.exactly(MB // 4)


def check_way(spans, way):
    """One call, and what was served of it hangs below."""
    server = one([span for span in spans if span["url.query"] == f"way={way}"], "server span")
    client = one([span for span in spans if (span["url.full"] or "").endswith(f"way={way}")],
                 "client span")
    for span in (server, client):
        equal(span["http.response.status_code"], 200, f"status of {way}")
        equal(span["spanloom.incomplete"], None, f"incomplete {way}")
    equal((server.parent_id, server["spanloom.link"]), (client.span_id, "peer"),
          f"parent of {way}")
    return client


def check_chain(spans, front, back, redis):
    """Each request makes a call and two commands, which are below it."""
    parts = [at_port(spans, front, SERVER), at_port(spans, back, CLIENT),
             at_port(spans, back, SERVER), at_port(spans, redis, CLIENT)]
    equal([len(part) for part in parts], [CHAIN, CHAIN, CHAIN, 2 * CHAIN], "spans")
    equal(judge(spans, sum(parts, [])), {"right": 5 * CHAIN, "wrong": 0, "none": 0}, "parents")


def need_all_runs(agent, ports):
    """Linux 7.0 preempts programs, and does not run them for others until they go on.  Those of
    fentry, which is not used there unless it is asked for, have no twins: what they miss is
    missing, but is counted, and nothing is wrong."""
    missed = agent.ledger["kernel.programs.missed"]
    seen = {span.span_id for span in agent.spans}
    called = [span for port in ports for span in at_port(agent.spans, port)
              if span.parent_id in seen]
    equal(judge(agent.spans, called)["wrong"], 0, "wrong parents")
    if missed and HOOKS == "fentry":
        raise Skip(f"{missed} runs of preempted programs were missed, and counted")


def test_every_kind_of_socket():
    nginx, redis, back, nobody = servers.Nginx(), servers.Redis(), threaded(), free_port()
    front = threaded(back, redis.port)
    nginx.file("big", MB)
    ways = {"inet": nginx.port, "inet6": ("::1", nginx.port), "unix": nginx.socket}
    with load.Http(nginx.port) as older:
        older.get("/before")
        agent = Agent()
        get(older, nginx.port, "first")  # known when it is sent: maybe too late for its receiver
        get(older, nginx.port, "older")
    for way, address in ways.items():
        with load.Http(address) as connection:
            get(connection, nginx.port, way)
    read_slowly(nginx.port)
    ask(front, 2, CHAIN)
    run("curl", "-s", f"http://127.0.0.1:{nobody}/", ok=None)
    spans = agent.stop()
    need_all_runs(agent, (front, back, redis.port))
    for way in ("older", *ways):
        check_way(spans, way)
    assert check_way(spans, "sendfile").seconds > 0.58, "the client's time"
    check_chain(spans, front, back, redis.port)
    equal(one(at_port(spans, nobody))["error.type"], "connection_refused", "error.type")
