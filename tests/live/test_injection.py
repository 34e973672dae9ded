# SPDX-License-Identifier: Apache-2.0
"""Injection torture: one header in each request, and no other byte changed.

Every request is checked at the server's end, where strict_server.py reports what came; every
header is the context of the client span that the agent exports.  The scenarios also run through
proxies that inject rightly and wrongly: the checks can fail.
"""

import socket
import statistics
import time

import load
import torments
from agent import Agent
from harness import at_best, equal
from torments import content
from torture import INJECT, NONE, Meddler, Strict, Torture


def tormented(*scenarios, host="127.0.0.1"):
    """Plays the scenarios under an agent that injects; (torture, spans)."""
    server = Strict(host)
    torture = Torture(server)
    agent = Agent(*INJECT, *server.only())
    for scenario in scenarios:
        scenario(torture)
    server.check()
    spans = agent.stop()
    equal(agent.ledger["kernel.ring.full"], 0, "records lost because the agent had no turn")
    torture.check_spans(spans)
    equal([headers for headers in agent.sink.headers if "traceparent" in headers], [],
          "headers in the agent's own requests")
    return torture, spans


# ---- the torture ------------------------------------------------------------------------


def test_bodies():
    tormented(torments.bodies, torments.large_bodies)


def test_heads():
    tormented(torments.split_heads, torments.slow_heads, torments.long_heads, torments.page_ends,
              torments.methods)


def test_pipelines():
    tormented(torments.pipelines, torments.unread_pipelines, torments.full_buffers)


def test_ends_of_requests():
    tormented(torments.bodies_like_requests, torments.lengths, torments.chunks)


def test_answers():
    tormented(torments.early_answers, torments.odd_answers)


def test_connections():
    tormented(torments.early_data, torments.resets, torments.tunnels)


def test_ipv6():
    tormented(torments.methods, torments.chunks, host="::1")


def test_ten_thousand_requests():
    torture, _ = tormented(lambda torture: torments.mixed(torture, 10, 1000))
    equal(len(torture.seen), 10000 - torture.without, "requests with a header")


# ---- the checks can fail ----------------------------------------------------------------


def fault_of(scenario, torture):
    """What a check says of the scenario; None when all is well."""
    try:
        scenario(torture)
    except (AssertionError, EOFError, OSError) as fault:
        return str(fault)
    return None


def test_the_checks_can_fail():
    """Without an agent: all pass bare, and through a proxy that injects as the agent has to."""
    server = Strict()
    for scenario in torments.ALL:
        scenario(Torture(server, wanted=NONE))
        scenario(Torture(server, Meddler(server).port))
    server.check()
    expected = {"none": "0 headers injected", "two": "2 headers injected", "body": "body:",
                "corrupt": "body:", "wrong": "0 headers injected"}
    for mode, said in expected.items():
        fault = fault_of(torments.small, Torture(server, Meddler(server, mode).port))
        assert fault and said in fault, f"the proxy's fault {mode} is taken for: {fault}"


# ---- no stall ---------------------------------------------------------------------------


def round_trips(server, body, count):
    """Seconds of each of @count keep-alive round trips, one send each, Nagle's algorithm on."""
    request = load.http_request(server.port, "/trip", method="POST" if body else "GET", body=body)
    seconds = []
    with load.Http(server.port) as http:
        http.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        for _ in range(count):
            begun = time.monotonic()
            http.send(request)
            http.response()
            seconds.append(time.monotonic() - begun)
    return seconds


def histogram(seconds):
    """Counts by powers of two of microseconds."""
    counts = [0] * 24
    for value in seconds:
        counts[min(int(value * 1e6).bit_length(), 23)] += 1
    return " ".join(f"<{1 << i}us:{count}" for i, count in enumerate(counts) if count)


def check_stalls(server):
    shapes = [b"", content(1000), content(20000), content(40000), content(60000)]
    bare, injected = ([[] for _ in shapes] for _ in range(2))
    for _ in range(2):
        for seconds, body in zip(bare, shapes):
            seconds += round_trips(server, body, 250)
        agent = Agent(*INJECT, *server.only())
        for seconds, body in zip(injected, shapes):
            seconds += round_trips(server, body, 250)
        agent.stop()
    for body, without, with_header in zip(shapes, bare, injected):
        told = (f"{len(body)} bytes:\n  without {histogram(without)}\n"
                f"  with    {histogram(with_header)}")
        slow, usual = (sum(value > 0.03 for value in part) for part in (with_header, without))
        assert slow < usual + 0.01 * len(with_header), f"{slow} round trips stand still, {told}"
        step = statistics.median(with_header) - statistics.median(without)
        assert step < 0.002, f"{step * 1e6:.0f} us for a header, {told}"


def test_no_stall():
    """A header that makes a second segment waits 40 ms for the delayed acknowledgement."""
    server = Strict()
    at_best(lambda: check_stalls(server))
